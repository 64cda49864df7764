"""Mistakes in the env_config of the original: one line each, with the nearest name."""

from __future__ import annotations

import pathlib
import sys
from importlib import metadata
from typing import Any

import numpy as np
import pytest
from foundation_play import needs_package, noop

from env_wrappers import make, make_vec
from env_wrappers.gather_trade_build.foundation import FoundationEnv, package
from env_wrappers.gather_trade_build.foundation.config import COVID


def error_of(call: Any, *args: Any, **kwargs: Any) -> str:
    """The message of the ValueError that the call must raise: one line."""
    with pytest.raises(ValueError) as error:  # noqa: PT011 - the callers check the message
        call(*args, **kwargs)
    message = str(error.value)
    assert "\n" not in message
    return message


ONE_STEP = "one-step-economy"
UNIFORM = "uniform/simple_wood_and_stone"
SPACING = {"bracket_spacing": "linear"}

CONFIGS: list[tuple[dict[str, Any], list[str]]] = [
    ({"backend": "fondation"}, ["backend must be numba or foundation, got 'fondation'"]),
    ({"num_agent": 3}, ["unknown env_config key 'num_agent'", "did you mean 'num_agents'?"]),
    ({"scenario": "one-step-econmy"}, ["unknown scenario 'one-step-econmy'", f"did you mean '{ONE_STEP}'?"]),
    ({"scenario": 3}, ["scenario must be a name, got 3"]),
    (
        {"map": "env-pure_and_mixed-15x16"},
        ["map must be the name of a map", "did you mean 'env-pure_and_mixed-15x15.txt'?"],
    ),
    ({"map": "/etc/passwd"}, ["map must be the name of a map, got '/etc/passwd'"]),
    ({"scenario": UNIFORM, "map": "quadrant_40x40_50each"}, [f"map is not read by scenario {UNIFORM}"]),
    ({"components": ["Gater"]}, ["unknown component 'Gater'", "did you mean 'Gather'?"]),
    ({"components": "Gather"}, ["components must be a list"]),
    ({"components": []}, ["components is empty; name at least one"]),
    ({"components": ["Gather", "gather"]}, ["holds Gather twice"]),
    ({"components": [{"Build": {"pay": 3}}]}, ["component Build has unknown key 'pay'", "'payment'"]),
    ({"components": [{"Build": 3}]}, ["component Build must be a mapping"]),
    ({"components": ["Gather"]}, ["fixed_four_skill_and_loc needs the component {Build: {skill_dist: pareto}}"]),
    ({"components": [["PeriodicBracketTax", {"tax_model": "saez"}]]}, ["cannot hold 'tax_model'", "use tax instead"]),
    (
        {"scenario": UNIFORM, "components": [["PeriodicBracketTax", {**SPACING, "n_brackets": 2.5}]]},
        ["n_brackets must be a whole number >= 2, got 2.5"],
    ),
    ({"scenario": UNIFORM, "components": ["VaccinationCampaign"]}, ["ai-economist refuses this configuration"]),
    ({"scenario": UNIFORM, "components": ["Gather"], "tax": "saez"}, ["tax needs the component PeriodicBracketTax"]),
    ({"scenario_config": {"regen": 3}}, ["scenario_config has unknown key 'regen'"]),
    ({"scenario_config": {"world_size": [9, 9]}}, ["scenario_config.world_size follows from the map"]),
    ({"scenario_config": {"n_agents": 3}}, ["cannot hold 'n_agents'; use num_agents instead"]),
    ({"scenario_config": {"starting_agent_coin": -1}}, ["refuses this configuration: assert", "starting_agent_coin"]),
    (
        {"tax": "us_federl"},
        ["tax must be one of external, us_federal, ", "got 'us_federl'", "did you mean 'us_federal'?"],
    ),
    ({"tax": "saez", "rates": [0.1] * 7}, ["rates needs tax: external, got tax: saez"]),
    ({"rates": [0.1] * 6}, ["rates must be 7 numbers, one a tax bracket, got 6"]),
    ({"rates": 0.5}, ["rates must be 7 numbers"]),
    ({"rates": ["a"] * 7}, ["rates must be 7 numbers, got ['a', "]),
    ({"rates": [0.1] * 6 + [1.1]}, ["rates must be between 0 and 1, got [0.1, "]),
    ({"rates": [-0.1] + [0.1] * 6}, ["rates must be between 0 and 1"]),
    ({"rates": [float("nan")] * 7}, ["rates must be between 0 and 1"]),
    ({"rate_cap_annealing": [1, 0]}, ["rate_cap_annealing must be [warmup, slope]"]),
    ({"rate_cap_annealing": 3}, ["rate_cap_annealing must be [warmup, slope]"]),
    ({"num_agents": 1}, ["num_agents must be 2 to 10 in scenario layout_from_file/simple_wood_and_stone, got 1"]),
    ({"num_agents": 11}, ["num_agents must be 2 to 10"]),
    ({"num_agents": 2.5}, ["num_agents must be a whole number >= 1 or null, got 2.5"]),
    ({"scenario": ONE_STEP, "num_agents": 1}, ["num_agents must be at least 2 in scenario one-step-economy, got 1"]),
    ({"max_steps": 0}, ["max_steps must be a whole number >= 1 or null, got 0"]),
    ({"objective": "welfar"}, ["objective must be one of welfare, planner, got 'welfar'", "did you mean 'welfare'?"]),
    ({"rng": "fast"}, ["rng must be exact in backend foundation, the package's own draws, got 'fast'"]),
    (
        {"observations": "networks"},
        ["observations must be one of original, network, got 'networks'", "did you mean 'network'?"],
    ),
    ({"observations": "network", "scenario": COVID}, [f"observations must not be network in scenario {COVID}"]),
    (
        {"observations": "network", "scenario_config": {"flatten_masks": False}},
        ["observations must not be network without scenario_config.flatten_masks; leave it out"],
    ),
]


