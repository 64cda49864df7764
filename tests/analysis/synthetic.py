"""Run folders as Tune writes them, with made-up results: for tests, and to look at figures."""

from __future__ import annotations

import json
import math
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np

Row = Callable[[int, np.random.Generator], dict[str, Any]]


def write_trial(folder: pathlib.Path, config: dict[str, Any], rows: list[dict[str, Any]]) -> pathlib.Path:
    """One trial's params.json and result.json."""
    folder.mkdir(parents=True)
    (folder / "params.json").write_text(json.dumps(config))
    (folder / "result.json").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def write_experiment(
    folder: pathlib.Path,
    row: Row,
    *,
    run: str = "MetaGrad",
    env: str = "escape_room",
    seeds: tuple[int, ...] = (0, 1, 2),
    iterations: int = 60,
    config: dict[str, Any] | None = None,
) -> pathlib.Path:
    """An experiment's folder with one trial per seed."""
    for number, seed in enumerate(seeds):
        rng = np.random.default_rng(seed)
        name = f"{run}_{env}_0a1b2_{number:05d}_{number}_seed={seed}_2025-01-01_00-00-00"
        rows = [{"training_iteration": i + 1, **row(i + 1, rng)} for i in range(iterations)]
        write_trial(folder / name, {"env": env, "seed": seed, **(config or {})}, rows)
    return folder


def metagrad_row(speed: float, best: float = 26.0, agents: int = 5) -> Row:
    """Results of a run that learns Escape Room, with the keys of MetaGrad."""

    def row(i: int, rng: np.random.Generator) -> dict[str, Any]:
        done = 1.0 / (1.0 + math.exp(-(i - 25.0 / speed) / (4.0 / speed)))
        paid = 2.2 + 4.0 * done * (1.0 - done) * 3.0 + rng.normal() * 0.15
        returned = -5.0 + (best + 2.2 + 5.0) * done + rng.normal() * 0.8

        def runners(noise: float) -> dict[str, Any]:
            designer = returned + noise * rng.normal()
            return {
                "designer_return_mean": designer,
                "incentives_paid_mean": paid,
                "designer_net_return_mean": designer - paid,
                "episode_return_mean": designer,
                "episode_len_mean": 5.0 - 4.0 * done,
                "agent_episode_returns_mean": {
                    f"agent_{k}": (10.0 if k >= 2 else -1.0) * done + rng.normal() * 0.3 for k in range(agents)
                },
                "agent_incentives_mean": {
                    f"agent_{k}": (1.1 if k < 2 else 0.05) * done + abs(rng.normal()) * 0.05 for k in range(agents)
                },
                "incentive_offered": {
                    "lever": 0.6 + 0.5 * done + rng.normal() * 0.02,
                    "start": 0.6 * (1 - done),
                    "door": 0.7 * (1 - done) + rng.normal() * 0.02,
                },
                "incentive_paid": {
                    "lever": 2.2 * done,
                    "start": 0.4 * (1 - done),
                    "door": 2.0 * done * (1 - done),
                },
                "action_share": {"lever": 0.4, "start": 0.3 * (1 - done), "door": 0.6 - 0.3 * (1 - done)},
                "agent_action_share": {
                    f"agent_{k}": {"lever": 1.0 * (k < 2), "start": 1.0 - done, "door": done * (k >= 2)}
                    for k in range(5)
                },
            }

        result: dict[str, Any] = {
            "num_env_steps_sampled_lifetime": i * 1600,
            "cpu_seconds": 0.05 * i,
            "time_total_s": 0.06 * i,
            "env_runners": runners(0.5),
            "learners": {
                **{
                    f"agent_{k}": {"entropy": 1.1 * (1 - 0.9 * done), "mean_kl_loss": 0.01 * (1 - done) + 1e-4}
                    for k in range(agents)
                },
                "designer": {
                    "replica_gap": 1e-8 * (1 + rng.random()),
                    "meta_gradient_norm": 2.0 * (1 - done) + 0.05 + 0.1 * rng.random(),
                    "loss": -done,
                    "cost": paid,
                },
            },
            "timers": {"env_runner_sampling_timer": 0.02, "designer_update": 0.015, "agents_update": 0.01},
            "config": {"ignored": True},
        }
        if i % 10 == 0:
            result["evaluation"] = {"env_runners": runners(0.1)}
        return result

    return row


def economy_row(
    level: float, rates: tuple[float, ...] = (0.1, 0.2, 0.3), brackets: tuple[str, ...] = ("0", "9.7", "39.475")
) -> Row:
    """Results of an economy of four agents whose welfare goes to `level`, and whose rates rise to `rates`."""

    def row(i: int, rng: np.random.Generator) -> dict[str, Any]:
        done = 1 - math.exp(-i / 15)

        def episode(noise: float) -> dict[str, Any]:
            skilled = {f"skill_{k}": k * done * level / 100 + noise * rng.normal() for k in range(1, 5)}
            tax = {name: value / 10 for name, value in skilled.items()}
            return {
                "welfare": level * done + 50 * noise * rng.normal(),
                "productivity": level * done / 30 + noise * rng.normal(),
                "equality": 1 - 0.5 * done + 0.01 * noise * rng.normal(),
                "trades": 20 * done,
                "tax_rate": {name: rate * done for name, rate in zip(brackets, rates, strict=True)},
                "income": skilled,
                "tax_paid": tax,
                "income_after_redistribution": {
                    name: value - tax[name] + sum(tax.values()) / 4 for name, value in skilled.items()
                },
                "income_from_building": {name: 2 * value for name, value in skilled.items()},
                "income_from_trading": {name: -value for name, value in skilled.items()},
                "wood_collected": {name: 10 * done / k for k, name in enumerate(skilled, 1)},
                "stone_collected": {name: 5 * done / k for k, name in enumerate(skilled, 1)},
                "houses": {name: value / 15 for name, value in skilled.items()},
                "labor": dict.fromkeys(skilled, 60.0),
            }

        result: dict[str, Any] = {
            "num_env_steps_sampled_lifetime": i * 1600,
            "env_runners": {"designer_return_mean": level * done, "episode": episode(1.0)},
        }
        if i % 10 == 0:
            result["evaluation"] = {"env_runners": {"episode": episode(0.2)}}
        return result

    return row


def ppo_row(i: int, rng: np.random.Generator) -> dict[str, Any]:
    """Results of an algorithm without a designer."""
    return {
        "num_env_steps_sampled_lifetime": i * 200,
        "env_runners": {"episode_return_mean": 20.0 + i + rng.normal(), "episode_len_mean": 20.0 + i},
        "learners": {"default_policy": {"entropy": 0.69 - 0.002 * i, "mean_kl_loss": 0.01}},
    }
