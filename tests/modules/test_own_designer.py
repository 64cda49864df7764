"""A user's own incentive function and R^ID: used everywhere, and what is wrong with them is one line."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from rllib_metagrad import AMDConfig, DualRLConfig, FixedIncentiveConfig, MetaGradConfig
from rllib_metagrad.core.own_objective import find_objective
from rllib_metagrad.core.trajectory import Trajectory
from rllib_metagrad.modules.designer import IncentiveFunction
from rllib_metagrad.modules.networks import Leaf, Parameters
from rllib_metagrad.settings import IncentiveFunctionSettings, LearningDesignerSettings, SettingError

HERE = f"{__name__}:"


class Constant(IncentiveFunction):
    """One number for each output, whatever is seen."""

    def __init__(self, state_shape: Any, num_features: int, mechanism: Any, *rest: Any) -> None:
        self.mechanism = mechanism
        self.parameters = Parameters([Leaf("incentive_raw", (mechanism.num_outputs,), 0.1)])

    def outputs(self, eta: Tensor, states: Tensor, features: Tensor) -> Tensor:
        return self.mechanism.squash(eta).expand(len(states), -1)


class Halved(IncentiveFunction):
    def outputs(self, eta: Tensor, states: Tensor, features: Tensor) -> Tensor:
        return super().outputs(eta, states, features) / 2


class Detached(IncentiveFunction):
    def outputs(self, eta: Tensor, states: Tensor, features: Tensor) -> Tensor:
        return super().outputs(eta.detach(), states, features)


class Narrow(IncentiveFunction):
    def outputs(self, eta: Tensor, states: Tensor, features: Tensor) -> Tensor:
        return super().outputs(eta, states, features)[:, :1]


class Failing(IncentiveFunction):
    def outputs(self, eta: Tensor, states: Tensor, features: Tensor) -> Tensor:
        raise RuntimeError("not\nyet")


def worst_off(trajectory: Trajectory) -> Tensor:
    return trajectory.rewards.min(-1).values


class Levers:
    """The number of agents at the lever, whose action is of type 0."""

    def __call__(self, trajectory: Trajectory) -> Tensor:
        return ((trajectory.action_types == 0) & trajectory.active).sum(-1)


def of_two(trajectory: Trajectory, weight: float) -> Tensor:
    return weight * worst_off(trajectory)


def per_agent(trajectory: Trajectory) -> Tensor:
    return trajectory.rewards


def a_number(trajectory: Trajectory) -> float:
    return 1.0


def undefined(trajectory: Trajectory) -> Tensor:
    return torch.log(trajectory.rewards.min(-1).values)


def built(config: Any, **designer: Any) -> Any:
    config.environment("escape_room", env_config={"n": 2, "m": 1}).designer(**designer)
    return config.env_runners(num_env_runners=0, num_envs_per_env_runner=8).debugging(seed=0).build_algo()


@pytest.mark.integration
@pytest.mark.parametrize("given", [Constant, Halved, f"{HERE}Constant"])
def test_an_own_incentive_function_learns(given: Any) -> None:
    algorithm = built(MetaGradConfig(), class_=given)
    try:
        designer = algorithm.env_runner.designer
        assert type(designer) is (Halved if given is Halved else Constant)
        results = [algorithm.train() for _ in range(3)]
        gaps = [result["learners"]["designer"]["replica_gap"] for result in results[1:]]
        assert gaps == [0, 0]
        assert results[-1]["learners"]["designer"]["meta_gradient_norm"] > 0
    finally:
        algorithm.stop()


@pytest.mark.integration
@pytest.mark.parametrize("config", [MetaGradConfig, AMDConfig, DualRLConfig, FixedIncentiveConfig])
@pytest.mark.parametrize("given", [worst_off, Levers])
def test_an_own_objective_is_the_designers_reward_everywhere(config: Any, given: Callable[..., Any]) -> None:
    algorithm = built(config(), objective=given)
    try:
        runner, expected = algorithm.env_runner, find_objective(HERE + given.__name__)
        (trajectory,) = runner.sample()
        right = torch.where(trajectory.stepped, expected(trajectory).float(), 0.0)
        torch.testing.assert_close(trajectory.designer_rewards, right)
        assert not torch.equal(right, trajectory.rewards.sum(-1))
        runner.get_metrics()
        (trajectory,) = runner.sample()
        reported = runner.get_metrics()["designer_return_mean"].peek()
        np.testing.assert_allclose(reported, trajectory.designer_rewards.sum(0).mean(), rtol=1e-6)
        assert np.isfinite(algorithm.train()["env_runners"]["designer_return_mean"])
    finally:
        algorithm.stop()


@pytest.mark.integration
@pytest.mark.parametrize(
    ("given", "message"),
    [
        (per_agent, "must return a tensor [T, B], "),
        (a_number, "must return a tensor [T, B], (5, 8), got float"),
        (undefined, "gives NaN or infinity"),
    ],
)
def test_objectives_that_give_no_number_a_step(given: Any, message: str) -> None:
    algorithm = built(MetaGradConfig(), objective=given)
    try:
        with pytest.raises(SettingError, match="^designer_objective .*" + re.escape(message)):
            algorithm.env_runner.sample()
    finally:
        algorithm.stop()


@pytest.mark.parametrize(
    ("designer", "message"),
    [
        ({"objective": "no_such:thing"}, "designer_objective no_such:thing: cannot import no_such"),
        ({"objective": f"{HERE}worst_of"}, "has no worst_of; did you mean 'worst_off'?"),
        ({"objective": f"{HERE}HERE"}, "is no function of one argument, the trajectory"),
        ({"objective": of_two}, f"designer_objective {HERE}of_two is no function of one argument, the trajectory"),
        ({"objective": "worst_off"}, "'worst_off' is no import path package.module:Class"),
        ({"objective": 3}, "designer_objective must be an import path or null, got 3"),
        ({"objective": lambda trajectory: trajectory}, "designer_objective is no import path: workers cannot import"),
        ({"objective": worst_off, "direct_coeff": 0.5}, "designer_direct_coeff goes through the mechanism's own R^ID"),
        ({"class_": f"{HERE}worst_off"}, "is not a class derived from rllib_metagrad.modules.designer.Incentive"),
        ({"class_": f"{HERE}Hlaved"}, "has no Hlaved; did you mean 'Halved'?"),
        ({"class_": 3}, "designer_class must be an import path or null, got 3"),
    ],
)
def test_mistakes_are_one_line_before_ray(designer: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError, match=re.escape(message)) as caught:
        MetaGradConfig().environment("escape_room").designer(**designer).validate()
    assert "\n" not in str(caught.value)


def test_a_centralized_policy_earns_the_environments_own() -> None:
    config = MetaGradConfig().environment("escape_room").designer(objective=worst_off).incentives(centralized=True)
    with pytest.raises(SettingError, match="designer_objective has no meaning with centralized: true"):
        config.validate()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (Detached, "has outputs that do not depend on eta"),
        (Narrow, "must return outputs (3, 3) for 3 steps, got (3, 1)"),
        (Failing, "fails at made-up states: RuntimeError: not yet"),
    ],
)
def test_unfit_incentive_functions_are_refused_in_one_line(given: Any, message: str) -> None:
    config = MetaGradConfig().environment("escape_room").designer(class_=given)
    with pytest.raises(SettingError, match=re.escape(f"designer_class {HERE}{given.__name__} {message}")):
        config.get_multi_rl_module_spec()


def test_paths_of_what_is_given_in_python() -> None:
    assert LearningDesignerSettings(objective=worst_off).objective == f"{HERE}worst_off"
    assert IncentiveFunctionSettings(class_=Halved).class_ == f"{HERE}Halved"