@needs_package
@pytest.mark.parametrize(("config", "parts"), CONFIGS)
def test_config(config: dict[str, Any], parts: list[str]) -> None:
    for message in (
        error_of(make, "gather_trade_build", **{"backend": "foundation", **config}),
        error_of(make_vec, "gather_trade_build", 1, **{"backend": "foundation", **config}),
    ):
        assert message.startswith("gather_trade_build: ")
        for part in parts:
            assert part in message


@needs_package
def test_calls() -> None:
    env = FoundationEnv()
    assert "call reset() first" in error_of(env.step, noop(env))
    assert "seed must be between 0 and 2**32 - 1, got -1" in error_of(env.reset, seed=-1)
    env.reset(seed=0)
    assert "action 50 of agent_1 is not in Discrete(50)" in error_of(env.step, noop(env) | {"agent_1": 50})
    assert "action 0.5 of agent_1 is not in" in error_of(env.step, noop(env) | {"agent_1": 0.5})
    assert "rates must be 7 numbers, one a tax bracket, got 2" in error_of(env.set_rates, [0.1, 0.2])
    assert "rates must be between 0 and 1" in error_of(env.set_rates, np.full(7, 1.5))
    assert "set_rates needs tax: external, got tax: saez" in error_of(FoundationEnv(tax="saez").set_rates, [0.1] * 7)


@needs_package
def test_the_covid_scenario_without_what_checks_its_code(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    (tmp_path / "activation_code.txt").write_text("not one")
    monkeypatch.setattr(package, "folder", lambda foundation: tmp_path)
    monkeypatch.setitem(sys.modules, "Crypto", None)
    monkeypatch.setattr(package.util, "find_spec", lambda name: None)
    message = error_of(make, "gather_trade_build", backend="foundation", scenario=COVID)
    assert message.endswith("which is not installed; install it with: pip install pycryptodome")


def test_a_refused_code_is_told_in_the_words_of_the_package() -> None:
    try:
        sys.exit(0)
    except SystemExit as error:
        message = package.refusal(error, "The activation code\nis incorrect!\n")
    assert "refuses this configuration: The activation code is incorrect! (test_foundation_errors.py:" in message


def test_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    assert error_of(make, "gather_trade_build", backend="foundation") == (
        "gather_trade_build: backend foundation needs the package ai-economist; install it with: "
        "pip install --no-deps ai-economist==1.7.1"
    )


def test_other_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "version", lambda name: "1.8.0")
    message = error_of(make, "gather_trade_build", backend="foundation")
    assert "is for ai-economist 1.7.1, but 1.8.0 is installed; install it with: pip install --no-deps" in message


def test_broken_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """Listed as installed, but not to be imported."""
    monkeypatch.setattr(metadata, "version", lambda name: "1.7.1")
    monkeypatch.setitem(sys.modules, "ai_economist.foundation", None)
    message = error_of(make, "gather_trade_build", backend="foundation")
    assert "cannot import 'ai_economist.foundation'; install it with: pip install --no-deps" in message
    assert "GPUtil" not in sys.modules
