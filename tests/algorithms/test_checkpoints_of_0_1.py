"""A checkpoint that version 0.1 wrote: Escape Room, PPO agents with Adam and a schedule, a critic, `cost: realised`."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from rllib_metagrad import FixedIncentiveConfig, MetaGrad
from rllib_metagrad.evaluation import evaluate

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("ray_session")]
ARCHIVE = Path(__file__).parent.parent / "data" / "checkpoint_0_1.tar.gz"


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path / "checkpoint"


def test_training_goes_on_from_it(checkpoint: Path) -> None:
    """With the pending update, so that the designer steps at once; numbers are those of version 0.1."""
    algorithm = MetaGrad.from_checkpoint(checkpoint)
    assert algorithm.config.designer_cost == "realized"
    designer = algorithm.train()["learners"]["designer"]
    assert designer["replica_gap"] == 0
    assert designer["meta_gradient_norm"] == pytest.approx(0.030565530, rel=1e-4)
    assert designer["vf_loss"] == pytest.approx(33.938850, rel=1e-4)
    assert evaluate(algorithm, episodes=4)["episodes"] == 4
    algorithm.stop()


def test_agents_start_from_it(checkpoint: Path) -> None:
    config = (
        FixedIncentiveConfig()
        .environment("escape_room", env_config={"n": 2, "m": 1})
        .env_runners(num_envs_per_env_runner=2)
        .debugging(log_level="ERROR")
        .agents(loss="ppo", network={"hiddens": [4]})
        .incentives(agents_checkpoint=str(checkpoint))
    )
    algorithm = config.build_algo()
    trained = MetaGrad.from_checkpoint(checkpoint)
    theta = algorithm.learner_group._learner.state.agents[0].theta
    assert theta.equal(trained.learner_group._learner.state.agents[0].theta)
    algorithm.stop(), trained.stop()
