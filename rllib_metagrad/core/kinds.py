"""The classes that learners' states are made of, for files that hold them as data (state_files.py)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from rllib_metagrad.core.agent_update import AgentState, Batch, Step, Update
from rllib_metagrad.core.optimizers import OptimizerState
from rllib_metagrad.core.state import AgentsUpdate, AnswerMemory, Parameter, RunningMoments
from rllib_metagrad.core.trajectory import StackTrajectory, Trajectory
from rllib_metagrad.metrics import Metric
from rllib_metagrad.settings import AgentSettings, NetworkSettings, Schedule
from rllib_metagrad.state_files import Kind, NotPlainError


def _to_array(tensor: Tensor) -> Any:
    try:
        return tensor.detach().cpu().contiguous().numpy()
    except (TypeError, RuntimeError) as error:  # types that numpy has not, sparse tensors
        raise NotPlainError(f"a tensor of {tensor.dtype}: {error}") from error


def _given(settings: NetworkSettings) -> dict[str, Any]:
    """What was given: a network of one's own refuses all else, defaults included."""
    return {name: value for name, value in settings if name in settings.model_fields_set}


_RECORDS = (
    *(AgentState, AgentsUpdate, AnswerMemory, Batch, OptimizerState, Parameter, RunningMoments),
    *(StackTrajectory, Step, Trajectory, Update),
)
#: Names are for ever: checkpoints hold them.
KINDS: tuple[Kind, ...] = (
    Kind("tensor", Tensor, _to_array, torch.from_numpy),
    Kind("Schedule", Schedule, lambda schedule: schedule.points, Schedule),
    Kind("Metric", Metric, Metric.__getnewargs__, lambda content: Metric(*content)),
    # Defaults included: they may be others in the version that reads it.
    Kind("AgentSettings", AgentSettings, dict, lambda content: AgentSettings(**content)),
    Kind("NetworkSettings", NetworkSettings, _given, lambda content: NetworkSettings(**content)),
    *(Kind.of_dataclass(record) for record in _RECORDS),
)
