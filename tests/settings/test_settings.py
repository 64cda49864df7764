"""Records of settings: checks, keys, schedules, and the tables made of them."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rllib_metagrad.algorithms import ALGORITHMS, get_config_class
from rllib_metagrad.settings import (
    AgentSettings,
    IncentiveFunctionSettings,
    MetaGradSettings,
    NetworkSettings,
    Schedule,
    SettingError,
    StochasticDesignerSettings,
)
from rllib_metagrad.settings.base import Settings
from rllib_metagrad.settings.tables import rewritten, table

DOCS = Path(__file__).parent.parent.parent / "docs"


@pytest.mark.parametrize(
    ("record", "key", "value", "message"),
    [
        (AgentSettings, "agent_lr", -1, "agent_lr must be a number >= 0, or a schedule [[0, value], "),
        (AgentSettings, "agent_lr", [[0, 1], [10, -1]], "agent_lr must be a number >= 0, or a schedule"),
        (AgentSettings, "agent_lr", [[5, 1], [10, 1]], "agent_lr must be a number >= 0, or a schedule"),
        (AgentSettings, "agent_lr", [[0, 1], [0, 1]], "agent_lr must be a number >= 0, or a schedule"),
        (AgentSettings, "agent_lr", float("nan"), "agent_lr must be a number >= 0"),
        (AgentSettings, "agent_lr", True, "agent_lr must be a number >= 0"),
        (AgentSettings, "agent_lr", "0.1", "agent_lr must be a number >= 0"),
        (AgentSettings, "agent_lrr", 0.1, "agent_lrr is no setting of agents; did you mean 'agent_lr'?"),
        (AgentSettings, "agent_loss", "pgg", "agent_loss must be one of pg, actor_critic, ppo, got 'pgg'"),
        (AgentSettings, "agent_betas", [0.9, 1.0], "agent_betas must be two numbers in [0, 1), got [0.9, 1.0]"),
        (AgentSettings, "agent_num_epochs", 1.5, "agent_num_epochs must be a whole number >= 1, got 1.5"),
        (AgentSettings, "agent_minibatch_size", 0, "agent_minibatch_size must be a whole number >= 1 or null, got 0"),
        (AgentSettings, "gamma", 2, "gamma must be a number >= 0 and <= 1, got 2"),
        (AgentSettings, "agent_network", 5, "agent_network must be a mapping, got 5"),
        (AgentSettings, "agent_network", {"hidens": [3]}, "agent_network.hidens is no setting of a network; did you"),
        (AgentSettings, "agent_network", {"hiddens": [0]}, "agent_network.hiddens must be a list of layer widths"),
        (AgentSettings, "agent_network", {"filters": [[6, 3]]}, "agent_network.filters must be a list of [channels, "),
        (AgentSettings, "agent_network", {"picture_hiddens": [3]}, "agent_network.picture_hiddens needs encoder"),
        (IncentiveFunctionSettings, "designer_network", {"critic_lstm": 8}, "designer_network.critic_lstm has no mean"),
        (IncentiveFunctionSettings, "designer_critic_network", {}, "designer_critic_network needs designer_baseline"),
        (IncentiveFunctionSettings, "designer_cost", "both", "designer_cost must be one of realized, outputs"),
        (StochasticDesignerSettings, "designer_levels", ["a"], "designer_levels must be a list of numbers or null"),
        (MetaGradSettings, "mechanism_config", [1], "mechanism_config must be a mapping, got [1]"),
        (MetaGradSettings, "pipelined", "yes", "pipelined must be true or false, got 'yes'"),
    ],
)
def test_wrong_values_are_told_with_their_key(record: type[Settings], key: str, value: Any, message: str) -> None:
    with pytest.raises(SettingError) as caught:
        record.from_keys({key: value})
    assert str(caught.value).startswith(message)
    assert caught.value.key == message.split(" ")[0]
    assert "\n" not in str(caught.value)


def test_schedules_are_linear_between_their_points() -> None:
    settings = AgentSettings.from_keys({"agent_lr": [[0, 1.0], [100, 0.5], [200, 0.5]], "agent_epsilon": 0.3})
    assert [settings.at(t).lr for t in (0, 50, 100, 150, 500)] == [1.0, 0.75, 0.5, 0.5, 0.5]
    assert settings.at(50).epsilon == 0.3
    assert not isinstance(settings.at(50).lr, Schedule)
    assert settings.lr == Schedule([[0, 1.0], [100, 0.5], [200, 0.5]])
    optional = IncentiveFunctionSettings.from_keys({"designer_cost_lr": [[0, 1], [10, 0]]})
    assert optional.at(5).cost_lr == 0.5
    assert IncentiveFunctionSettings().at(5).cost_lr is None


@given(
    st.lists(st.tuples(st.integers(1, 10**7), st.floats(0, 1)), min_size=1, max_size=5, unique_by=lambda p: p[0]),
    st.floats(0, 1),
    st.integers(0, 2 * 10**7),
)
def test_a_schedule_stays_between_its_neighbours(points: Any, first: float, now: int) -> None:
    schedule = Schedule([(0, first), *sorted(points)])
    before = [p for p in schedule.points if p[0] <= now][-1]
    after = next((p for p in schedule.points if p[0] > now), before)
    assert min(before[1], after[1]) - 1e-12 <= schedule.at(now) <= max(before[1], after[1]) + 1e-12


def test_settings_are_values() -> None:
    settings = AgentSettings(lr=0.2, network=NetworkSettings(hiddens=(3,)))
    assert pickle.loads(pickle.dumps(settings)) == settings
    assert settings.replace(lr=0.3).lr == 0.3
    assert settings.replace(lr=0.3).network == settings.network
    with pytest.raises(SettingError, match="agent_lr must be"):
        settings.replace(lr=-1)
    with pytest.raises(ValueError, match="frozen"):
        settings.lr = 1  # type: ignore[misc]


@pytest.mark.parametrize("name", ALGORITHMS)
def test_configs_have_the_keys_and_defaults_of_their_records(name: str) -> None:
    config = get_config_class(name)()
    for record in config.records().values():
        for key, default in record.defaults().items():
            if (name, key) not in {("AMD", "designer_cost_coeff"), ("Centralized", "centralized")}:
                assert getattr(config, key) == default, key
    assert config.method_settings().agents == AgentSettings()


def test_config_methods_know_their_fields() -> None:
    config = get_config_class("MetaGrad")()
    assert config.agents(lr=0.3, lambda_=0.5, gamma=0.9).agent_lr == 0.3
    assert (config.agent_lambda, config.gamma) == (0.5, 0.9)
    with pytest.raises(SettingError, match="lrr is no setting of MetaGrad; did you mean 'lr'"):
        config.agents(lrr=0.1)
    with pytest.raises(SettingError, match="levels is no setting of MetaGrad"):
        config.designer(levels=[0.1])


def test_old_names_work_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    config = get_config_class("DualRL")().update_from_dict({"designer_factorised": True})
    assert config.method_settings().designer.factorized
    assert "designer_factorised is now called designer_factorized" in caplog.text
    assert get_config_class("DualRL")().designer(factorised=True).method_settings().designer.factorized
    metagrad = get_config_class("MetaGrad")().update_from_dict({"designer_cost": "realised"})
    assert metagrad.method_settings().designer.cost == "realized"


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: page.stem)
def test_tables_of_the_docs_are_those_of_the_code(page: Path) -> None:
    """If this fails: python scripts/write_docs.py"""
    assert page.read_text() == rewritten(page.read_text())


@pytest.mark.parametrize("name", ALGORITHMS)
def test_every_key_is_in_a_table(name: str) -> None:
    text = (DOCS / "configuration.md").read_text()
    assert not [key for key in get_config_class(name)().own_keys() if f"\n| `{key}` |" not in text]


def test_a_table_by_hand() -> None:
    row = "| `agents_checkpoint` | null | a name or null | folder of a checkpoint"
    assert any(line.startswith(row) for line in table(*MetaGradSettings.__mro__[1:3]).splitlines())


def test_keys_of_other_methods_are_taken_for_one_version(caplog: pytest.LogCaptureFixture) -> None:
    config = get_config_class("MetaGrad")().incentives(designer_interval=2)  # type: ignore[attr-defined]
    assert config.method_settings().designer.interval == 2
    assert "designer_interval belongs to another method of the config" in caplog.text
