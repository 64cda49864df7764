"""A designer and an objective of one's own: one table of incentives for all states, for the sake of whoever has least.

    python examples/own_designer.py

Trains Escape Room ER(2,1) and prints the designer's return, which is now that of the worst-off agent.
"""

from rllib_metagrad import MetaGradConfig
from rllib_metagrad.modules.designer import IncentiveFunction
from rllib_metagrad.modules.networks import Leaf, Parameters


class OneTable(IncentiveFunction):
    def __init__(self, state_shape, num_features, mechanism, settings, output_bias, picture_shape):
        self.mechanism = mechanism
        self.parameters = Parameters([Leaf("incentive_table", (mechanism.num_outputs,), bound=0.1)])

    def outputs(self, eta, states, features):
        """From ``eta [1, D]`` and n states to incentives ``[n, U]``."""
        return self.mechanism.squash(eta).expand(len(states), -1)


def worst_off(trajectory):
    """The reward of whoever has least, in each step: ``[T, B]``."""
    return trajectory.rewards.min(-1).values


def main(iterations=5):
    config = MetaGradConfig().environment("escape_room", env_config={"n": 2, "m": 1})
    config.agents(lr=0.1, mean_baseline=True, entropy_coeff=0.0166)
    config.designer(class_=OneTable, objective=worst_off, lr=0.02, cost_coeff=0.01)
    config.incentives(num_updates_per_iteration=40)
    config.env_runners(num_env_runners=1, num_envs_per_env_runner=32)
    algorithm = config.debugging(seed=1).build_algo()
    for _ in range(iterations):
        earned = algorithm.train()["env_runners"]["designer_return_mean"]
        print(f"designer's return {earned:.2f}")
    algorithm.stop()
    return earned


if __name__ == "__main__":
    from own_designer import main  # workers import the class as own_designer:OneTable, not as __main__'s

    main()
