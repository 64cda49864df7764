"""What an incentive function is worth once agents have answered it: the designer frozen, agents going on to learn.

As it was trained, a designer's result may rest on habits: agents that have not noticed yet what is no longer paid.
Here nobody changes the incentives any more (``FixedIncentive`` with ``designer_checkpoint``), and either the
checkpoint's own agents go on learning, or new ones learn from scratch. What new agents come to is owed to
the incentives alone.
"""

from __future__ import annotations

import copy
import json
import math
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from ray.rllib.algorithms.algorithm import Algorithm

import env_wrappers
from rllib_metagrad import metrics
from rllib_metagrad.algorithms.base import IncentiveDesign
from rllib_metagrad.algorithms.baselines import FixedIncentiveConfig
from rllib_metagrad.algorithms.config import IncentiveDesignConfig
from rllib_metagrad.algorithms.frozen import read_module
from rllib_metagrad.checkpoint_files import check_whole
from rllib_metagrad.environments import build_env
from rllib_metagrad.evaluation import IN_ONE_PROCESS, check_fit, evaluate, load
from rllib_metagrad.modules.spec import EnvSpec
from rllib_metagrad.ray_compat import registered_env
from rllib_metagrad.settings import SettingError
from rllib_metagrad.statistics import estimate

__all__ = ["AS_TRAINED", "FRESH", "GOING_ON", "OUTCOMES", "Plan", "answered", "plan", "run"]

AS_TRAINED, GOING_ON, FRESH = "as_trained", "going_on", "fresh"
#: What is reported of each population, with standard errors over episodes.
OUTCOMES = (metrics.RETURN, metrics.PAID, metrics.NET, metrics.EPISODE_RETURN)
#: Settings that the checkpoint's own method has for its designer, or that say where to start.
_NOT_TAKEN = {
    *("algo_class", "_is_frozen", "learner_class", "_learner_class", "agents_checkpoint", "designer_checkpoint"),
    *("designer_network", "fixed_incentives", "mechanism", "mechanism_config", "in_evaluation", "seed"),
}


@dataclass(frozen=True)
class Plan:
    """A checked question: whose incentives, and who answers them for how long.

    Attributes:
        checkpoint: its folder.
        config: of agents that learn under the frozen designer; seeds are set for each population.
        steps: environment steps for which the checkpoint's agents go on.
        fresh_agents: populations from scratch.
        fresh_steps: theirs; None for as many as the checkpoint's training took.
        fresh_schedules: the environment's schedules begin anew for them; else they are over.
        episodes, greedy: of the evaluations.
        seed: of everything.
        folder: where curves and checkpoints go; None to write nothing.
        env_config: changes to the environment of training.
    """

    checkpoint: Path
    config: FixedIncentiveConfig
    steps: int
    fresh_agents: int = 0
    fresh_steps: int | None = None
    fresh_schedules: bool = False
    episodes: int = 100
    greedy: bool = False
    seed: int = 0
    folder: Path | None = None
    env_config: dict[str, Any] = field(default_factory=dict)

    def seed_of(self, population: int) -> int:
        """Of agents, environments and actions of a population: 0 goes on, 1, 2, ... are fresh.

        Drawn by ``SeedSequence([seed, population])``, so that none repeats the training's, nor another one's.
        """
        return int(np.random.SeedSequence([self.seed, population]).generate_state(1)[0] >> 1)


def answered(checkpoint: str | Path, steps: int, **options: Any) -> dict[str, Any]:
    """:func:`plan` and :func:`run` in one.

    Args:
        checkpoint: a folder that ``Algorithm.save_to_path`` or Tune wrote; it is only read.
        steps: environment steps, >= 1, in whole iterations of training, for which its agents go on.
        options: see :func:`plan`.
    """
    return run(plan(checkpoint, steps, **options))


