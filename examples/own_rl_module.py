"""An RLModule of one's own as every agent's policy, as in RLlib, with one trunk for actor and critic.

    python examples/own_rl_module.py

Any TorchRLModule whose ``_forward_train`` gives ACTION_DIST_INPUTS, and that has values (ValueFunctionAPI) where the
agents' loss needs a critic. Solves Escape Room ER(2,1), where 9 is the largest return of the designer, and prints it.
"""

from ray.rllib.core.columns import Columns
from ray.rllib.core.rl_module.apis import ValueFunctionAPI
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.rllib.core.rl_module.torch import TorchRLModule
from torch import nn

from rllib_metagrad import MetaGradConfig


class OneTrunk(TorchRLModule, ValueFunctionAPI):
    """Where the agents are, in one hidden layer; what to do, and what it is worth, in one output layer each."""

    def setup(self):
        width = self.model_config["width"]
        self.trunk = nn.Sequential(nn.Linear(self.observation_space.shape[0], width), nn.Tanh())
        self.actor, self.critic = nn.Linear(width, self.action_space.n), nn.Linear(width, 1)

    def _forward(self, batch, **kwargs):
        hidden = self.trunk(batch[Columns.OBS])
        return {Columns.ACTION_DIST_INPUTS: self.actor(hidden), Columns.EMBEDDINGS: hidden}

    def compute_values(self, batch, embeddings=None):
        hidden = self.trunk(batch[Columns.OBS]) if embeddings is None else embeddings
        return self.critic(hidden).squeeze(-1)


def main(iterations=10):
    config = MetaGradConfig().environment("escape_room", env_config={"n": 2, "m": 1})
    config.rl_module(rl_module_spec=RLModuleSpec(module_class=OneTrunk, model_config={"width": 32}))
    config.agents(loss="actor_critic", lr=0.01, entropy_coeff=0.0166).designer(lr=0.01, cost_coeff=0.03)
    config.incentives(num_updates_per_iteration=50)
    config.env_runners(num_env_runners=1, num_envs_per_env_runner=32)
    algorithm = config.debugging(seed=0).build_algo()
    for _ in range(iterations):
        earned = algorithm.train()["env_runners"]["designer_return_mean"]
        print(f"designer's return {earned:.2f}")
    policy = algorithm.get_module("agent_0").unwrapped()  # a OneTrunk with the learned parameters
    print(f"{sum(value.numel() for value in policy.parameters())} parameters in a {type(policy).__name__}")
    algorithm.stop()
    return earned


if __name__ == "__main__":
    from own_rl_module import main  # workers import the class as own_rl_module:OneTrunk, not as __main__'s

    main()
