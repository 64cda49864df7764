"""A game of one's own, in about forty lines: a public good. MetaGrad learns what to pay so that everybody gives.

    python examples/own_game.py

In each round everybody keeps a coin, or gives it: then all three players get 0.6 of it. Giving loses 0.4, so nobody
gives, although all would have 0.8 a round if everybody did. R^ID is the sum of rewards, at most 9.6 here.
docs/pettingzoo.md says how the numbers of main() were found.
"""

import gymnasium as gym
import numpy as np
from pettingzoo import ParallelEnv

from rllib_metagrad import MetaGradConfig


class PublicGood(ParallelEnv):
    metadata = {"name": "public_good"}  # noqa: RUF012

    def __init__(self, players=3, rounds=4, render_mode=None):
        self.possible_agents = [f"player_{i}" for i in range(players)]
        self.rounds, self.render_mode = rounds, render_mode

    def observation_space(self, agent):
        return gym.spaces.Box(0, 1, (1,), np.float32)  # how many gave in the last round

    def action_space(self, agent):
        return gym.spaces.Discrete(2)  # keep, give

    def reset(self, seed=None, options=None):
        self.agents, self.round = list(self.possible_agents), 0
        return self.everybody(np.zeros(1, np.float32)), self.everybody({})

    def step(self, actions):
        given = sum(actions.values())
        rewards = {agent: 0.6 * given - actions[agent] for agent in self.agents}
        self.round += 1
        seen = self.everybody(np.array([given / len(self.agents)], np.float32))
        over, no, infos = self.everybody(self.round == self.rounds), self.everybody(False), self.everybody({})
        self.agents = [] if self.round == self.rounds else self.agents
        return seen, rewards, over, no, infos

    def everybody(self, value):
        return dict.fromkeys(self.agents, value)


def main(iterations=6):
    config = MetaGradConfig().environment("pettingzoo", env_config={"id": "own_game:PublicGood"})
    config.agents(lr=0.1, mean_baseline=True, entropy_coeff=0.2)
    config.designer(lr=0.01, betas=(0.9, 0.95), eps=1e-2, cost_coeff=0.02)
    config.incentives(num_updates_per_iteration=40, mechanism_config={"scale": 1.0, "squash": "softsign"})
    config.env_runners(num_env_runners=0, num_envs_per_env_runner=32)
    algorithm = config.debugging(seed=0).build_algo()
    for _ in range(iterations):
        result = algorithm.train()
        earned, designer = result["env_runners"]["designer_return_mean"], result["learners"]["designer"]
        norms = f"meta {designer['meta_gradient_norm']:.4f}, cost {designer['cost_gradient_norm']:.4f}"
        paid = result["env_runners"]["incentives_paid_mean"]
        print(f"designer's return {earned:.2f}, paid {paid:.2f}, gradient norms: {norms}")
    algorithm.stop()
    return earned


if __name__ == "__main__":
    main()
