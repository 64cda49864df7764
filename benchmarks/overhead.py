"""What RLlib costs: MetaGrad.train() against the same iterations written as a bare loop, in one process.

    python benchmarks/overhead.py [--repeats 7] [--updates 100]

The bare loop calls the batched environment, the networks and core only: no learner, no runner, no metrics. Both
sides do the same arithmetic from the same start; the script checks that they end at the same bits.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import time
from collections.abc import Callable

import common
import numpy as np
import torch
from rllib_metagrad.algorithms.config_rules import value_at

from rllib_metagrad.core import losses, optimizers
from rllib_metagrad.core.agent_update import look, update
from rllib_metagrad.core.meta_gradient import replicate
from rllib_metagrad.core.optimizers import OptimizerSettings
from rllib_metagrad.core.reduction import OneLearner
from rllib_metagrad.core.returns import advantages_and_targets
from rllib_metagrad.sampling import Behaviour, Sampler

CONFIG = "escape_room/metagrad_5_2"
ONE = OneLearner()


class BareLoop:
    """Algorithm 1 with pipelining, for the shipped config, written out."""

    def __init__(self, algorithm: object) -> None:
        learner, runner = algorithm.learner_group._learner, algorithm.env_runner  # type: ignore[attr-defined]
        self.config = learner.config
        self.policy, self.designer = learner.policies[0], learner.designer
        self.state, self.eta = learner.agents[0], dataclasses.replace(learner.eta)
        generator = torch.Generator()
        generator.set_state(runner.generator.get_state())
        env = common_env(self.config)
        self.sampler = Sampler(env, runner.stacks, runner.policies, self.designer, generator)
        self.past: tuple | None = None
        self.env_steps = 0

    def one_update(self) -> None:
        """One iteration: sample, designer, agents."""
        config, policy = self.config, self.policy
        tau = self.sampler.episodes(Behaviour([self.state.theta], self.eta.value, 0.0, False, 0))
        self.env_steps += tau.env_steps()
        settings = config.agent_settings(self.env_steps)
        eta_in_force = self.eta.value
        seen = look(policy, self.state.theta, tau, tau.groups[0])
        if self.past is not None:
            self._designer_step(tau, seen)
        rewards = self.designer.mechanism.rewards(tau.designer_output, tau)
        before = self.state
        done = update(policy, before, tau, tau.groups[0], rewards, settings, [None], ONE, seen=seen)
        self.state = done.state
        self.past = (tau, before, eta_in_force, settings, done)

    def _designer_step(self, validation, seen) -> None:  # type: ignore[no-untyped-def]
        config, policy, mechanism = self.config, self.policy, self.designer.mechanism
        advantages, _ = advantages_and_targets(
            validation.designer_rewards,
            None,
            validation.over_terminated,
            validation.over & ~validation.over_terminated,
            config.gamma,
            config.designer_lambda,
        )
        at_t = losses.weights_of(validation.stepped, ONE, dim=1)
        advantages = losses.centre(advantages, at_t, ONE, dim=1)

        tau, state, eta, settings, done = self.past  # type: ignore[misc]
        eta = eta.detach().requires_grad_()
        t, b = tau.stepped.shape
        outputs = self.designer.outputs(eta, tau.states[:-1].flatten(0, 1), tau.action_features.flatten(0, 1))
        incentives = mechanism.incentives(outputs.reshape(t, b, -1), tau)
        rewards = mechanism.rewards(outputs.reshape(t, b, -1), tau)
        replica = replicate("mixed", policy, state, tau, tau.groups[0], rewards, settings, [None], ONE, done)

        active = validation.groups[0].select(validation.active)
        joint = (seen.evaluation.log_probs.reshape(active.shape) * active).sum((0, 3))
        weights = losses.weights_of(validation.stepped, ONE, dim=(0, 1))
        (v,) = torch.autograd.grad((weights * (-joint * advantages)).sum(), seen.theta, retain_graph=True)

        cost = losses.incentive_cost(incentives.sum(-1), tau.stepped, tau.over, config.gamma, ONE)
        (meta,) = torch.autograd.grad(replica.pull_back(v), eta, retain_graph=True)
        gradient, weight = meta, value_at(config.designer_cost_coeff, self.env_steps)
        if weight > 0:
            gradient = meta + weight * torch.autograd.grad(cost, eta)[0]
        adam = OptimizerSettings(
            "adam",
            lr=value_at(config.designer_lr, self.env_steps),
            betas=tuple(config.designer_betas),
            eps=config.designer_eps,
        )
        value, moments = optimizers.step(adam, self.eta.value, gradient, self.eta.optimizer)
        self.eta = type(self.eta)(value, moments)


def common_env(config):  # type: ignore[no-untyped-def]
    """The batched environment of a config."""
    from rllib_metagrad.env_runner import build_env

    return build_env(config, config.num_envs_per_env_runner)


def cpu(action: Callable[[], object]) -> float:
    """CPU seconds of a call."""
    start = time.process_time()
    action()
    return time.process_time() - start


def main() -> None:
    """Measures in interleaved blocks and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--updates", type=int, default=100)
    arguments = parser.parse_args()
    common.start_ray()
    config, _ = common.load(CONFIG, seed=0, evaluation_interval=None)
    assert config.agent_num_epochs == 1
    assert config.designer_cost_lr is None
    assert config.designer_baseline == "mean"
    algorithm = common.build(config)
    bare = BareLoop(algorithm)
    per_train = config.num_updates_per_iteration
    trains = max(1, arguments.updates // per_train)

    def rllib_block() -> None:
        for _ in range(trains):
            algorithm.train()

    def bare_block() -> None:
        for _ in range(trains * per_train):
            bare.one_update()

    rllib_block(), bare_block()
    pairs = [(cpu(rllib_block), cpu(bare_block)) for _ in range(arguments.repeats)]
    learner = algorithm.learner_group._learner
    same = torch.equal(learner.agents[0].theta, bare.state.theta) and torch.equal(learner.eta.value, bare.eta.value)
    ratios = [ours / floor for ours, floor in pairs]
    count = trains * per_train
    for ours, floor in pairs:
        print(f"train() {1e3 * ours / count:.2f} ms, bare loop {1e3 * floor / count:.2f} ms per update")
    common.finish(
        {
            "cpu_ratio": round(statistics.median(ratios), 3),
            "cpu_ratio_range": [round(min(ratios), 3), round(max(ratios), 3)],
            "train_ms_per_update": round(1e3 * float(np.median([p[0] for p in pairs])) / count, 3),
            "bare_ms_per_update": round(1e3 * float(np.median([p[1] for p in pairs])) / count, 3),
            "same_bits": same,
        }
    )


if __name__ == "__main__":
    main()
