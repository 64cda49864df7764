"""R^ID by a user's own function, for environments that one does not own, see docs/extending.md."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace
from typing import cast

import torch
from torch import Tensor

from rllib_metagrad.core.trajectory import Trajectory
from rllib_metagrad.settings import SettingError
from rllib_metagrad.settings.import_path import import_object

#: Of a trajectory to R^ID ``[T, B]``.
Objective = Callable[[Trajectory], Tensor]


def find_objective(path: str) -> Objective:
    """The function, or an object of the class, that an import path names.

    Raises:
        SettingError: on one line, if there is none, or it does not take a trajectory.
    """
    try:
        found = import_object(path, callable)
        found = found() if isinstance(found, type) else found
    except ValueError as error:
        raise SettingError("designer_objective", str(error)) from error
    except TypeError as error:
        raise SettingError("designer_objective", f"{path} cannot be made without arguments: {error}") from error
    try:
        inspect.signature(found).bind(None)
    except TypeError:
        raise SettingError("designer_objective", f"{path} is no function of one argument, the trajectory") from None
    return cast(Objective, found)


def judge(path: str | None) -> Callable[[Trajectory], Trajectory]:
    """What gives trajectories R^ID by a user's function, zero where nothing was stepped; None leaves it as it is.

    It raises a SettingError, on one line, if the function fails or does not give a finite number for each step,
    ``[T, B]``.
    """
    if path is None:
        return lambda trajectory: trajectory
    objective = find_objective(path)

    def judged(trajectory: Trajectory) -> Trajectory:
        try:
            values, shape = objective(trajectory), tuple(trajectory.stepped.shape)
        except Exception as error:  # a user's function may raise anything
            said = f"{type(error).__name__}: {' '.join(str(error).split())}"
            raise SettingError("designer_objective", f"{path} fails: {said}") from error
        if not isinstance(values, Tensor) or tuple(values.shape) != shape:
            got = tuple(values.shape) if isinstance(values, Tensor) else type(values).__name__
            raise SettingError("designer_objective", f"{path} must return a tensor [T, B], {shape}, got {got}")
        values = torch.where(trajectory.stepped, values.detach().to(trajectory.designer_rewards), 0.0)
        if not bool(torch.isfinite(values).all()):
            raise SettingError("designer_objective", f"{path} gives NaN or infinity")
        return replace(trajectory, designer_rewards=values)

    return judged
