"""Metrics that were called otherwise in version 0.1 are there under both names."""

from __future__ import annotations

import copy

import pytest

from rllib_metagrad import metrics
from rllib_metagrad.old_metrics import current, with_old_names, without_old_names


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("env_runners/agent_returns_mean/a", "env_runners/agent_episode_returns_mean/a"),
        ("evaluation/env_runners/agent_returns_mean/a", "evaluation/env_runners/agent_episode_returns_mean/a"),
        ("env_runners/num_agent_steps_sampled/all", "env_runners/num_agent_steps_sampled/__all_agents__"),
        ("learners/agents/shared/grad_norm", "learners/shared/gradients_default_optimizer_global_norm"),
        ("learners/designer/critic_loss", "learners/designer/vf_loss"),
        ("timers/sync_weights", "timers/synch_weights"),
    ],
)
def test_old_names_lead_to_new_ones_which_lead_to_themselves(old: str, new: str) -> None:
    assert current(old) == new
    assert current(new) == new
    found = metrics.find(new)
    assert found is not None
    assert found.was


@pytest.mark.parametrize(
    "name", ["training_iteration", "env_runners/designer_return_mean", "learners/designer/loss", "x"]
)
def test_other_names_stay(name: str) -> None:
    assert current(name) == name


def test_results_hold_both() -> None:
    policy = {"entropy": 1.0, "mean_kl_loss": 0.1, "num_trainable_parameters": 7}
    results = {
        "env_runners": {"agent_episode_returns_mean": {"a": 1.0, "b/c": 2.0}, "episode_len_mean": 5.0},
        "evaluation": {"env_runners": {"agent_episode_returns_mean": {"a": 3.0}}},
        "learners": {"p": policy, "designer": {"vf_loss": 4.0, "entropy": 5.0}},
        "timers": {"synch_weights": 0.5, "training_step": 1.0},
    }
    before = copy.deepcopy(results)
    both = with_old_names(results)
    assert results == before
    assert both["env_runners"].pop("agent_returns_mean") == {"a": 1.0, "b/c": 2.0}
    assert both["evaluation"]["env_runners"].pop("agent_returns_mean") == {"a": 3.0}
    assert both["learners"].pop("agents") == {"p": {"entropy": 1.0, "kl": 0.1}}  # none of the designer
    assert both["learners"]["designer"].pop("critic_loss") == 4.0
    assert both["timers"].pop("sync_weights") == 0.5
    assert both == before


def test_what_has_an_old_name_of_its_own_keeps_it() -> None:
    """An agent called all."""
    steps = {"all": 3, "b": 4, "__all_agents__": 7}
    both = with_old_names({"env_runners": {"num_agent_steps_sampled": steps}})
    assert both == {"env_runners": {"num_agent_steps_sampled": steps}}
    assert with_old_names(both) == both


def test_every_old_name_is_another_one() -> None:
    renamed = [metric for metric in metrics.ALL if metric.was]
    assert len(renamed) >= 10
    for metric in renamed:
        names = [f"name{i}" for i in range(metric.count("<"))]
        old = "/".join(iter_filled(metric.under + metric.was, names))
        assert metric.was.count("<") == len(names)
        assert current(old) == metric.under + metric.of(*names)
        assert current(old) != old


def iter_filled(pattern: str, names: list[str]) -> list[str]:
    left = iter(names)
    return [next(left) if part.startswith("<") else part for part in pattern.split("/")]


def test_a_logger_forgets_what_nothing_adds_to() -> None:
    names = ["timers--sample", "timers--training_step", "learners--agents--p--kl", "learners--p--mean_kl_loss"]
    own = ["agents--p--entropy", "designer--critic_loss", "designer--vf_loss", "num_agent_steps_sampled--all"]
    deep = ["evaluation--env_runners--agent_returns_mean--a", "env_runners--episode_len_mean"]
    state = {"stats": dict.fromkeys([*names, *own, *deep], 0), "more": 1}
    kept = without_old_names(state)
    assert kept["more"] == 1
    assert sorted(kept["stats"]) == [
        "designer--vf_loss",
        "env_runners--episode_len_mean",
        "learners--p--mean_kl_loss",
        "timers--training_step",
    ]
