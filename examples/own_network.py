"""Networks of one's own: agents that see the others as a set, and a designer that attends to the agents.

    python examples/own_network.py

Any ``torch.nn.Module`` that is a function of its parameters and of one row of input at a time. Trains Escape
Room ER(3,1), whose observations are the places of all three agents, one-hot, and prints the designer's return.
"""

import torch
from torch import nn

from rllib_metagrad import MetaGradConfig


class SetOfAgents(nn.Module):
    """An agent's own place, and the sum of what is made of the others'. The critic is another one, with one output."""

    def __init__(self, input_shape, num_outputs, width=16):
        super().__init__()
        self.others = nn.Sequential(nn.Linear(3, width), nn.Tanh())
        self.head = nn.Sequential(nn.Linear(3 + width, width), nn.Tanh(), nn.Linear(width, num_outputs))

    def forward(self, observations):
        places = observations.unflatten(-1, (-1, 3))  # [n, agents, 3], the own place first
        return self.head(torch.cat([places[:, 0], self.others(places[:, 1:]).sum(1)], dim=-1))


class Watchful(nn.Module):
    """The designer's, which is given the joint action, too: attention over agents' places and actions."""

    def __init__(self, input_shape, num_outputs, num_features, width=16):
        super().__init__()
        self.look, self.head = nn.Linear(6, 3 * width), nn.Linear(width, num_outputs)

    def forward(self, states, features):
        agents = torch.cat([states.unflatten(-1, (-1, 3)), features.unflatten(-1, (-1, 3))], dim=-1)
        query, key, value = self.look(agents).chunk(3, dim=-1)
        weights = torch.softmax(query @ key.transpose(-1, -2), dim=-1)
        return self.head((weights @ value).mean(1))


def main(iterations=10):
    config = MetaGradConfig().environment("escape_room", env_config={"n": 3, "m": 1})
    config.agents(lr=0.1, network={"custom": SetOfAgents, "custom_config": {"width": 32}})
    config.designer(lr=0.01, cost_coeff=0.04, network={"custom": Watchful})
    config.incentives(num_updates_per_iteration=10)
    config.env_runners(num_env_runners=1, num_envs_per_env_runner=32)
    algorithm = config.debugging(seed=0).build_algo()
    for _ in range(iterations):
        earned = algorithm.train()["env_runners"]["designer_return_mean"]
        print(f"designer's return {earned:.2f}")
    algorithm.stop()
    return earned


if __name__ == "__main__":
    from own_network import main  # workers import the classes as own_network:..., not as __main__'s

    main()
