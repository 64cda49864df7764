"""Env runners that die, hang, crash or lag: how many are healthy and restarted, and that no wrong data is learned."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import faulty_env
import numpy as np
import pytest
from faulty_env import FaultyEnv
from ray import cloudpickle
from ray.rllib.core import COMPONENT_LEARNER, COMPONENT_RL_MODULE
from ray.tune.registry import register_env

from rllib_metagrad import MetaGrad, MetaGradConfig

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("ray_session")]

ENVS = 4
Build = Callable[..., MetaGrad]


@pytest.fixture
def build(tmp_path: Path) -> Iterator[Build]:
    """``build(restart_failed_env_runners=False, ...)``: a MetaGrad of two runners, stopped after the test."""
    cloudpickle.register_pickle_by_value(faulty_env)
    register_env("faulty", lambda context: FaultyEnv(context["folder"], context.worker_index))
    built: list[MetaGrad] = []

    def make(**settings: Any) -> MetaGrad:
        config = (
            MetaGradConfig()
            .environment("faulty", env_config={"folder": str(tmp_path)})
            .env_runners(num_env_runners=2, num_envs_per_env_runner=ENVS)
            .fault_tolerance(delay_between_env_runner_restarts_s=0.0)
            .designer(lr=0.05)
            .debugging(seed=1, log_level="ERROR")
        )
        built.append(config.update_from_dict(settings).build_algo())
        return built[-1]

    yield make
    for algorithm in built:
        algorithm.stop()


def state_of(algorithm: MetaGrad) -> tuple[int, int]:
    """Healthy remote runners, and restarts so far."""
    group = algorithm.env_runner_group
    return group.num_healthy_remote_workers(), group.num_remote_worker_restarts()


def episodes(result: dict[str, Any]) -> int:
    return int(result["env_runners"]["num_episodes"])


def trained_steps(result: dict[str, Any]) -> int:
    return int(result["learners"]["__all_modules__"]["num_env_steps_trained"])


def learner_weights(algorithm: MetaGrad) -> dict[str, Any]:
    state = algorithm.learner_group.get_state(
        components=f"{COMPONENT_LEARNER}/{COMPONENT_RL_MODULE}", inference_only=True
    )
    return state[COMPONENT_LEARNER][COMPONENT_RL_MODULE]  # type: ignore[no-any-return]


def runner_weights(algorithm: MetaGrad, index: int) -> tuple[dict[str, Any], int]:
    (found,) = algorithm.env_runner_group.foreach_env_runner(
        lambda runner: (runner._weights, runner._weights_seq_no), remote_worker_ids=[index], local_env_runner=False
    )
    return found  # type: ignore[no-any-return]


def assert_current(algorithm: MetaGrad, index: int, initial: dict[str, Any]) -> None:
    """The runner holds the learner's weights of all agents and of the designer, and these have moved."""
    held, number = runner_weights(algorithm, index)
    wanted = learner_weights(algorithm)
    assert number == algorithm._weights_seq_no
    for name, now, first in (
        ("agents", held["agents"][0], initial["agents"][0]),
        ("designer", held["designer"], initial["designer"]),
    ):
        np.testing.assert_array_equal(now, wanted["agents"][0] if name == "agents" else wanted["designer"])
        assert np.abs(now - first).max() > 0, name


@pytest.mark.parametrize("fault", ["kill", "hang", "crash"])
def test_a_failed_runner_comes_back_and_acts_with_current_weights(build: Build, tmp_path: Path, fault: str) -> None:
    # Without restart_failed_sub_environments a crash of the environment is one of its runner.
    algorithm = build(sample_timeout_s=10.0 if fault == "hang" else 60.0)
    initial = learner_weights(algorithm)
    algorithm.train()
    (tmp_path / f"{fault}-1").touch()
    start = time.monotonic()
    result = algorithm.train()
    assert time.monotonic() - start < 30
    assert not (tmp_path / f"{fault}-1").exists()
    # Lost: the episodes of this runner, in this iteration. Nothing of them was learned.
    assert episodes(result) == ENVS
    assert trained_steps(result) == ENVS * faulty_env.STEPS
    assert algorithm.env_runner_group.num_healthy_remote_workers() == 1

    # Training goes on with one until the other's new process is up.
    deadline = time.monotonic() + 60
    while state_of(algorithm)[0] < 2 and time.monotonic() < deadline:
        time.sleep(0.5)
        result = algorithm.train()
    assert state_of(algorithm) == (2, 1)
    assert episodes(result) == 2 * ENVS
    assert result["num_stale_trajectories"] == 0
    # The gap compares a replica made with the designer's current parameters against what the runners' designer did.
    assert algorithm.train()["learners"]["designer"]["replica_gap"] <= 1e-6
    for index in (1, 2):
        assert_current(algorithm, index, initial)