def plan(
    checkpoint: str | Path,
    steps: int,
    *,
    fresh_agents: int = 0,
    fresh_steps: int | None = None,
    fresh_schedules: bool = False,
    episodes: int = 100,
    greedy: bool = False,
    seed: int = 0,
    env_config: Mapping[str, Any] | None = None,
    folder: str | Path | None = None,
) -> Plan:
    """Checks everything that can be known before anything is trained; Ray need not run.

    Args:
        checkpoint: of any algorithm of this package that pays agents.
        steps: see :func:`answered`.
        fresh_agents: how many populations learn from scratch beside it, >= 0.
        fresh_steps: theirs, >= 1; None for as many as the checkpoint's training took, for which settings that are
            schedules over environment steps were written. Those that go on stay where their schedules have come to.
        fresh_schedules: fresh agents meet the environment's own schedules, such as a cap on rates that rises, from
            their start, as in training. By default they are over, as in every evaluation; for agents that go on always.
        episodes, greedy: of the evaluation of each population, see :func:`evaluation.evaluate`.
        seed: >= 0; the whole result follows from it.
        env_config: changes to the environment of training, merged key by key.
        folder: a new or empty one, which ``rllib report`` can draw afterwards; None to write nothing.

    Raises:
        SettingError: a value that cannot be, with the argument's name as the key; ``designer_checkpoint`` where
            the checkpoint has no designer, ``env_config`` where the environment does not fit.
        IncompleteCheckpointError: for a part of a checkpoint.
    """
    for key, value, least in (
        ("steps", steps, 1),
        ("fresh_agents", fresh_agents, 0),
        ("fresh_steps", 1 if fresh_steps is None else fresh_steps, 1),
        ("episodes", episodes, 1),
        ("seed", seed, 0),
    ):
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise SettingError(key, f"must be a whole number >= {least}, got {value!r}")
    for key, given in (("fresh_steps", fresh_steps is not None), ("fresh_schedules", fresh_schedules)):
        if given and not fresh_agents:
            raise SettingError(key, "does nothing without fresh_agents; set that, or leave it out")
    target = None if folder is None else Path(folder).absolute()
    if target is not None and target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise SettingError("folder", f"{target} is there already; name a new one")
    source = Path(checkpoint).absolute()
    check_whole(source)
    spec: EnvSpec = read_module(source).model_config["env_spec"]
    config = frozen_config(source, env_config or {})
    _check_environment(config, spec, env_config or {})
    return Plan(
        source,
        config,
        steps,
        fresh_agents,
        fresh_steps,
        fresh_schedules,
        episodes,
        greedy,
        seed,
        target,
        dict(env_config or {}),
    )


def frozen_config(checkpoint: Path, changes: Mapping[str, Any]) -> FixedIncentiveConfig:
    """Agents that learn as a checkpoint's did, in as many environments, all in this process, under its frozen designer.

    Args:
        checkpoint: its folder.
        changes: to env_config.

    Raises:
        SettingError: as ``validate`` does.
    """
    with (checkpoint / Algorithm.CLASS_AND_CTOR_ARGS_FILE_NAME).open("rb") as file:
        (state, *_), _ = pickle.load(file)["ctor_args_and_kwargs"]
    trained = IncentiveDesignConfig.from_state(state)
    config = FixedIncentiveConfig()
    for key in sorted(vars(config).keys() & vars(trained).keys() - _NOT_TAKEN):
        setattr(config, key, copy.deepcopy(getattr(trained, key)))
    for key, value in IN_ONE_PROCESS.items():
        setattr(config, key, value)
    config.num_envs_per_env_runner = trained.num_envs_per_env_runner * max(1, trained.num_env_runners)
    config.designer_checkpoint = str(checkpoint)
    config.environment(env_config=dict(changes))  # merged
    config.validate()
    return config


def _check_environment(config: FixedIncentiveConfig, trained: EnvSpec, changes: Mapping[str, Any]) -> None:
    """The environment is made once, and must fit the checkpoint's agents and designer; Ray may know it when it runs."""
    name = config.env
    known = name in env_wrappers.names()
    creator = name if isinstance(name, type) else registered_env(str(name))
    if not known and creator is None:
        return
    try:
        env = build_env(config, 1, creator)
        spec = EnvSpec.of(env)
        env.close()
        check_fit(trained, spec)
    except (ValueError, TypeError) as error:
        raise SettingError("env_config", " ".join(str(error).split())) from error
    config.make_setup(spec, config.make_stacks(spec))


def run(question: Plan) -> dict[str, Any]:
    """Trains and evaluates every population of a plan, one after another in this process; equal again bit for bit.

    Returns:
        JSON-able: what was asked; ``as_trained``, the evaluation of the checkpoint; ``going_on`` and the list
        ``fresh``, one record a population with its seed, environment steps, evaluation and ``curve``, the training's
        results of every iteration; ``fresh_estimate``, over populations, of each outcome: mean, standard error,
        standard deviation, interquartile mean and its 95% interval, lowest, highest.

    Raises:
        OSError: the folder cannot be written.
    """
    algorithm = load(question.checkpoint)
    try:
        assert isinstance(algorithm, IncentiveDesign)
        before = _outcome(algorithm, question, question.seed, question.env_config)
        agents = algorithm.agents_state()
    finally:
        algorithm.stop()
    fresh_steps = agents["env_steps"] if question.fresh_steps is None else question.fresh_steps
    result: dict[str, Any] = {
        "checkpoint": str(question.checkpoint),
        "steps": question.steps,
        "fresh_agents": question.fresh_agents,
        "fresh_steps": fresh_steps if question.fresh_agents else None,
        "fresh_schedules": question.fresh_schedules,
        "trained_steps": agents["env_steps"],
        "episodes": question.episodes,
        "greedy": question.greedy,
        "seed": question.seed,
        "env_config": question.env_config,
        AS_TRAINED: before,
    }
    result[GOING_ON] = _population(question, 0, question.steps, before, agents)
    result[FRESH] = [
        _population(question, number, fresh_steps, before) for number in range(1, question.fresh_agents + 1)
    ]
    if result[FRESH]:
        result["fresh_estimate"] = {metric.stem: _over(result[FRESH], metric) for metric in OUTCOMES}
    if question.folder is not None:
        _write(question.folder / "answered.json", json.dumps(result, indent=1))
    return result


