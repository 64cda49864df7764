"""Two learners make the update that one learner makes: exactly, up to rounding."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import ray
from ray.rllib.core import COMPONENT_LEARNER, COMPONENT_RL_MODULE

from rllib_metagrad import AMDConfig, CentralizedConfig, DualRLConfig, FixedIncentiveConfig, MetaGradConfig
from rllib_metagrad.algorithms import IncentiveDesignConfig
from rllib_metagrad.core.designer_gradient import through_update
from rllib_metagrad.core.designer_objective import designer_objective
from rllib_metagrad.core.state import forward_passes
from rllib_metagrad.core.trajectory import Trajectory

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("ray_session")]


def make_config(kind: type[IncentiveDesignConfig], **agents: Any) -> IncentiveDesignConfig:
    return (
        kind()
        .environment("escape_room", env_config={"n": 3, "m": 1})
        .env_runners(num_envs_per_env_runner=16)
        .debugging(seed=3, log_level="ERROR")
        .agents(**{"lr": 0.05, "entropy_coeff": 0.02, **agents})
    )


def updates(config: IncentiveDesignConfig, trajectories: list[Trajectory]) -> dict[str, Any]:
    """Parameters after the learner group has learned from the trajectories, all with the same start."""
    algorithm = config.build_algo()
    learners = max(1, config.num_learners)
    for number, trajectory in enumerate(trajectories):
        current = replace(trajectory, weights_seq_no=number)
        algorithm.learner_group.update(batches=[current.shard(i, learners) for i in range(learners)])
    weights = algorithm.learner_group.get_state(
        components=COMPONENT_LEARNER + "/" + COMPONENT_RL_MODULE, inference_only=True
    )[COMPONENT_LEARNER][COMPONENT_RL_MODULE]
    algorithm.stop()
    return weights  # type: ignore[no-any-return]


def sampled(config: IncentiveDesignConfig, count: int) -> list[Trajectory]:
    """Trajectories of the initial policies."""
    algorithm = config.build_algo()
    trajectories = [algorithm.env_runner.sample()[0] for _ in range(count)]
    algorithm.stop()
    return trajectories


@pytest.mark.parametrize(
    ("kind", "agents"),
    [
        (MetaGradConfig, {"loss": "pg"}),
        (MetaGradConfig, {"loss": "ppo", "optimizer": "adam", "normalize_advantages": True, "num_epochs": 3}),
        # Not `fisher`: its solve enlarges float32's rounding, see tests/core/test_response_of_two_learners.py.
        (MetaGradConfig, {"loss": "pg", "entropy_coeff": 0.1, "response": "critic"}),
        (MetaGradConfig, {"loss": "ppo", "normalize_advantages": True, "response": "neumann"}),
        (DualRLConfig, {}),
        (AMDConfig, {}),
        # The data stay those of the first policies, on which larger steps with a critic diverge.
        (FixedIncentiveConfig, {"loss": "actor_critic", "lr": 0.005}),
        (CentralizedConfig, {"loss": "actor_critic"}),
    ],
)
def test_two_learners_equal_one_after_fifty_updates(kind: type[IncentiveDesignConfig], agents: dict[str, Any]) -> None:
    response = {key: value for key, value in agents.items() if key == "response"}
    agents = {key: value for key, value in agents.items() if key != "response"}
    config = make_config(kind, **agents)
    if response:
        config.designer(**response)
    trajectories = sampled(config, 50)
    one = updates(config, trajectories)
    two = updates(config.copy(copy_frozen=False).learners(num_learners=2), trajectories)
    start = updates(config, [])
    for group_one, group_two, group_start in zip(
        [*one["agents"], one["designer"]],
        [*two["agents"], two["designer"]],
        [*start["agents"], start["designer"]],
        strict=True,
    ):
        moved = np.abs(group_one - group_start).max(initial=0.0)
        # Relative to how far the updates went; float32 leaves about 1e-7 of the parameters' size. Adam divides by
        # the root of second moments near zero, so it enlarges the rounding of gradients near zero.
        relative = 1e-4 if config.agent_optimizer == "adam" else 1e-5
        assert np.abs(group_one - group_two).max(initial=0.0) <= relative * moved + 2e-6


def test_meta_gradient_of_two_learners_equals_one_learners() -> None:
    """For M = 1, to 1e-6 relative: a plain gradient step of the designer shows the meta-gradient itself."""
    config = make_config(MetaGradConfig, loss="pg")
    trajectories = sampled(config, 2)

    # A closure, so that it travels to the learners by value.
    def meta_gradient(learner: Any, validation: Trajectory) -> np.ndarray:
        now, state = learner.setup.at(0), learner.state
        past = state.last_update
        objective, _, _ = designer_objective(now, state, validation, validation.designer_rewards)
        forward = forward_passes(now, [agents.theta for agents in state.agents], validation)
        gradient = through_update(now, past, past.eta, validation, objective, forward, measure=True)
        return gradient.meta.numpy()  # type: ignore[no-any-return]

    def gradient(settings: IncentiveDesignConfig) -> list[np.ndarray]:
        algorithm = settings.build_algo()
        learners = max(1, settings.num_learners)
        algorithm.learner_group.update(batches=[trajectories[0].shard(i, learners) for i in range(learners)])
        validation = replace(trajectories[1], weights_seq_no=1)
        shards = [validation.shard(i, learners) for i in range(learners)]
        if settings.num_learners:
            refs = [
                worker.apply.remote(meta_gradient, shard)
                for worker, shard in zip(algorithm.learner_group._workers, shards, strict=True)
            ]
            result = ray.get(refs)
        else:
            result = [meta_gradient(algorithm.learner_group._learner, shards[0])]
        algorithm.stop()
        return result

    (one,) = gradient(config)
    both = gradient(config.copy(copy_frozen=False).learners(num_learners=2))
    np.testing.assert_array_equal(both[0], both[1])
    assert np.linalg.norm(both[0] - one) <= 1e-6 * np.linalg.norm(one)


@pytest.mark.parametrize("kind", [MetaGradConfig, DualRLConfig])
def test_two_learners_equal_one_on_taxes(kind: type[IncentiveDesignConfig]) -> None:
    """Decisions that hold, the direct effect on welfare, a critic and scaled rewards are summed over learners, too."""
    config = make_config(kind, loss="ppo", optimizer="adam", lr=0.001, reward_scale=0.1)
    config.environment("gather_trade_build")
    config.env_config = {"max_steps": 20, "observations": "network"}
    config.env_runners(num_envs_per_env_runner=4)
    config.incentives(parameter_sharing=True, mechanism="bracketed_tax")
    config.designer(baseline="critic", loss="ppo", normalize_advantages=True, reward_scale=0.01)
    if kind is MetaGradConfig:
        config.designer(direct_coeff=0.2)
    else:
        config.designer(levels=[0.0, 0.5, 1.0], factorized=True)
    trajectories = sampled(config, 4)
    one = updates(config, trajectories)
    two = updates(config.copy(copy_frozen=False).learners(num_learners=2), trajectories)
    start = updates(config, [])
    assert abs(one["designer"] - start["designer"]).max() > 1e-4
    np.testing.assert_allclose(one["designer"], two["designer"], atol=2e-5)
    np.testing.assert_allclose(one["agents"][0], two["agents"][0], atol=2e-5)


@pytest.mark.parametrize(
    ("agents", "shared"),
    [
        # 16 episodes of up to 5 steps; minibatches of less than a shard, and of more.
        ({"loss": "ppo", "optimizer": "adam", "lr": 0.003, "num_epochs": 2, "minibatch_size": 10}, False),
        ({"loss": "ppo", "lr": 0.01, "num_epochs": 2, "minibatch_size": 48, "normalize_advantages": True}, True),
        # Whole episodes, one at a time: only one of the learners has it.
        ({"loss": "ppo", "lr": 0.01, "num_epochs": 2, "minibatch_size": 5, "network": {"critic_lstm": 6}}, True),
    ],
)
def test_two_learners_equal_one_with_minibatches(agents: dict[str, Any], shared: bool) -> None:
    config = make_config(MetaGradConfig, **agents).incentives(parameter_sharing=shared)
    trajectories = sampled(config, 5)
    one = updates(config, trajectories)
    two = updates(config.copy(copy_frozen=False).learners(num_learners=2), trajectories)
    start = updates(config, [])
    moved = np.abs(one["agents"][0] - start["agents"][0]).max()
    assert moved > 1e-2
    np.testing.assert_allclose(two["agents"][0], one["agents"][0], atol=1e-4 * moved)
    np.testing.assert_allclose(two["designer"], one["designer"], atol=1e-5)
