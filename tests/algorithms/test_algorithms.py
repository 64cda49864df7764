"""Every algorithm on every kind of environment: a few iterations, their metrics, and the replica's invariant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ray.rllib.callbacks.callbacks import RLlibCallback
from ray.rllib.core.columns import Columns
from ray.rllib.core.rl_module.rl_module import RLModule
from ray.rllib.policy.policy import PolicySpec

from rllib_metagrad.algorithms import ALGORITHMS, MetaGrad, get_config_class
from rllib_metagrad.evaluation import evaluate
from rllib_metagrad.learners.base import NonFiniteError

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("ray_session")]


def make(kind: str = "MetaGrad", env: str = "escape_room", env_config: Any = None, **settings: Any) -> Any:
    base = {
        "env": env,
        "env_config": env_config if env_config is not None else {"n": 3, "m": 1},
        "num_envs_per_env_runner": 8,
        "seed": 0,
        "log_level": "ERROR",
    }
    config = get_config_class(kind)().update_from_dict({**base, **settings})
    return config.build_algo()


@pytest.mark.parametrize("kind", ALGORITHMS)
def test_each_algorithm_trains_and_reports(kind: str) -> None:
    algorithm = make(kind, num_updates_per_iteration=3)
    before = evaluate(algorithm, episodes=10)
    results = [algorithm.train() for _ in range(2)]
    algorithm.stop()
    for result in results:
        sampled = result["env_runners"]
        for key in ("designer_return_mean", "incentives_paid_mean", "designer_net_return_mean", "episode_len_mean"):
            assert np.isfinite(sampled[key])
        assert sampled["designer_net_return_mean"] == pytest.approx(
            sampled["designer_return_mean"] - sampled["incentives_paid_mean"], abs=1e-5
        )
        assert sampled["num_episodes"] == 24
        assert "evaluation" not in result
    assert results[1]["num_env_steps_sampled_lifetime"] > results[0]["num_env_steps_sampled_lifetime"] > 0
    trained = results[1]["learners"]["__all_modules__"]["num_env_steps_trained_lifetime"]
    assert trained == results[1]["num_env_steps_sampled_lifetime"]
    assert before["episodes"] == 10


REPLICA_CASES: list[dict[str, Any]] = [
    {},
    {"agent_loss": "actor_critic", "agent_optimizer": "adam", "agent_epsilon": 0.2, "agent_target_tau": 0.05},
    {"agent_loss": "ppo", "agent_num_epochs": 2, "agent_minibatch_size": 16, "agent_grad_clip": 0.5},
    {"parameter_sharing": True, "agent_loss": "ppo", "agent_network": {"hiddens": [16], "share_trunk": True}},
    {
        "agent_loss": "ppo",
        "agent_num_epochs": 2,
        "agent_minibatch_size": 16,
        "agent_network": {"hiddens": [8], "critic_lstm": 6},
    },
    {"pipelined": False},
    {"meta_gradient": "unrolled", "agent_optimizer": "adam_full", "agent_num_epochs": 2},
    {"batch_mode": "truncate_episodes", "rollout_fragment_length": 7, "agent_loss": "actor_critic"},
    {"designer_loss": "ppo", "designer_num_epochs": 3, "designer_baseline": "critic"},
]


@pytest.mark.parametrize("settings", REPLICA_CASES, ids=lambda s: ",".join(s) or "defaults")
def test_replica_gap_is_rounding_in_every_iteration(settings: dict[str, Any]) -> None:
    algorithm = make(**settings)
    gaps = [algorithm.train()["learners"]["designer"].get("replica_gap") for _ in range(4)]
    algorithm.stop()
    seen = [gap for gap in gaps if gap is not None]
    assert len(seen) >= 3
    assert max(seen) <= 1e-6


def test_cloned_agents_are_fitted_to_what_agents_do() -> None:
    algorithm = make(agent_model="cloned", cloning_steps=20, num_envs_per_env_runner=512)
    divergences = [algorithm.train()["learners"]["designer"].get("cloning_kl") for _ in range(6)]
    algorithm.stop()
    assert divergences[0] is None
    # Fitted and measured on the same actions, so it may fall a little below zero.
    assert abs(divergences[-1]) <= 0.03


def test_unpipelined_iterations_sample_twice() -> None:
    piped, plain = make(num_updates_per_iteration=2), make(num_updates_per_iteration=2, pipelined=False)
    assert piped.train()["env_runners"]["num_episodes"] == 16
    # Each update samples for the agents and again for the designer; the runner's metrics cover both.
    assert plain.train()["env_runners"]["num_episodes"] == 32
    piped.stop(), plain.stop()


@pytest.mark.parametrize(
    ("env_config", "settings"),
    [
        ({"id": "mpe2.simple_spread_v3", "max_cycles": 6}, {}),
        ({"id": "mpe2.simple_spread_v3", "max_cycles": 6, "continuous_actions": True}, {"agent_loss": "ppo"}),
        ({"id": "mpe2.simple_adversary_v3", "max_cycles": 6}, {"agent_loss": "actor_critic"}),
    ],
    ids=["discrete", "continuous", "several groups of agents"],
)
def test_third_party_environments_train_without_code(env_config: dict[str, Any], settings: dict[str, Any]) -> None:
    algorithm = make(env="pettingzoo", env_config=env_config, **settings)
    results = [algorithm.train() for _ in range(3)]
    algorithm.stop()
    assert results[-1]["env_runners"]["episode_len_mean"] == 6
    assert np.isfinite(results[-1]["learners"]["designer"]["meta_gradient_norm"])


def test_frozen_policies_stay_as_they_are_and_the_replica_knows() -> None:
    algorithm = make(
        policies={f"agent_{i}": PolicySpec() for i in range(3)},
        policy_mapping_fn=lambda agent, *args, **kwargs: agent,
        policies_to_train=["agent_0", "agent_2"],
        agent_loss="actor_critic",
        agent_optimizer="adam",
    )
    before = algorithm.learner_group._learner.state.agents[0].theta
    gaps = [algorithm.train()["learners"]["designer"].get("replica_gap", 0.0) for _ in range(3)]
    after = algorithm.learner_group._learner.state.agents[0].theta
    algorithm.stop()
    moved = (after != before).any(1).tolist()
    assert moved == [True, False, True]
    assert max(gaps) <= 1e-6


def test_callbacks_see_environments_and_trajectories() -> None:
    calls: list[str] = []

    class Watch(RLlibCallback):
        def on_environment_created(self, *, env: Any, **kwargs: Any) -> None:
            calls.append(f"created {env.num_envs}")

        def on_sample_end(self, *, samples: Any, metrics_logger: Any, **kwargs: Any) -> None:
            calls.append(f"sampled {samples[0].num_envs}")
            metrics_logger.log_value("my_metric", 7.0, reduce="mean")

    algorithm = make(callbacks=Watch)
    result = algorithm.train()
    algorithm.stop()
    assert calls == ["created 8", "sampled 8"]
    assert result["env_runners"]["my_metric"] == 7.0

    class Episodes(RLlibCallback):
        def on_episode_end(self, **kwargs: Any) -> None:
            """Would never be called."""

    with pytest.raises(ValueError, match="on_episode_end is never called"):
        make(callbacks=Episodes)


def test_agents_that_die_early_train_in_fragments_of_long_episodes() -> None:
    algorithm = make(
        env="pettingzoo",
        env_config={"id": "pettingzoo.butterfly.knights_archers_zombies_v11", "spawn_delay": 5, "max_cycles": 400},
        num_envs_per_env_runner=4,
        batch_mode="truncate_episodes",
        rollout_fragment_length=150,
        parameter_sharing=True,
        agent_loss="ppo",
    )
    results = [algorithm.train() for _ in range(4)]
    trajectory = algorithm.learner_group._learner.state.last_update.trajectory
    algorithm.stop()
    assert results[-1]["env_runners"]["num_episodes_lifetime"] > 0
    assert results[-1]["learners"]["designer"]["replica_gap"] <= 1e-6
    # Somebody was dead while others went on.
    alive = trajectory.active.sum(-1)[trajectory.stepped]
    assert ((alive > 0) & (alive < 4)).any()


def test_two_remote_runners_join_their_trajectories() -> None:
    algorithm = make(num_env_runners=2)
    results = [algorithm.train() for _ in range(3)]
    algorithm.stop()
    assert results[-1]["env_runners"]["num_episodes"] == 16
    assert results[-1]["num_stale_trajectories"] == 0
    assert results[-1]["learners"]["designer"]["replica_gap"] <= 1e-6


def test_evaluation_takes_exactly_the_episodes_asked_for_and_disturbs_nothing() -> None:
    with_evaluation = make(evaluation_interval=1, evaluation_duration=20)
    without = make()
    for _ in range(3):
        a, b = with_evaluation.train(), without.train()
        assert a["evaluation"]["env_runners"]["num_episodes"] == 20
        assert a["env_runners"]["designer_return_mean"] == b["env_runners"]["designer_return_mean"]
    with_evaluation.stop(), without.stop()


def test_checkpointed_policies_act_alone(tmp_path: Path) -> None:
    algorithm = make()
    algorithm.train()
    algorithm.save_to_path(tmp_path / "checkpoint")
    theta = algorithm.learner_group._learner.state.agents[0].theta
    policy = algorithm.learner_group._learner.setup.policies[0]
    observations = torch.rand(3, 5, 9)
    expected = policy.outputs(theta, observations)[0]
    restored = MetaGrad.from_checkpoint(tmp_path / "checkpoint")
    for i in range(3):
        path = tmp_path / f"checkpoint/learner_group/learner/rl_module/agent_{i}"
        module = RLModule.from_checkpoint(path)
        outputs = module.forward_inference({Columns.OBS: observations[i]})[Columns.ACTION_DIST_INPUTS]
        torch.testing.assert_close(outputs, expected[i])
        again = restored.get_module(f"agent_{i}").forward_inference({Columns.OBS: observations[i]})
        torch.testing.assert_close(again[Columns.ACTION_DIST_INPUTS], expected[i])
    algorithm.stop(), restored.stop()


def test_nan_stops_with_the_batch_saved_or_is_skipped() -> None:
    algorithm = make(agent_lr=1e38, agent_loss="pg")
    with pytest.raises(NonFiniteError, match=r"NaN or infinity in the update of .*batch is saved in (\S+)"):
        _ = [algorithm.train() for _ in range(4)]
    (saved,) = Path(algorithm.logdir).glob("non_finite_batch_*.pt")
    batch = torch.load(saved, weights_only=True)
    assert batch["rewards"].shape[1] == 8
    assert batch["stacks"][0]["actions"].shape[2] == 8
    assert batch["weights_seq_no"] == algorithm._weights_seq_no
    algorithm.stop()
    skipping = make(agent_lr=1e38, agent_loss="pg", nan_policy="skip")
    results = [skipping.train() for _ in range(4)]
    learner = skipping.learner_group._learner
    assert all(torch.isfinite(state.theta).all() for state in learner.state.agents)
    assert torch.isfinite(learner.state.eta.value).all()
    skipping.stop()
    assert results[-1]["learners"]["__all_modules__"]["num_skipped_updates"] >= 1
    assert results[-1]["training_iteration"] == 4
