"""The registry of metrics holds what trainings log, all of it and nothing else, and docs/metrics.md is made from it."""

from __future__ import annotations

import copy
import importlib.util
import pickle
from pathlib import Path
from typing import Any

import pytest
import yaml

from rllib_metagrad import metrics
from rllib_metagrad.algorithms import get_config_class
from rllib_metagrad.analysis.runs import flatten
from rllib_metagrad.old_metrics import current

ROOT = Path(__file__).parent.parent.parent
# Say which trial this is, when and where; no metrics.
_IDENTITY = {"done", "trial_id", "date", "timestamp", "pid", "hostname", "node_ip", "perf"}
# Only when something goes wrong (tests/algorithms, tests/faults), or where psutil is installed.
_RARE = {metrics.SKIPPED_UPDATES, metrics.MACHINE}


def logged(name: str, **changes: Any) -> set[str]:
    """Names in the result of the second of two small iterations of a shipped config."""
    (experiment,) = yaml.safe_load((ROOT / "tuned_configs" / f"{name}.yaml").read_text()).values()
    small = {"num_envs_per_env_runner": 2, "num_updates_per_iteration": 1, "evaluation_interval": None}
    settings = {**experiment["config"], **small, "env": experiment["env"], "log_level": "ERROR", **changes}
    algorithm = get_config_class(experiment["run"])().update_from_dict(settings).build_algo()
    algorithm.train()
    result = {key: value for key, value in algorithm.train().items() if key != "config" and key not in _IDENTITY}
    algorithm.stop()
    return set(flatten(result))


def renamed_metrics() -> list[metrics.Metric]:
    return [metric for metric in metrics.ALL if metric.was]


@pytest.mark.integration
@pytest.mark.usefixtures("ray_session")
def test_what_trainings_log_is_what_is_documented() -> None:
    """Escape Room with its other designers, and the largest economy, evaluated."""
    economy = {"agent_minibatch_size": 100, "designer_interval": 1, "evaluation_interval": 1, "evaluation_duration": 2}
    names = logged("escape_room/metagrad_5_2", log_gradients=True) | logged("gather_trade_build/metagrad", **economy)
    names |= logged("escape_room/metagrad_5_2_cloned") | logged("escape_room/dual_rl_5_2_2levels")
    whole = {"agent_entropy_coeff": 0.1, "designer_interval": 1, "designer_direct_coeff": None}
    fisher = {"designer_response": "fisher", "designer_response_cross": 1, "designer_response_kl": 0.01}
    names |= logged("contract/metagrad", **whole, **fisher, num_updates_per_iteration=2)
    names |= logged("escape_room/metagrad_5_2", **whole, designer_response="critic")
    old = {name for name in names if current(name) != name}
    assert {current(name) for name in old} == {name for name in names if metrics.find(name) in renamed_metrics()}
    found = {name: metrics.find(name) for name in names - old}
    assert [name for name, metric in found.items() if metric is None] == []
    # What an economy measures is named one by one.
    assert [name for name, metric in found.items() if metric is metrics.EPISODE] == []
    expected = {metric.path for metric in metrics.ALL} - {metric.path for metric in _RARE} - {metrics.EPISODE.path}
    assert expected - {metric.path for metric in found.values() if metric is not None} == set()


def test_the_page_is_made_from_the_registry() -> None:
    spec = importlib.util.spec_from_file_location("write_docs", ROOT / "scripts" / "write_docs.py")
    assert spec is not None
    assert spec.loader is not None
    write_docs = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(write_docs)
    page = (ROOT / "docs" / "metrics.md").read_text()
    assert write_docs.metrics_page(page) == page, "run python scripts/write_docs.py"
    with pytest.raises(ValueError, match="no markers <!-- begin x -->"):
        write_docs.with_tables(page, {"x": ""})


def test_paths_are_unique_and_each_is_in_one_table() -> None:
    paths = [metric.path for metric in metrics.ALL]
    assert len(set(paths)) == len(paths)
    assert sum(metrics.SECTIONS.values(), ()) == metrics.ALL


def test_names_take_their_places() -> None:
    share = metrics.AGENT_ACTION_SHARE.of("agent_0", "clean")
    assert (share, share.key, share.reduce) == (
        "agent_action_share/agent_0/clean",
        ("agent_action_share", "agent_0", "clean"),
        "mean",
    )
    assert metrics.EPISODE.of("tax_rate", "9.7").key == ("episode", "tax_rate", "9.7")
    # A name with a slash stays one level.
    assert metrics.AGENT_RETURN.of("a/b").key == ("agent_episode_returns_mean", "a/b")
    assert (metrics.TAX_RATE.prefix, metrics.NET.stem) == ("episode/tax_rate/", "designer_net_return")
    assert metrics.REPLICA_GAP.path == "learners/designer/replica_gap"


@pytest.mark.parametrize(
    ("path", "metric"),
    [
        ("env_runners/designer_net_return_mean", metrics.NET),
        ("evaluation/env_runners/designer_net_return_mean", metrics.NET),
        ("env_runners/episode/welfare", metrics.WELFARE),
        ("env_runners/episode/anything", metrics.EPISODE),
        ("learners/agent_0/mean_kl_loss", metrics.KL),
        ("learners/timers/agents_update", metrics.AGENTS_UPDATE_SECONDS),
        ("timers/env_runner_sampling_timer", metrics.SAMPLE_SECONDS),
        ("timers/training_step", metrics.OTHER_TIMERS),
        ("designer_net_return_mean", None),
    ],
)
def test_keys_of_results_are_recognized(path: str, metric: metrics.Metric | None) -> None:
    assert metrics.find(path) is metric


def test_metrics_can_be_copied_and_sent() -> None:
    for same in (copy.deepcopy(metrics.REPLICA_GAP), pickle.loads(pickle.dumps(metrics.REPLICA_GAP))):
        assert (same, same.key, same.reduce, same.path) == (
            metrics.REPLICA_GAP,
            metrics.REPLICA_GAP.key,
            "max",
            metrics.REPLICA_GAP.path,
        )