def test_without_restarts_training_goes_on_with_exactly_one(build: Build, tmp_path: Path) -> None:
    algorithm = build(restart_failed_env_runners=False, ignore_env_runner_failures=True)
    (tmp_path / "kill-2").touch()
    results = [algorithm.train() for _ in range(3)]
    assert [episodes(result) for result in results] == [ENVS] * 3
    assert state_of(algorithm) == (1, 0)


def test_all_runners_dead_is_a_clear_error_and_the_last_checkpoint_goes_on(build: Build, tmp_path: Path) -> None:
    algorithm = build(restart_failed_env_runners=False, ignore_env_runner_failures=True)
    algorithm.train()
    algorithm.save_to_path(tmp_path / "checkpoint")
    before = learner_weights(algorithm)
    for index in (1, 2):
        (tmp_path / f"kill-{index}").touch()
    with pytest.raises(RuntimeError, match=r"none of 2 env runners delivered data \(0 are healthy\); the last checkp"):
        algorithm.train()
    restored = MetaGrad.from_checkpoint(tmp_path / "checkpoint")
    np.testing.assert_array_equal(learner_weights(restored)["designer"], before["designer"])
    result = restored.train()
    assert result["training_iteration"] == 2
    assert episodes(result) == 2 * ENVS
    restored.stop()


@pytest.mark.parametrize("batch_mode", ["complete_episodes", "truncate_episodes"])
@pytest.mark.parametrize("runners", [0, 2])
def test_a_crashed_environment_is_made_anew_and_only_its_unfinished_data_is_lost(
    build: Build, tmp_path: Path, batch_mode: str, runners: int
) -> None:
    algorithm = build(
        num_env_runners=runners,
        restart_failed_sub_environments=True,
        batch_mode=batch_mode,
        # An episode, and the row that a reset takes.
        rollout_fragment_length=faulty_env.STEPS + 1 if batch_mode == "truncate_episodes" else "auto",
        num_updates_per_iteration=3,
    )
    assert algorithm.train()["env_runners"]["num_env_failures"] == 0
    (tmp_path / f"crash-{min(1, runners)}").touch()
    result = algorithm.train()
    sampled = result["env_runners"]
    assert sampled["num_env_failures"] == 1
    # Three updates of whole episodes of each environment, as if nothing had been: what crashed was sampled again.
    steps = 3 * ENVS * max(1, runners) * faulty_env.STEPS
    assert episodes(result) == steps / faulty_env.STEPS
    assert sampled["num_env_steps_sampled"] == trained_steps(result) == steps
    assert sampled["episode_return_min"] == sampled["episode_return_max"] == 2.0 * faulty_env.STEPS
    assert sampled["episode_len_mean"] == faulty_env.STEPS
    if runners:
        assert state_of(algorithm) == (2, 0)


def test_stale_trajectories_are_dropped_and_counted(build: Build) -> None:
    algorithm = build()
    algorithm.train()

    def lag(runner: Any) -> None:
        runner._weights_seq_no -= 1

    algorithm.env_runner_group.foreach_env_runner(lag, remote_worker_ids=[2], local_env_runner=False)
    result = algorithm.train()
    assert result["num_stale_trajectories"] == 1
    assert trained_steps(result) == ENVS * faulty_env.STEPS
    # The iteration's end brought the runner up to date.
    result = algorithm.train()
    assert result["num_stale_trajectories"] == 1  # over the lifetime
    assert trained_steps(result) == 2 * ENVS * faulty_env.STEPS
    algorithm.env_runner_group.foreach_env_runner(lag, local_env_runner=False)
    with pytest.raises(RuntimeError, match="none of 2 env runners delivered data"):
        algorithm.train()
