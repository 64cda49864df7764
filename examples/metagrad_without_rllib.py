"""MetaGrad on Escape Room ER(2,1), Algorithm 1 of Yang et al. 2022, without Ray and RLlib: only core and environments.

Two agents, one must pull the lever at a cost of 1 so that the other can leave and gain 10. Policies and incentives are
linear, so that all of it fits on a page. Prints the designer's return, the incentives paid, and the net.
"""

import numpy as np
import torch

import env_wrappers
from rllib_metagrad.core.algorithm import metagrad_step
from rllib_metagrad.core.losses import Evaluation
from rllib_metagrad.core.state import Setup, initial_state
from rllib_metagrad.core.trajectory import StackTrajectory, Trajectory
from rllib_metagrad.settings import AgentSettings, MetaGradDesignerSettings, MetaGradSettings, MethodSettings


class SoftmaxPolicies:
    """A policy an agent, ``pi(a|o) = softmax(o W)``; all parameters are one matrix theta ``[P, D]``, a row a policy."""

    has_critic, recurrent, shares_trunk, trainable = False, False, False, None

    def initialize(self, stack, generator):
        return 0.1 * torch.randn(stack, 6 * 3, generator=generator)

    def log_policy(self, theta, observations):
        return torch.log_softmax(observations @ theta.view(-1, 6, 3), dim=-1)

    def evaluate(self, theta, observations, actions, masks, epsilon, num_rows):
        log_pi = self.log_policy(theta, observations)
        return Evaluation(log_pi.gather(-1, actions.unsqueeze(-1))[..., 0], -(log_pi.exp() * log_pi).sum(-1), None)

    def log_probs(self, *steps):
        return self.evaluate(*steps, num_rows=1).log_probs


class PaymentForActions:
    """The mechanism: ``r_i + u[a_i]``, what the designer offers for the action that the agent took."""

    def incentives(self, output, tau):
        return output.gather(-1, tau.action_types) * tau.active

    def rewards(self, output, tau):
        return tau.rewards + self.incentives(output, tau)


class LinearIncentives:
    """``mu_eta(s, a)``: for each action an incentive in (0, 2), linear in the state and both actions."""

    mechanism = PaymentForActions()

    def initialize(self, generator):
        return 0.1 * torch.randn(1, 12 * 3, generator=generator)

    def outputs(self, eta, states, features):
        return 2 * torch.sigmoid(torch.cat([states, features], dim=-1) @ eta.view(12, 3))


def sample(env, setup, state, generator):
    """Line 4: one episode in each of B environments, by policies theta under incentives mu_eta."""
    env.reset(seed=0)
    theta, rows, states, seen = state.agents[0].theta, [], [env.state.copy()], [env.observations[0].copy()]
    while not env.episode_over.all():
        row = {"active": env.active.copy(), "stepped": ~env.episode_over}
        log_pi = setup.policies[0].log_policy(theta, torch.tensor(seen[-1]).transpose(0, 1))  # [N, B, 3]
        actions = torch.multinomial(log_pi.exp().flatten(0, 1), 1, generator=generator).view(len(theta), -1, 1)
        row |= {"actions": actions, "log_probs": log_pi.gather(-1, actions)}
        env.step([actions.squeeze(2).T.numpy()])
        row |= {key: getattr(env, key).copy() for key in ("rewards", "terminated", "truncated", "action_types")}
        row |= {"designer_rewards": env.designer_reward.copy(), "over": env.episode_over & row["stepped"]}
        row |= {"action_features": env.action_features.reshape(env.num_envs, -1).copy()}
        rows.append(row | {"over_terminated": row["over"] & ~env.truncated.any(-1)})
        states, seen = [*states, env.state.copy()], [*seen, env.observations[0].copy()]
    tau = {key: torch.stack([torch.as_tensor(row[key]) for row in rows]) for key in rows[0]}
    states, observations = torch.tensor(np.stack(states)), torch.tensor(np.stack(seen)).permute(2, 0, 1, 3).unsqueeze(3)
    acted = [tau.pop(key).transpose(0, 1) for key in ("actions", "log_probs")]  # [N, T, B, 1]
    group = StackTrajectory(torch.arange(len(theta)).unsqueeze(1), observations, *acted)
    offered = setup.designer.outputs(state.eta.value, states[:-1], tau["action_features"])
    return Trajectory(stacks=(group,), states=states, designer_output=offered, **tau)


def main(seed=0, updates=600):
    torch.set_num_threads(1)
    env, generator = env_wrappers.make_vec("escape_room", 64, n=2, m=1), torch.Generator().manual_seed(seed)
    agents = AgentSettings(loss="pg", lr=0.2, entropy_coeff=0.0166, mean_baseline=True)
    settings = MethodSettings(agents, MetaGradDesignerSettings(lr=0.02, cost_coeff=0.03), MetaGradSettings())
    setup = Setup((SoftmaxPolicies(),), LinearIncentives(), None, settings)
    state = initial_state(setup, [2], generator)
    for update in range(updates + 1):
        tau = sample(env, setup, state, generator)
        if update % 100 == 0:
            paid = float(setup.designer.mechanism.incentives(tau.designer_output, tau).sum()) / env.num_envs
            earned = float(tau.designer_rewards.sum()) / env.num_envs
            print(f"update {update}: return {earned:.2f}, paid {paid:.2f}, net {earned - paid:.2f}")
        state, _ = metagrad_step(setup, state, tau, generator)  # lines 5 to 8
    return earned - paid


if __name__ == "__main__":
    main()
