"""One-shot games from end to end: agents come to the logit equilibrium, designers near the best prices."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from env_wrappers import make_vec
from env_wrappers.one_shot.base import OneShotConfig, OneShotVectorEnv
from rllib_metagrad import metrics
from rllib_metagrad.algorithms import get_config_class
from rllib_metagrad.evaluation import evaluate
from rllib_metagrad.settings import SettingError

CONFIGS = Path(__file__).parent.parent.parent / "tuned_configs"
FILES = sorted(file for name in ("contract", "public_goods", "routing") for file in (CONFIGS / name).glob("*.yaml"))


def content_of(file: Path) -> dict[str, Any]:
    (content,) = yaml.safe_load(file.read_text()).values()
    return content


def game_of(content: dict[str, Any]) -> OneShotConfig:
    env = make_vec(content["env"], 1, **content["config"]["env_config"])
    assert isinstance(env, OneShotVectorEnv)
    return env.config


def trained(content: dict[str, Any], **changes: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Trains to the file's end; the last result and an evaluation over 5,000 episodes."""
    settings = {
        **content["config"],
        "env": content["env"],
        "evaluation_interval": None,
        "log_level": "ERROR",
        **changes,
    }
    algorithm = get_config_class(content["run"])().update_from_dict(settings).build_algo()
    result: dict[str, Any] = {}
    while result.get(metrics.ENV_STEPS, 0) < content["stop"]["num_env_steps_sampled_lifetime"]:
        result = algorithm.train()
    found = evaluate(algorithm, episodes=5000, seed=1)
    algorithm.stop()
    return result, found


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_shipped_agents_have_the_temperature_of_the_game(file: Path) -> None:
    """And nothing else that changes it: exploration, normalized advantages, scaled rewards, discounts."""
    content = content_of(file)
    config = get_config_class(content["run"])().update_from_dict({**content["config"], "env": content["env"]})
    agents = config.method_settings().agents
    assert agents.entropy_coeff == game_of(content).temperature
    assert (agents.epsilon, agents.normalize_advantages, agents.reward_scale, agents.gamma) == (0, False, 1, 1)


@pytest.mark.parametrize("name", ["contract", "public_goods", "routing"])
def test_shipped_fixed_prices_are_the_best(name: str) -> None:
    content = content_of(CONFIGS / name / "fixed_incentive.yaml")
    game = game_of(content)
    best = game.search_optimum(game.temperature) if name == "routing" else game.optimum(game.temperature)
    np.testing.assert_allclose(content["config"]["fixed_incentives"], best, atol=5e-4)


def test_payments_in_the_objective_are_not_a_cost_as_well() -> None:
    config = get_config_class("MetaGrad")().environment("contract").incentives(mechanism="payment")
    for coeff in (1.0, 0.3):
        config.designer(cost_coeff=coeff)
        with pytest.raises(SettingError, match="designer_cost_coeff would count again what is paid"):
            config.build_algo()


@pytest.mark.integration
@pytest.mark.usefixtures("ray_session")
@pytest.mark.parametrize("name", ["contract", "public_goods", "routing"])
def test_agents_learn_the_logit_equilibrium(name: str) -> None:
    content = content_of(CONFIGS / name / "fixed_incentive.yaml")
    game, design = game_of(content), np.array(content["config"]["fixed_incentives"])
    result, found = trained(content)
    p = game.logit_equilibrium(design, game.temperature)
    shares = np.array([result["env_runners"]["action_share"][action] for action in game.action_names])
    np.testing.assert_allclose(shares, p, atol=0.03)
    assert found[metrics.RETURN] == pytest.approx(game.welfare(design, game.temperature), rel=0.02)
    assert found[metrics.NET] == found[metrics.RETURN]


@pytest.mark.slow
@pytest.mark.integration
@pytest.mark.usefixtures("ray_session")
@pytest.mark.parametrize("name", ["contract", "public_goods", "routing"])
def test_metagrad_finds_the_best_prices(name: str) -> None:
    """To within a percent of what they gain, when agents answer at the logit equilibrium."""
    content = content_of(CONFIGS / name / "metagrad.yaml")
    game = game_of(content)
    _, found = trained(content, seed=7)
    prices = np.array([found["incentive_offered"][price] for price in game.prices])
    without, best = game.known
    assert (game.welfare(prices, game.temperature) - without) / (best - without) > 0.99


@pytest.mark.slow
@pytest.mark.integration
@pytest.mark.usefixtures("ray_session")
@pytest.mark.parametrize("seed", [7, 8])
def test_fisher_finds_the_best_contract(seed: int) -> None:
    """The price itself, to 5%, not only its welfare, which is flat around it."""
    content = content_of(CONFIGS / "contract" / "metagrad_fisher.yaml")
    game = game_of(content)
    _, found = trained(content, seed=seed)
    (bonus,) = (found["incentive_offered"][price] for price in game.prices)
    assert bonus == pytest.approx(game.optimum(game.temperature)[0], rel=0.05)
    assert game.welfare(np.array([bonus]), game.temperature) == pytest.approx(game.known[1], rel=0.01)
    assert found[metrics.RETURN] == pytest.approx(game.known[1], rel=0.05)


def test_fisher_has_the_same_settings_in_all_games() -> None:
    """But what makes a game: its rules, temperature, mechanism, and whether players share a policy."""
    of_game = {"env_config", "agent_entropy_coeff", "mechanism", "parameter_sharing"}
    contents = [content_of(file) for file in FILES if file.stem.startswith("metagrad_fisher")]
    assert len(contents) == 4
    rest = []
    for content in contents:
        config = content["config"]
        config["mechanism_config"].pop("scale")
        rest.append(({k: v for k, v in config.items() if k not in of_game}, content["stop"], content["run"]))
    assert all(one == rest[0] for one in rest)
