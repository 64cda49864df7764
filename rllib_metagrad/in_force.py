"""Designers whose outputs the environment's dynamics read decide before such steps; outputs are held in between."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from env_wrappers.vector import VectorIncentiveEnv
from rllib_metagrad.modules.designer import Designer


class InForce:
    """What the designer decided in each of ``B`` environments, and a record of it.

    Args:
        env: says by ``designer_due`` who reads the designer's output next.
        designer: decides from the state alone.
        generator: of a stochastic designer's draws.

    Attributes:
        output: ``[B, U]`` float32, in force.
    """

    def __init__(self, env: VectorIncentiveEnv, designer: Designer, generator: torch.Generator) -> None:
        self.env, self.designer, self.generator = env, designer, generator
        self.output = np.zeros((env.num_envs, designer.mechanism.num_outputs), np.float32)
        self._rows: list[dict[str, np.ndarray]] = []

    def before_step(self, eta: Tensor, greedy: bool) -> np.ndarray:
        """Asks the designer where its output is due; returns what the environment's step takes."""
        due = self.env.designer_due.copy()
        row: dict[str, np.ndarray] = {"designer_due": due}
        if due.any():
            states = torch.from_numpy(self.env.state[due])
            step = self.designer.act(eta, states, states.new_zeros(len(states), 0), self.generator, greedy)
            self.output[due] = step.outputs.numpy()
            for key, values in (("designer_actions", step.actions), ("designer_log_probs", step.log_probs)):
                if values is not None:
                    row[key] = np.zeros((len(due), *values.shape[1:]), values.numpy().dtype)
                    row[key][due] = values.numpy()
        row["designer_output"] = self.output.copy()
        self._rows.append(row)
        return self.designer.mechanism.to_environment(torch.from_numpy(row["designer_output"])).numpy()

    def pop_record(self) -> dict[str, Any]:
        """The record since the last call, as the trajectory's ``[T, B, ...]``; zeros where nobody decided."""
        rows, self._rows = self._rows, []
        examples = {key: row[key] for row in rows for key in row}
        return {
            key: torch.from_numpy(np.stack([row.get(key, np.zeros_like(example)) for row in rows]))
            for key, example in examples.items()
        }
