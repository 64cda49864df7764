"""Two agents, three steps, rewards of 1; a file in a folder makes one env runner's environment fail, once."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from pettingzoo import ParallelEnv

AGENTS, STEPS = ("a", "b"), 3


class FaultyEnv(ParallelEnv):
    """What fails is the second step of an episode, so that something of it is there to be lost.

    Args:
        folder: where a file named as a fault and an env runner's index (``kill-1``, ``hang-2``, ``crash-0``) is looked
            for; it is removed before the fault happens.
        worker_index: of the env runner that this environment lives in.
    """

    metadata: ClassVar[dict[str, Any]] = {"name": "faulty_v0", "render_modes": []}

    def __init__(self, folder: str, worker_index: int) -> None:
        self.faults = [Path(folder) / f"{fault}-{worker_index}" for fault in ("kill", "hang", "crash")]
        self.possible_agents, self.agents, self.t = list(AGENTS), [], 0

    def observation_space(self, agent: str) -> gym.Space:
        return gym.spaces.Box(0.0, float(STEPS), (1,), np.float32)

    def action_space(self, agent: str) -> gym.Space:
        return gym.spaces.Discrete(2)

    def reset(self, seed: int | None = None, options: Any = None) -> tuple[dict[str, Any], dict[str, Any]]:
        self.agents, self.t = list(AGENTS), 0
        return self._observations(), {agent: {} for agent in AGENTS}

    def step(self, actions: dict[str, Any]) -> tuple[dict[str, Any], ...]:
        self.t += 1
        if self.t == 2:
            self._fail()
        over = self.t == STEPS
        if over:
            self.agents = []
        return (
            self._observations(),
            dict.fromkeys(AGENTS, 1.0),
            dict.fromkeys(AGENTS, over),
            dict.fromkeys(AGENTS, False),
            {agent: {} for agent in AGENTS},
        )

    def _observations(self) -> dict[str, Any]:
        return {agent: np.full(1, self.t, np.float32) for agent in AGENTS}

    def _fail(self) -> None:
        kill, hang, crash = self.faults
        if kill.exists():
            kill.unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        if hang.exists():
            hang.unlink()
            time.sleep(600)
        if crash.exists():
            crash.unlink()
            raise OSError("the simulator went away")
