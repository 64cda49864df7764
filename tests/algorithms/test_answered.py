"""A frozen designer of a checkpoint, in FixedIncentive and in `answered`."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

import env_wrappers
from rllib_metagrad.algorithms import get_config_class
from rllib_metagrad.analysis import load_runs, write_report
from rllib_metagrad.answered import answered, plan
from rllib_metagrad.evaluation import evaluate, load
from rllib_metagrad.settings import SettingError

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("ray_session")]
_ROOM: dict[str, Any] = {"env": "escape_room", "env_config": {"n": 2, "m": 1}}
#: Method, settings: every kind of designer, in three games.
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "metagrad": ("MetaGrad", {**_ROOM, "agent_optimizer": "adam"}),
    "metagrad critic": ("MetaGrad", {**_ROOM, "designer_baseline": "critic", "agent_loss": "actor_critic"}),
    "dual-RL": ("DualRL", _ROOM),
    "dual-RL continuous": ("DualRL", {**_ROOM, "designer_levels": None, "mechanism_config": {"scale": 3.0}}),
    "amd": ("AMD", {"env": "matrix_game", "env_config": {"game": "prisoners_dilemma"}}),
    "constants": ("FixedIncentive", {**_ROOM, "fixed_incentives": [0.5, 0.0, 1.0]}),
    "economy": ("MetaGrad", {"env": "one_step_economy", "mechanism": "bracketed_tax", "parameter_sharing": True}),
}


def make(run: str, settings: dict[str, Any], **more: Any) -> Any:
    values = {"num_env_runners": 0, "num_envs_per_env_runner": 4, "seed": 3, **settings, **more}
    return get_config_class(run)().update_from_dict(values).build_algo()


def trained(folder: Path, kind: str, **more: Any) -> Path:
    """A checkpoint after two iterations."""
    run, settings = KINDS[kind]
    algorithm = make(run, settings, **more)
    for _ in range(2):
        algorithm.train()
    algorithm.save_to_path(folder)
    algorithm.stop()
    return folder


def eta(algorithm: Any) -> torch.Tensor:
    return algorithm.learner_group._learner.state.eta.value


def content(folder: Path) -> dict[str, str]:
    return {str(f): hashlib.sha256(f.read_bytes()).hexdigest() for f in folder.rglob("*") if f.is_file()}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_designer_plays_frozen(kind: str, tmp_path: Path) -> None:
    """Its parameters stay, agents' do not; what it is evaluated as, it was before."""
    source = trained(tmp_path / "trained", kind)
    original = load(source)
    run, settings = KINDS[kind]
    own = {"env", "env_config", "agent_loss", "parameter_sharing"}
    game = {key: value for key, value in settings.items() if key in own}
    frozen = make("FixedIncentive", game, designer_checkpoint=str(source), agents_checkpoint=str(source))
    try:
        torch.testing.assert_close(eta(frozen), eta(original), rtol=0, atol=0)
        assert type(frozen.env_runner.designer) is type(original.env_runner.designer)
        if run != "AMD":  # agents' policies are those of the checkpoint, so all of the play is
            first, second = (evaluate(each, episodes=4, seed=1) for each in (original, frozen))
            assert first == second
        before = frozen.learner_group._learner.state.agents[0].theta.clone()
        frozen.train()
        torch.testing.assert_close(eta(frozen), eta(original), rtol=0, atol=0)
        assert not torch.equal(frozen.learner_group._learner.state.agents[0].theta, before)
        frozen.save_to_path(tmp_path / "again")
        shutil.rmtree(source)  # a checkpoint of its own has all that it needs
        again = load(tmp_path / "again")
        torch.testing.assert_close(eta(again), eta(frozen), rtol=0, atol=0)
        assert evaluate(again, episodes=2) == evaluate(frozen, episodes=2)
        again.stop()
    finally:
        original.stop()
        frozen.stop()


@pytest.mark.parametrize("kind", ["metagrad", "dual-RL", "economy"])
def test_answered_is_fixed_by_its_seed_and_leaves_the_checkpoint_alone(kind: str, tmp_path: Path) -> None:
    source = trained(tmp_path / "trained", kind)
    before = content(source)
    options: dict[str, Any] = {"fresh_agents": 2, "fresh_steps": 10, "episodes": 3}
    first = answered(source, 10, **options, seed=5, folder=tmp_path / "one")
    again = answered(source, 10, **options, seed=5, folder=tmp_path / "two")
    assert json.dumps(first) == json.dumps(again)
    assert content(source) == before
    for name in ("going_on", "fresh_1", "fresh_2"):
        one, two = ((tmp_path / run / name / "result.json").read_text() for run in ("one", "two"))
        assert one == two
    other = answered(source, 10, **options, seed=6)
    assert [p["seed"] for p in other["fresh"]] != [p["seed"] for p in first["fresh"]]
    populations = [first["going_on"], *first["fresh"]]
    assert len({p["seed"] for p in populations} | {3}) == 4
    assert all(p["curve"] for p in populations)
    mean = sum(p["designer_return_mean"] for p in first["fresh"]) / 2
    assert first["fresh_estimate"]["designer_return"]["mean"] == pytest.approx(mean)
    assert first["fresh_estimate"]["designer_return"]["n"] == 2


