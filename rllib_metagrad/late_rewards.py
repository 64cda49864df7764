"""What agents are paid after their end, for what they did before it.

Environments may pay an agent in a step in which it no longer acts. The designer's reward and every sum of rewards count
that in the step in which it is paid. An agent's return ends with its last step, so it would learn nothing of it: here
gamma^k times what is paid k steps late moves to its last step, and the rest stays where it is. Its discounted return
there is then exact, and so is the sum of its rewards.
"""

from __future__ import annotations

import numpy as np

from env_wrappers.vector import EnvAPIError, VectorIncentiveEnv


class LateRewards:
    """Credits late rewards in rollouts that follow each other.

    Args:
        env: batched environments, of B copies with N agents.
        gamma: the agents' discount.
    """

    def __init__(self, env: VectorIncentiveEnv, gamma: float) -> None:
        self.env, self.gamma = env, gamma
        self.restart()

    def restart(self) -> None:
        """All copies are reset: nobody's life has ended in an earlier rollout."""
        self._ended = np.zeros((self.env.num_envs, len(self.env.possible_agents)), bool)

    def credit(self, rewards: np.ndarray, active: np.ndarray, ended: np.ndarray, stepped: np.ndarray) -> None:
        """Moves late rewards in place.

        Args:
            rewards: ``[T, B, N]``, changed.
            active: ``[T, B, N]`` bool, the agent acted.
            ended: ``[T, B, N]`` bool, its life ended or was cut.
            stepped: ``[T, B]`` bool; where False, the copy was reset, or its episode is over.

        Raises:
            EnvAPIError: if an agent's last step belongs to an earlier rollout.
        """
        for t, b, n in np.argwhere((rewards != 0) & ~active):
            resets = np.flatnonzero(~stepped[:t, b])
            start = resets[-1] if len(resets) else 0
            ends = np.flatnonzero(ended[start:t, b, n])
            if len(ends):
                last = start + ends[-1]
                moved = np.float32(self.gamma ** float(t - last)) * rewards[t, b, n]
                rewards[last, b, n] += moved
                rewards[t, b, n] -= moved
            elif not len(resets) and self._ended[b, n]:
                raise EnvAPIError(
                    f"env {self.env.name!r}: agent {self.env.possible_agents[n]!r}: paid {rewards[t, b, n]:g} after "
                    "its end, which was in an earlier fragment; set batch_mode: complete_episodes"
                )
        was_reset, rows = ~stepped, np.arange(len(stepped))[:, None]
        since = np.where(was_reset, rows, 0).max(0)  # the last reset of each copy
        lived = (ended & (rows >= since)[..., None]).any(0)
        self._ended = lived | (self._ended & ~was_reset.any(0, keepdims=True).T)
