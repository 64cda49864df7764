"""A mechanism of one's own: a prize for each kind of action, which all who chose it share equally.

    python examples/own_mechanism.py

However many agents choose an action, the designer pays its prize once. Trains Escape Room ER(3,1), where the one at the
lever should be paid, and prints the designer's return and what is paid.
"""

from functools import cached_property

from torch.nn.functional import one_hot

from rllib_metagrad import MetaGradConfig
from rllib_metagrad.mechanisms import BoundedIncentives


class SharedPrizes(BoundedIncentives):
    """``u[a] / (number of agents that chose a)``; bound and shape are settings of the base class."""

    @cached_property
    def num_outputs(self):
        return self.num_action_types

    def incentives(self, output, trajectory):
        """From outputs ``[T, B, U]`` to what each agent gets, ``[T, B, N]``, differentiable in the outputs."""
        chosen = one_hot(trajectory.action_types, self.num_action_types) * trajectory.active.unsqueeze(-1)
        prizes = output / chosen.sum(2).clamp(min=1)  # [T, B, U]
        return prizes.gather(-1, trajectory.action_types) * trajectory.active


def main(iterations=5):
    config = MetaGradConfig().environment("escape_room", env_config={"n": 3, "m": 1})
    config.agents(lr=0.1, mean_baseline=True, entropy_coeff=0.0166)
    config.designer(lr=0.02, cost_coeff=0.04)
    config.incentives(num_updates_per_iteration=40, mechanism=SharedPrizes)
    config.incentives(mechanism_config={"scale": 2.0, "squash": "softsign"})
    config.env_runners(num_env_runners=1, num_envs_per_env_runner=32)
    algorithm = config.debugging(seed=0).build_algo()
    for _ in range(iterations):
        sampled = algorithm.train()["env_runners"]
        earned, paid = sampled["designer_return_mean"], sampled["incentives_paid_mean"]
        print(f"designer's return {earned:.2f}, paid {paid:.2f}")
    algorithm.stop()
    return earned


if __name__ == "__main__":
    from own_mechanism import main  # workers import the class as own_mechanism:SharedPrizes, not as __main__'s

    main()
