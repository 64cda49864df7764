"""A user's own mechanism: the one of docs/extending.md trains with remote workers; what goes wrong is one line."""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from env_wrappers.facts import DesignerFacts, Facts, HouseFacts, TaxContext, TaxFacts, merged
from rllib_metagrad.core.trajectory import Trajectory
from rllib_metagrad.mechanisms import (
    MECHANISMS,
    BoundedIncentives,
    BracketedTax,
    Mechanism,
    check_mechanism,
    make_mechanism,
    mechanism_names,
    register_mechanism,
)
from rllib_metagrad.settings import SettingError
from rllib_metagrad.settings.base import expected
from rllib_metagrad.settings.import_path import import_path

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "extending.md").read_text()


@dataclass(frozen=True, kw_only=True)
class WageFacts(Facts):
    """Facts of an environment of a user's own."""

    wage: float
    bonus: float = 1.0


class WagePerAgent(Mechanism):
    """With facts and a constructor of its own."""

    needs = WageFacts
    facts: WageFacts

    def __init__(self, num_agents: int, num_action_types: int, facts: WageFacts, factor: float, power: int = 1) -> None:
        super().__init__(num_agents, num_action_types, facts)
        self.factor = factor**power

    @cached_property
    def num_outputs(self) -> int:
        return self.num_agents

    def squash(self, raw: Tensor) -> Tensor:
        return self.factor * self.facts.wage * torch.tanh(raw)

    def incentives(self, output: Tensor, trajectory: Trajectory) -> Tensor:
        return output * trajectory.active


class Unfinished(Mechanism):
    """Lacks two methods."""


class Outer:
    class Nested(WagePerAgent):
        pass


def no_mechanism() -> None: ...


class OfVersion01:
    """A factory as version 0.1 had them: facts are keywords of their own."""

    def __new__(cls, num_agents: int, num_action_types: int, wage: float, factor: float = 1.0) -> Any:
        return WagePerAgent(num_agents, num_action_types, WageFacts(wage=wage), factor)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """The files of docs/extending.md, and the path to import them by."""
    for name, text in re.findall(r"```(?:python|yaml)\n# (\S+)\n(.*?)```", PAGE, re.DOTALL):
        (tmp_path / name).write_text(text)
    (tmp_path / "broken_taxes.py").write_text("import nothing_of_this_name\n")
    sys.path.insert(0, str(tmp_path))
    importlib.invalidate_caches()
    yield tmp_path
    sys.path.remove(str(tmp_path))
    sys.modules.pop("my_taxes", None)