def _population(
    question: Plan, number: int, steps: int, before: dict[str, Any], agents: dict[str, Any] | None = None
) -> dict[str, Any]:
    """One population: learns, is evaluated, and stands in a folder of its own.

    Args:
        question: the plan.
        number: 0 for the agents that go on.
        steps: environment steps at least.
        before: outcome as trained, which figures show beside it.
        agents: to go on from; None for fresh ones.
    """
    seed = question.seed_of(number)
    config = question.config.copy(copy_frozen=False).debugging(seed=seed)
    algorithm: IncentiveDesign = config.build_algo()
    try:
        if agents is not None:
            algorithm.take_agents(agents)
        if agents is not None or not question.fresh_schedules:
            algorithm.env_runner_group.foreach_env_runner(lambda runner: runner.env.end_schedules())
        curve = _learn(algorithm, steps)
        found = {
            "seed": seed,
            "env_steps": int(curve[-1][metrics.ENV_STEPS] or 0),
            **_outcome(algorithm, question, question.seed, {}),
            "curve": curve,
        }
        if question.folder is not None:
            name = f"{FRESH}_{number}" if agents is None else GOING_ON
            _store(question, question.folder / name, algorithm, found, before)
        return found
    finally:
        algorithm.stop()


def _learn(algorithm: IncentiveDesign, steps: int) -> list[dict[str, float | None]]:
    """Whole iterations until there are so many steps; of each, the results that do not depend on the machine."""
    rows: list[dict[str, float | None]] = []
    while not rows or (rows[-1][metrics.ENV_STEPS] or 0) < steps:
        results = algorithm.train()
        row = {str(key): results[key] for key in (metrics.ITERATION, metrics.ENV_STEPS)}
        sampled = _flat(results[metrics.TRAINING.rstrip("/")], metrics.TRAINING)
        known = metrics.SECTIONS["sampling"] + metrics.SECTIONS["economies"]
        row |= {key: value for key, value in sampled.items() if metrics.find(key) in known}
        rows.append({key: _number(value) for key, value in row.items()})
    return rows


def _flat(value: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, item in value.items():
        flat |= _flat(item, f"{prefix}{key}/") if isinstance(item, Mapping) else {f"{prefix}{key}": item}
    return flat


def _number(value: Any) -> float | None:
    """JSON has neither NaN nor numpy's scalars."""
    return float(value) if math.isfinite(value) else None


def _outcome(algorithm: IncentiveDesign, question: Plan, seed: int, changes: Mapping[str, Any]) -> dict[str, Any]:
    """An evaluation's outcomes, and what the designer offered."""
    found = evaluate(algorithm, question.episodes, seed, question.greedy, env_config=changes)
    keys = [f"{metric.stem}_{kind}" for metric in OUTCOMES for kind in ("mean", "se")]
    keys += [metrics.OFFERED.key[0], metrics.EPISODE.key[0], f"{metrics.EPISODE.key[0]}_se"]
    return {key: found[key] for key in keys if key in found}


def _over(populations: Sequence[Mapping[str, Any]], metric: metrics.Metric) -> dict[str, float | None]:
    """The estimate of an outcome over populations; null where one population says nothing."""
    values = [population[f"{metric.stem}_mean"] for population in populations]
    found = estimate(values)
    return {
        "mean": found.mean,
        "standard_error": _number(found.standard_error),
        "standard_deviation": _number(found.standard_error * math.sqrt(found.n)),
        "iqm": found.iqm,
        "low": _number(found.low),
        "high": _number(found.high),
        "lowest": min(values),
        "highest": max(values),
        "n": found.n,
    }


# -- files ----------------------------------------------------------------------------------------------------
def _store(
    question: Plan, folder: Path, algorithm: IncentiveDesign, found: Mapping[str, Any], before: Mapping[str, Any]
) -> None:
    """A trial's folder as Tune would leave it: settings, results, and the checkpoint."""
    config = algorithm.config
    settings = {key: getattr(config, key) for key in ("env", "env_config", "seed", "num_envs_per_env_runner")}
    settings |= {key: getattr(config, key) for key in config.own_keys() if key != "policy_mapping"}
    settings["designer_checkpoint"] = str(question.checkpoint)
    agents = GOING_ON if folder.name == GOING_ON else FRESH
    levels = {str(metric): before[f"{metric.stem}_mean"] for metric in OUTCOMES}
    settings["answered"] = {"agents": agents, AS_TRAINED: levels}
    folder.mkdir(parents=True)
    _write(folder / "params.json", json.dumps(settings, default=str))
    _write(folder / "result.json", "\n".join(json.dumps(row) for row in found["curve"]))
    # Reports read the method's name here.
    _write(folder.parent / "rllib_train.json", json.dumps({"run": config.name()}))
    algorithm.save_to_path(folder / "checkpoint_000000")


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text + "\n", encoding="utf-8")
