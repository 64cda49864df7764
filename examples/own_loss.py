"""An agents' loss of one's own: a policy gradient that is held near the policy that sampled.

    python examples/own_loss.py

The loss is ``-ratio * advantage + beta * KL``, with Schulman's k3 estimate of how far the new policy is from the old.
Trains Escape Room ER(2,1) with it and prints the designer's return.
"""

import torch

from rllib_metagrad import MetaGradConfig
from rllib_metagrad.core.losses import AgentLoss


class NearTheOldPolicy(AgentLoss):
    needs_critic = False  # advantages are returns; with a critic they are its own
    beta = 0.5

    def per_step(self, log_probs, old_log_probs, advantages, settings):
        """The loss of each step, ``[P, n]``."""
        log_ratio = log_probs - old_log_probs
        ratio = torch.exp(log_ratio)
        return -ratio * advantages + self.beta * (ratio - 1 - log_ratio)

    def slope(self, log_probs, old_log_probs, advantages, settings):
        """``-d^2 per_step / (d log_prob d advantage)``: what the meta-gradient goes through."""
        return torch.exp(log_probs - old_log_probs)


def main(iterations=5):
    config = MetaGradConfig().environment("escape_room", env_config={"n": 2, "m": 1})
    config.agents(loss=NearTheOldPolicy, lr=0.1, num_epochs=2, mean_baseline=True, entropy_coeff=0.0166)
    config.designer(lr=0.02, cost_coeff=0.03)
    config.incentives(num_updates_per_iteration=40)
    config.env_runners(num_env_runners=1, num_envs_per_env_runner=32)
    algorithm = config.debugging(seed=1).build_algo()
    for _ in range(iterations):
        earned = algorithm.train()["env_runners"]["designer_return_mean"]
        print(f"designer's return {earned:.2f}")
    algorithm.stop()
    return earned


if __name__ == "__main__":
    from own_loss import main  # workers import the class as own_loss:NearTheOldPolicy, not as __main__'s

    main()
