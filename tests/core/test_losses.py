"""Agents' losses by import path: those that can be used, and what is said of the others."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from problems import make_problem
from test_meta_gradient import compare, settings_of
from torch import Tensor

from rllib_metagrad.core.losses import LOSSES, AgentLoss, check_loss, check_slope, find_loss
from rllib_metagrad.settings import AgentSettings, SettingError

HERE = f"{__name__}:"


@dataclass(frozen=True)
class Penalized:
    """Ratio times advantage, and a penalty for leaving the old policy."""

    needs_critic: bool = True
    beta: float = 0.3

    def per_step(self, log_probs: Tensor, old_log_probs: Tensor, advantages: Tensor, settings: AgentSettings) -> Tensor:
        log_ratio = log_probs - old_log_probs
        return -torch.exp(log_ratio) * advantages + self.beta * (torch.exp(log_ratio) - 1 - log_ratio)

    def slope(self, log_probs: Tensor, old_log_probs: Tensor, advantages: Tensor, settings: AgentSettings) -> Tensor:
        return torch.exp(log_probs - old_log_probs)


class SmoothClip(AgentLoss):
    """The ratio goes through a tanh, as wide as ``clip_param``, instead of a clip."""

    needs_critic = True

    def per_step(self, log_probs: Tensor, old_log_probs: Tensor, advantages: Tensor, settings: AgentSettings) -> Tensor:
        far = (torch.exp(log_probs - old_log_probs) - 1) / settings.clip_param
        return -(1 + settings.clip_param * torch.tanh(far)) * advantages

    def slope(self, log_probs: Tensor, old_log_probs: Tensor, advantages: Tensor, settings: AgentSettings) -> Tensor:
        ratio = torch.exp(log_probs - old_log_probs)
        return ratio / torch.cosh((ratio - 1) / settings.clip_param) ** 2


class Bent:
    """Not linear in the advantage: small ones count less. No critic."""

    needs_critic = False

    def per_step(self, log_probs: Tensor, old_log_probs: Tensor, advantages: Tensor, settings: AgentSettings) -> Tensor:
        return -log_probs * advantages**3 / (1 + advantages**2)

    def slope(self, log_probs: Tensor, old_log_probs: Tensor, advantages: Tensor, settings: AgentSettings) -> Tensor:
        square = advantages**2
        return square * (3 + square) / (1 + square) ** 2


STRONG = Penalized(beta=2.0)
GOOD = ["Penalized", "SmoothClip", "Bent", "STRONG"]


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize(
    ("optimizer", "steps", "shared"), [("sgd", 1, False), ("adam", 3, True), ("adam_full", 2, False)]
)
def test_mixed_equals_unrolled_equals_finite_differences(name: str, optimizer: str, steps: int, shared: bool) -> None:
    critic = find_loss(HERE + name).needs_critic
    settings = settings_of(HERE + name, optimizer, steps, None).replace(mean_baseline=not critic)
    check_loss(settings)
    problem = make_problem(settings.replace(loss="ppo" if critic else "pg"), shared, share_trunk=critic and shared)
    compare(problem, settings)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("clip_param", [0.05, 0.2, 1.0])
def test_slopes_of_the_shipped_losses(name: str, clip_param: float) -> None:
    check_slope(LOSSES[name], AgentSettings(loss=name, clip_param=clip_param))


def test_the_class_or_object_itself_is_known_by_its_import_path() -> None:
    for given, path in ((Penalized, "Penalized"), (SmoothClip, "SmoothClip"), (STRONG, "STRONG")):
        assert AgentSettings(loss=given).loss == HERE + path
    assert find_loss(HERE + "STRONG") is STRONG
    assert find_loss(HERE + "Penalized") == Penalized()
    assert {name: find_loss(name) for name in LOSSES} == LOSSES


class NoSlope(AgentLoss):
    needs_critic = True

    def per_step(self, log_probs: Tensor, old_log_probs: Tensor, advantages: Tensor, settings: AgentSettings) -> Tensor:
        return -log_probs * advantages


class NoCritic(AgentLoss):
    per_step = SmoothClip.per_step
    slope = SmoothClip.slope


class ThreeArguments:
    needs_critic = True
    slope = SmoothClip.slope

    def per_step(self, log_probs: Tensor, old_log_probs: Tensor, advantages: Tensor) -> Tensor:
        return -log_probs * advantages


class NeedsBeta(Penalized):
    def __init__(self, beta: float) -> None:
        super().__init__(beta=beta)


NOT_A_LOSS = 3
BAD = [
    ("no_such_module_here:Loss", "cannot import no_such_module_here"),
    (f"{HERE}Penalised", f"{__name__} has no Penalised; did you mean 'Penalized'?"),
    ("my losses:Loss", "'my losses:Loss' is no import path package.module:Class"),
    (f"{HERE}NOT_A_LOSS", "NOT_A_LOSS lacks per_step(log_probs, old_log_probs, advantages, settings)"),
    (f"{HERE}NoSlope", "NoSlope lacks slope(log_probs, old_log_probs, advantages, settings)"),
    (f"{HERE}NoCritic", "NoCritic lacks needs_critic, True or False"),
    (f"{HERE}ThreeArguments", "must take log_probs, old_log_probs, advantages, settings"),
    (f"{HERE}NeedsBeta", "NeedsBeta cannot be made without arguments"),
]


@pytest.mark.parametrize(("path", "message"), BAD, ids=[path for path, _ in BAD])
def test_what_is_no_loss_is_said_in_one_line(path: str, message: str) -> None:
    with pytest.raises(SettingError, match=re.escape(message)) as caught:
        check_loss(AgentSettings(loss=path))
    assert str(caught.value).startswith("agent_loss ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", ["pgg", 3, None, ["pg"], {"pg": 1}, object()])
def test_what_is_not_even_a_name(value: Any) -> None:
    with pytest.raises(SettingError, match=r"^agent_loss must be one of pg, actor_critic, ppo, got "):
        AgentSettings(loss=value)


def test_objects_that_workers_cannot_import() -> None:
    class Local(Penalized):
        pass

    for given in (Local, Local(), Penalized(beta=7.0)):
        with pytest.raises(SettingError, match=r"^agent_loss is no import path: workers cannot import"):
            AgentSettings(loss=given)


def _sign(slope: Tensor) -> Tensor:
    return -slope


def _one(slope: Tensor) -> Tensor:
    return torch.ones_like(slope)


def _few(slope: Tensor) -> Tensor:
    return torch.where(torch.arange(slope.numel()).view_as(slope) == 20, 0.0, slope)


@pytest.mark.parametrize("wrong", [_sign, _one, _few])
@pytest.mark.parametrize("name", ["Penalized", "SmoothClip", "Bent"])
def test_wrong_slopes_are_found(name: str, wrong: Callable[[Tensor], Tensor]) -> None:
    right = find_loss(HERE + name)

    class Wrong:
        needs_critic, per_step = True, staticmethod(right.per_step)

        def slope(self, *steps: Any) -> Tensor:
            return wrong(right.slope(*steps))

    with pytest.raises(SettingError, match=r"has a slope that is not -d\^2 per_step.*instead of .* at log_prob"):
        check_slope(Wrong(), AgentSettings())


def _detached(loss: AgentLoss, *steps: Any) -> Tensor:
    log_probs, old, advantages, settings = steps
    return loss.per_step(log_probs, old, advantages.detach(), settings)


def _coupled(loss: AgentLoss, *steps: Any) -> Tensor:
    log_probs, old, advantages, settings = steps
    return loss.per_step(log_probs, old, advantages - advantages.mean(), settings)


def _summed(loss: AgentLoss, *steps: Any) -> Tensor:
    return loss.per_step(*steps).sum()


def _failing(loss: AgentLoss, *steps: Any) -> Tensor:
    raise RuntimeError("two\nlines")


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (_detached, "detach no advantages"),
        (_coupled, "let no step's loss depend on other steps"),
        (_summed, "per_step must return one number a step, (2, 16), got ()"),
        (_failing, "fails at made-up steps: RuntimeError: two lines"),
    ],
)
def test_losses_that_cannot_be_differentiated_step_by_step(made: Callable[..., Tensor], message: str) -> None:
    right = replace(STRONG)

    class Made:
        needs_critic, slope = True, staticmethod(right.slope)

        def per_step(self, *steps: Any) -> Tensor:
            return made(right, *steps)

    with pytest.raises(SettingError, match=re.escape(message)):
        check_slope(Made(), AgentSettings())
