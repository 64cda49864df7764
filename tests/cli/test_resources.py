"""What a trial needs is told before Ray is imported, and it is what RLlib asks for."""

from __future__ import annotations

from typing import Any

import pytest

from rllib_metagrad.algorithms import get_config_class
from rllib_metagrad.cli.resources import check, local, needs_of, needs_of_plain
from rllib_metagrad.settings import SettingError

CASES: dict[str, dict[str, Any]] = {
    "nothing": {},
    "runners": {"num_env_runners": 2, "num_cpus_per_env_runner": 0.5, "num_gpus_per_env_runner": 0.25},
    "custom": {"num_env_runners": 1, "custom_resources_per_env_runner": {"simulator": 1, "port": 2}},
    "main": {"num_cpus_for_main_process": 3, "custom_resources_for_main_process": {"disk": 1}},
    "learners": {"num_learners": 4, "num_gpus_per_learner": 0.5, "custom_resources_per_learner": {"fast": 1}},
    "learners' CPUs": {"num_learners": 2, "num_cpus_per_learner": 3, "num_cpus_for_main_process": 2},
    "main process learns": {"num_cpus_per_learner": 5, "num_gpus_per_learner": 1},
    "main process learns on a GPU": {"num_gpus_per_learner": 1, "num_env_runners": 3},
    "evaluation": {"evaluation_interval": 2, "evaluation_num_env_runners": 3, "num_env_runners": 1},
    "evaluation's own": {
        "evaluation_interval": 1,
        "evaluation_num_env_runners": 2,
        "evaluation_config": {"num_cpus_per_env_runner": 2, "custom_resources_per_env_runner": {"port": 1}},
    },
    "evaluation by hand": {"evaluation_num_env_runners": 3},
    "all": {
        "num_learners": 2,
        "num_env_runners": 2,
        "evaluation_interval": 1,
        "evaluation_num_env_runners": 1,
        "num_cpus_per_learner": 2,
        "num_cpus_per_env_runner": 3,
    },
}


@pytest.mark.parametrize("plain", CASES.values(), ids=CASES)
@pytest.mark.parametrize("kind", ["MetaGrad", "Centralized"])
def test_told_early_and_by_rllib(kind: str, plain: dict[str, Any]) -> None:
    whole = {"env": "escape_room", "num_envs_per_env_runner": 8, **plain}
    config = get_config_class(kind)().update_from_dict(whole)
    early, late = needs_of_plain(whole), needs_of(config, whole)
    assert [one.what for one in early] == [one.what for one in late]
    for one, other in zip(early, late, strict=True):
        assert (one.count, one.number, one.keys) == (other.count, other.number, other.keys)
        for name in {*one.each, *other.each}:
            assert one.of(name) == other.of(name), (one.what, name)


def test_gpus_are_counted_only_where_some_are_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 3)
    assert local(needs_of_plain({}), 2, None) == {"CPU": 2, "GPU": 0}
    assert local(needs_of_plain({"num_gpus_per_learner": 1}), 2, None) == {"CPU": 2, "GPU": 3}
    assert local(needs_of_plain({"num_gpus_per_learner": 1}), 2, 1) == {"CPU": 2, "GPU": 1}
    with pytest.raises(SettingError, match=r"a trial needs 4 GPUs .*, Ray has 3 here; set it to 0"):
        check(needs_of_plain({"num_gpus_per_learner": 4}), {"CPU": 2, "GPU": 3})