def run(folder: Path, *command: str) -> str:
    """Standard output of a Python that is started in the folder, as a user would."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "RAY_AUTH_MODE": "disabled"}
    done = subprocess.run(
        [sys.executable, *command], cwd=folder, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.integration
def test_the_class_itself_trains_with_a_remote_runner(folder: Path) -> None:
    returns = run(folder, "train.py").split()[-2:]
    assert np.isfinite([float(value) for value in returns]).all()


@pytest.mark.integration
def test_its_import_path_trains_from_a_file(folder: Path) -> None:
    main = "from rllib_metagrad.cli.main import main; main()"
    script = folder / "bin" / "rllib"
    script.parent.mkdir()
    script.write_text(f"import sys\nsys.argv[1:] = {['train', 'file', 'flat_tax.yaml']}\n{main}\n")
    run(folder, str(script))
    assert list(folder.glob("results/**/progress.csv"))


@pytest.mark.usefixtures("folder")
def test_the_mechanism_of_the_docs() -> None:
    tax = make_mechanism("my_taxes:FlatTax", 3, 2, {"largest": 0.5})
    assert tax.num_outputs == 1
    assert tax.output_names == ("rate",)
    assert tax.squash(torch.tensor([100.0, 0.0])).tolist() == [0.5, 0.25]
    active = torch.tensor([[[True, True, True], [True, True, False]]])
    steps = torch.zeros(1, 2, 3)
    trajectory = Trajectory(
        stacks=(),
        states=torch.zeros(2, 2, 1),
        action_features=steps,
        action_types=steps.long(),
        rewards=torch.tensor([[[3.0, 6.0, -3.0], [4.0, 0.0, 0.0]]]),
        active=active,
        terminated=steps > 0,
        truncated=steps > 0,
        designer_rewards=steps[..., 0],
        stepped=steps[..., 0] == 0,
        over=steps[..., 0] > 0,
        over_terminated=steps[..., 0] > 0,
        designer_output=torch.zeros(1, 2, 1),
    )
    paid = tax.incentives(torch.full((1, 2, 1), 0.5), trajectory)
    torch.testing.assert_close(paid, torch.tensor([[[-0.5, -2.0, 2.5], [-1.0, 1.0, 0.0]]]))


@pytest.mark.usefixtures("folder")
def test_a_class_is_known_by_its_import_path() -> None:
    from rllib_metagrad import MetaGradConfig

    found = importlib.import_module("my_taxes").FlatTax
    assert MetaGradConfig().incentives(mechanism=found).mechanism == "my_taxes:FlatTax"
    assert isinstance(make_mechanism(import_path(BracketedTax), 2, 2, {}, TAXES), BracketedTax)
    nested = make_mechanism(import_path(Outer.Nested), 2, 2, {"factor": 2.0}, {"wage": 3.0})
    assert nested.num_outputs == 2
    assert nested.squash(torch.tensor([100.0])).item() == 6

    class Local(WagePerAgent):
        pass

    for unknown in (Local, type("Script", (WagePerAgent,), {"__module__": "__main__"})):
        with pytest.raises(ValueError, match=rf"workers cannot import \S+; put class {unknown.__name__} into a module"):
            MetaGradConfig().incentives(mechanism=unknown)


TAXES = merged(
    DesignerFacts(reads_designer_output=True),
    TaxFacts(bracket_cutoffs=(0.0, 10.0), isoelastic_eta=0.2, energy_cost=0.1, social_welfare=None),
    HouseFacts(house_action_type=1),
)
HERE = f"{__name__}:"
BAD: list[tuple[str, Any, str]] = [
    ("bracket_tax", {}, "unknown mechanism 'bracket_tax'; did you mean 'bracketed_tax'?"),
    ("xyz", {}, f"unknown mechanism 'xyz'; known: {', '.join(MECHANISMS)}, or package.module:Class"),
    ("my taxes:FlatTax", {}, "mechanism 'my taxes:FlatTax' is no import path package.module:Class"),
    ("my_taxes:", {}, "mechanism 'my_taxes:' is no import path package.module:Class"),
    ("my_taxis:FlatTax", {}, "mechanism my_taxis:FlatTax: cannot import my_taxis: No module named 'my_taxis'"),
    (
        "broken_taxes:FlatTax",
        {},
        "mechanism broken_taxes:FlatTax: cannot import broken_taxes: No module named 'nothing_of_this_name'",
    ),
    ("my_taxes:FlatTaks", {}, "mechanism my_taxes:FlatTaks: my_taxes has no FlatTaks; did you mean 'FlatTax'?"),
    (
        "my_taxes:Tensor",
        {},
        "mechanism my_taxes:Tensor is not a class derived from rllib_metagrad.mechanisms.base.Mechanism",
    ),
    (
        f"{HERE}no_mechanism",
        {},
        f"mechanism {HERE}no_mechanism is not a class derived from rllib_metagrad.mechanisms.base.Mechanism",
    ),
    (f"{HERE}Unfinished", {}, f"mechanism {HERE}Unfinished lacks incentives, squash"),
    (
        "my_taxes:FlatTax",
        {"largst": 1},
        "mechanism_config.largst is no setting of my_taxes:FlatTax; did you mean 'largest'?",
    ),
    ("my_taxes:FlatTax", {"largest": 2}, "mechanism_config.largest must be a number > 0 and <= 1, got 2"),
    (f"{HERE}WagePerAgent", {}, f"mechanism_config.factor is missing: {HERE}WagePerAgent has no default for it"),
    (
        f"{HERE}WagePerAgent",
        {"factor": 1, "powr": 2},
        f"mechanism_config.powr is no setting of {HERE}WagePerAgent; did you mean 'power'?",
    ),
    (f"{HERE}WagePerAgent", {"factor": 1, "wage": 2}, "mechanism_config.wage is set by env_config, not here"),
    ("action_incentives", {"scale": "a lot"}, "mechanism_config.scale must be a number > 0, got 'a lot'"),
    ("action_incentives", {"scale": True}, "mechanism_config.scale must be a number > 0, got True"),
    (
        "agent_incentives",
        {"skale": 1},
        "mechanism_config.skale is no setting of agent_incentives; did you mean 'scale'?",
    ),
    ("house_subsidy", {"financed": 1}, "mechanism_config.financed must be true or false, got 1"),
    ("linear_tax", {"scale": 2}, "mechanism_config.scale must be a number > 0 and <= 1, got 2"),
]


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(("name", "config", "message"), BAD, ids=[f"{n.split(':')[-1]} {c}" for n, c, _ in BAD])
def test_mistakes_are_one_line(name: str, config: dict[str, Any], message: str) -> None:
    """Without an environment, too: before Ray is started."""
    for check in (check_mechanism, lambda *a: make_mechanism(a[0], 2, 2, a[1], {**TAXES, "wage": 1.0})):
        with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
            check(name, config)


def test_facts_that_an_environment_does_not_report() -> None:
    with pytest.raises(ValueError, match="WagePerAgent' does not fit my_game, which has no wage"):
        make_mechanism(f"{HERE}WagePerAgent", 2, 2, {"factor": 1.0}, {"bonus": 2.0}, "my_game")
    made = make_mechanism(f"{HERE}WagePerAgent", 2, 2, {"factor": 1.0}, {"wage": 2.0, "other": "ignored"})
    assert made.facts == WageFacts(wage=2.0)
    with pytest.raises(ValueError, match="mechanism_facts has no isoelastic_eta, energy_cost, social_welfare"):
        TaxFacts.read({"bracket_cutoffs": (0.0,)})


def test_arrays_that_an_environment_does_not_report() -> None:
    arrays = dict.fromkeys(TaxContext._fields, torch.zeros(2))
    assert TaxContext.read({**arrays, "other": torch.ones(1)}) == TaxContext(**arrays)
    del arrays["income"], arrays["labor"]
    with pytest.raises(ValueError, match="the environment's context has no income, labor, which taxes need"):
        TaxContext.read(arrays)
    assert TaxContext.shapes(4, 7)._asdict() == {
        **dict.fromkeys(("tax_day", "rate_cap"), ()),
        "rates": (7,),
        **dict.fromkeys(("income", "coin", "escrow_coin", "labor", "previous_utility"), (4,)),
    }


def test_settings_of_a_mechanism_without_a_factory() -> None:
    """Directly, as in a test or a notebook: no prefix."""
    mechanism = MECHANISMS["action_incentives"](2, 3, scale=1)
    assert isinstance(mechanism, BoundedIncentives)
    assert mechanism.num_outputs == 3
    assert mechanism.config.scale == 1.0
    with pytest.raises(SettingError, match=r"^scale must be a number > 0, got -1$"):
        MECHANISMS["action_incentives"](2, 3, scale=-1)


def test_registration_of_version_01_still_works() -> None:
    with pytest.warns(DeprecationWarning, match="import path"):
        register_mechanism("wages", OfVersion01, ["wage"])  # type: ignore[arg-type]
    check_mechanism("wages", {"factor": 2.0})
    made = make_mechanism("wages", 2, 2, {"factor": 2.0}, {"wage": 3.0})
    assert made.squash(torch.tensor([100.0])).item() == 6
    with pytest.raises(ValueError, match="'wages' does not fit the environment, which has no wage"):
        make_mechanism("wages", 2, 2, {})
    for config in ({"wage": 1.0}, {"fctor": 1.0}):
        with pytest.raises(ValueError, match=r"^mechanism_config"):
            make_mechanism("wages", 2, 2, config, {"wage": 3.0})
    with pytest.warns(DeprecationWarning, match="MECHANISMS"):
        assert "wages" in mechanism_names()


def test_the_table_of_settings_in_the_docs() -> None:
    """docs/configuration.md has a row for each setting of each mechanism, and no other."""
    page = (ROOT / "docs" / "configuration.md").read_text()
    section = page.split("\n## Mechanisms\n")[1].split("\n## ")[0]
    rows = []
    for name, found in MECHANISMS.items():
        for key, default in found.Config.defaults().items():
            field = found.Config.model_fields[found.Config.config_keys()[key]]
            shown = default if isinstance(default, str) else json.dumps(default)
            rows.append(f"| `{name}` | `{key}` | {shown} | {field.description}; {expected(field)} |")
    assert [line for line in section.splitlines() if line.startswith("| `")] == rows