def test_agents_that_go_on_keep_optimizer_and_schedules_and_fresh_ones_do_not(tmp_path: Path) -> None:
    source = trained(tmp_path / "trained", "metagrad")
    original = load(source)
    question = plan(source, 1)
    algorithm = question.config.copy(copy_frozen=False).build_algo()
    theirs, ours = original.learner_group._learner, algorithm.learner_group._learner
    assert ours.state.agents[0].optimizer.first.abs().sum() == 0
    algorithm.take_agents(original.agents_state())
    torch.testing.assert_close(ours.state.agents[0].optimizer.first, theirs.state.agents[0].optimizer.first)
    torch.testing.assert_close(ours.state.agents[0].theta, theirs.state.agents[0].theta)
    assert algorithm._env_steps_sampled == original._env_steps_sampled > 0
    assert evaluate(algorithm, episodes=3) == evaluate(original, episodes=3)
    original.stop()
    algorithm.stop()


def test_schedules_of_the_environment_are_over_unless_fresh_agents_shall_meet_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = trained(tmp_path / "trained", "metagrad")
    kind, over = type(env_wrappers.make_vec("escape_room", 1, n=2, m=1)), []
    monkeypatch.setattr(kind, "end_schedules", lambda env: over.append(env))

    def ended(**options: Any) -> int:
        over.clear()
        answered(source, 1, fresh_agents=1, fresh_steps=1, episodes=1, **options)
        return len({id(env) for env in over})

    # Of training as of evaluation, for those that go on and fresh ones, and of the evaluation as trained.
    all_over = ended()
    assert ended(fresh_schedules=True) == all_over - 1


def test_the_report_draws_what_answered_has_written(tmp_path: Path) -> None:
    source = trained(tmp_path / "trained", "metagrad")
    answered(source, 50, fresh_agents=2, fresh_steps=50, episodes=2, folder=tmp_path / "out")
    runs = load_runs([tmp_path / "out"])
    assert sorted(run.config["answered/agents"] for run in runs) == ["fresh", "fresh", "going_on"]
    report = write_report([tmp_path / "out"], tmp_path / "report")
    assert "answered.png" in {figure.name for figure in report.figures}
    page = report.page.read_text()
    assert "FixedIncentive" in page
    going_on = load(tmp_path / "out" / "going_on" / "checkpoint_000000")
    assert evaluate(going_on, episodes=1)["episodes"] == 1
    going_on.stop()


def test_what_cannot_be_asked_is_one_line(tmp_path: Path) -> None:
    source = trained(tmp_path / "trained", "metagrad")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("")
    for options, message in (
        ({"steps": 0}, r"^steps must be a whole number >= 1, got 0$"),
        ({"steps": 1.5}, r"^steps must be a whole number >= 1, got 1.5$"),
        ({"steps": 1, "fresh_agents": -1}, r"^fresh_agents must be a whole number >= 0, got -1$"),
        ({"steps": 1, "fresh_steps": 5}, r"^fresh_steps does nothing without fresh_agents"),
        ({"steps": 1, "fresh_schedules": True}, r"^fresh_schedules does nothing without fresh_agents"),
        ({"steps": 1, "folder": tmp_path / "full"}, r"^folder .*full is there already; name a new one$"),
        ({"steps": 1, "env_config": {"n": 3}}, r"^env_config .*possible_agents"),
        ({"steps": 1, "env_config": {"nn": 3}}, r"^env_config .*nn"),
    ):
        with pytest.raises(SettingError, match=message):
            plan(source, **options)  # type: ignore[arg-type]
    shutil.rmtree(source / "learner_group" / "learner" / "rl_module" / "designer")
    (source / "contents.json").unlink()
    marks = json.loads((source / "rllib_checkpoint.json").read_text())
    (source / "rllib_checkpoint.json").write_text(json.dumps({k: v for k, v in marks.items() if k != "contents.json"}))
    with pytest.raises(SettingError, match=r"^designer_checkpoint .* has no designer; name a checkpoint"):
        plan(source, 1)


def test_settings_beside_a_designers_checkpoint(tmp_path: Path) -> None:
    source = str(trained(tmp_path / "trained", "metagrad"))
    for more, message in (
        ({"fixed_incentives": [0, 0, 0]}, "fixed_incentives does nothing with designer_checkpoint"),
        ({"mechanism_config": {"scale": 1.0}}, "mechanism_config does nothing with designer_checkpoint"),
        ({"mechanism": "agent_incentives"}, "mechanism does nothing with designer_checkpoint"),
        ({"centralized": True}, "designer_checkpoint has no meaning with centralized: true"),
        ({"designer_checkpoint": 3}, "designer_checkpoint must be the folder of a checkpoint or null, got 3"),
        ({"designer_checkpoint": str(tmp_path)}, "designer_checkpoint .* is no checkpoint of a run"),
    ):
        with pytest.raises(SettingError, match=message):
            make("FixedIncentive", _ROOM, **{"designer_checkpoint": source, **more})
    with pytest.raises(SettingError, match="designer_checkpoint its designer does not fit escape_room, whose"):
        make("FixedIncentive", {"env": "escape_room", "env_config": {"n": 5, "m": 2}}, designer_checkpoint=source)
    centralized = make("Centralized", _ROOM)
    centralized.save_to_path(tmp_path / "centralized")
    centralized.stop()
    with pytest.raises(SettingError, match="which nobody pays; it has no designer"):
        make("FixedIncentive", _ROOM, designer_checkpoint=str(tmp_path / "centralized"))
