"""Who learns what: which agents share a policy, and which policies are stacked into one matrix of parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import gymnasium as gym
import numpy as np
import torch

from rllib_metagrad.core.losses import find_loss
from rllib_metagrad.core.reduction import OneLearner, Reduction
from rllib_metagrad.core.state import Setup
from rllib_metagrad.mechanisms import Mechanism
from rllib_metagrad.modules.designer import AnswerCritic, make_designer, make_designer_critic
from rllib_metagrad.modules.filters import network_for
from rllib_metagrad.modules.fit import check_encoder
from rllib_metagrad.modules.policy import StackedPolicy
from rllib_metagrad.modules.spec import EnvSpec
from rllib_metagrad.settings import NetworkSettings, SettingError
from rllib_metagrad.settings.method import MethodSettings
from rllib_metagrad.settings.policies import PolicySettings


@dataclass(frozen=True)
class Stack:
    """``P`` policies of one shape, each acting for ``K`` agents.

    Attributes:
        policy_ids: the P RLlib module ids.
        agents: ``[P, K]`` indices among all N agents.
        env_group: index of the environment's group that holds these agents.
        positions: ``[P * K]`` where the agents are within that group's arrays, policy-major.
        observation_shape: of one agent.
        action_space: of one agent.
        picture_shape: of the picture that its observation begins with, see :class:`AgentGroup`.
        network: of these policies, where it is not that of all agents.
        module: RLModuleSpec of the user's, in place of a network of ours.
    """

    policy_ids: tuple[str, ...]
    agents: np.ndarray
    env_group: int
    positions: np.ndarray
    observation_shape: tuple[int, ...]
    observation_dtype: np.dtype
    action_space: gym.Space
    masked: bool
    picture_shape: tuple[int, ...] | None = None
    has_only_picture: bool = False
    network: NetworkSettings | None = None
    module: Any = None

    @property
    def observation_space(self) -> gym.spaces.Box:
        """Of one agent, as it comes to networks."""
        low, high = (0, 255) if self.observation_dtype == np.uint8 else (-np.inf, np.inf)
        return gym.spaces.Box(low, high, self.observation_shape, self.observation_dtype.type)

    @cached_property
    def is_identity(self) -> bool:
        """Whether the environment's arrays are already in this stack's order."""
        return bool((self.positions == np.arange(len(self.positions))).all())


def make_stacks(
    spec: EnvSpec,
    policy_of: Callable[[str], str],
    own: Mapping[str, PolicySettings] | None = None,
    module_of: Callable[[str], Any] = lambda policy: None,
) -> tuple[Stack, ...]:
    """Groups agents by policy, and policies by what they can be stacked with.

    Policies are stacked if their agents' spaces and their networks are equal and they act for equally many agents.

    Args:
        spec: of the environment.
        policy_of: maps an agent's name to the id of its policy.
        own: what policies have for themselves, by id.
        module_of: maps a policy's id to an RLModuleSpec of the user's, or None.

    Raises:
        ValueError: if one policy is to act for agents whose spaces differ.
    """
    home: dict[str, int] = {}
    stacks: list[Stack] = []
    for env_group, group in enumerate(spec.groups):
        members: dict[str, list[int]] = {}
        for position, agent in enumerate(group.agents):
            name = spec.possible_agents[agent]
            policy = policy_of(name)
            if home.setdefault(policy, env_group) != env_group:
                raise ValueError(
                    f"policy {policy!r} is mapped to agents of {spec.name!r} whose observation or action spaces "
                    f"differ (the last is {name!r}); map them to different policies"
                )
            members.setdefault(policy, []).append(position)
        # By how many agents a policy has, and by its own network, whose settings may hold a mapping: no key of a dict.
        alike: dict[tuple[int, str, str], list[str]] = {}
        networks = {policy: own[policy].network if own and policy in own else None for policy in members}
        for policy, positions in members.items():
            kind = (len(positions), repr(networks[policy]), repr(module_of(policy)))
            alike.setdefault(kind, []).append(policy)
        for policies in alike.values():
            order = np.array([members[policy] for policy in policies])
            stacks.append(
                Stack(
                    tuple(policies),
                    np.array(group.agents)[order],
                    env_group,
                    order.reshape(-1),
                    group.observation_shape,
                    group.observation_dtype,
                    group.action_space,
                    group.masked,
                    group.picture_shape,
                    group.has_only_picture,
                    networks[policies[0]],
                    module_of(policies[0]),
                )
            )
    return tuple(stacks)


def members_of(stacks: Sequence[Stack]) -> dict[str, list[int]]:
    """For which agents, by their index, each policy acts."""
    return {policy: stack.agents[row].tolist() for stack in stacks for row, policy in enumerate(stack.policy_ids)}


def network_of(network: NetworkSettings, stack: Stack) -> NetworkSettings:
    """The policies' own network, or the agents', with what a user has left open, see :func:`network_for`."""
    own = stack.network or network
    return network_for(own, stack.observation_shape, stack.picture_shape, stack.has_only_picture)


def make_policy(settings: MethodSettings[Any, Any], stack: Stack) -> StackedPolicy:
    """The functions of a stack's policies."""
    agents = settings.agents
    if stack.module is not None:
        from rllib_metagrad.modules.own_rl_modules import RLModulePolicy  # which imports Ray

        critic = find_loss(agents.loss).needs_critic
        return RLModulePolicy(stack.module, stack.observation_space, stack.action_space, critic)
    return StackedPolicy(
        stack.observation_shape,
        stack.action_space,
        network_of(agents.network, stack),
        critic=find_loss(agents.loss).needs_critic,
        picture_shape=stack.picture_shape,
    )


def make_setup(
    settings: MethodSettings[Any, Any],
    spec: EnvSpec,
    stacks: Sequence[Stack],
    learns: Callable[[str], bool] | None = None,
    reduction: Reduction | None = None,
    device: torch.device | None = None,
    own: Mapping[str, PolicySettings] | None = None,
    log_gradients: bool = False,
) -> Setup[Any, Any, Any]:
    """Policies, designer and its critic: the one place where they are built, for learners, runners and modules.

    Args:
        settings: of the method.
        spec: of the environment.
        stacks: see :func:`make_stacks`.
        learns: whether the policy of an id learns; None: all do.
        reduction: across learners.
        device: of the policies' constants.
        own: what policies have for themselves, by id.
        log_gradients: report the norm of the designer's gradient, too.

    Raises:
        ValueError: if networks or mechanism do not fit the environment.
    """
    policies = []
    for stack in stacks:
        agent = repr(spec.possible_agents[stack.agents[0, 0]])
        check_encoder("agent_network", stack.network or settings.agents.network, stack.picture_shape, agent, spec.name)
        policy = make_policy(settings, stack)
        policy.critic_only = policy.critic_only.to(device)
        if learns is not None:
            policy.trainable = torch.tensor([[float(learns(name))] for name in stack.policy_ids], device=device)
        policy.own_lr = _own_lr(stack, own or {}, device)
        policies.append(policy)
    designer = make_designer(settings.incentives, settings.designer, spec)
    _check_direct_effect(settings, designer.mechanism)
    return Setup(
        policies=tuple(policies),
        answer_critics=_answer_critics(settings, stacks, policies),
        designer=designer,
        critic=make_designer_critic(settings.designer, spec),
        settings=settings,
        reduction=OneLearner() if reduction is None else reduction,
        stack_names=tuple(", ".join(stack.policy_ids) for stack in stacks),
        log_gradients=log_gradients,
    )


def _check_direct_effect(settings: MethodSettings[Any, Any], mechanism: Mechanism) -> None:
    """The direct effect of what the environment itself reads is known of the environment's own R^ID only."""
    response = getattr(settings.designer, "response", "update")
    if response != "update" and settings.designer.objective is not None and mechanism.read_by_environment:
        raise SettingError(
            "designer_objective",
            f"replaces the R^ID whose direct effect designer_response: {response} needs, as the environment reads the "
            "mechanism's output; use update, or the environment's R^ID",
        )


def _answer_critics(
    settings: MethodSettings[Any, Any], stacks: Sequence[Stack], policies: Sequence[StackedPolicy]
) -> tuple[AnswerCritic, ...]:
    """One a stack for ``designer_response: critic``, else none; the response must fit the agents' actions."""
    response = getattr(settings.designer, "response", "update")
    if response not in ("fisher", "critic"):
        return ()
    for stack in stacks:
        if not isinstance(stack.action_space, gym.spaces.Discrete | gym.spaces.MultiDiscrete):
            raise SettingError(
                "designer_response",
                f"{response} is the answer of agents with discrete actions, and those of {', '.join(stack.policy_ids)} "
                f"are {stack.action_space}; use neumann or update",
            )
    if response == "fisher":
        return ()
    network = settings.designer.response_critic_network or settings.agents.network
    return tuple(
        AnswerCritic(
            stack.observation_shape,
            policy.distribution.num_outputs,
            network_of(network.replace(critic_lstm=None, share_trunk=False), stack),
            stack.picture_shape,
        )
        for stack, policy in zip(stacks, policies, strict=True)
    )


def _own_lr(stack: Stack, own: Mapping[str, PolicySettings], device: torch.device | None) -> torch.Tensor | None:
    """``[P, 1]`` learning rates of a stack's policies that have their own, NaN for the others; None: nobody has."""
    rates = [own[name].lr if name in own else None for name in stack.policy_ids]
    if all(rate is None for rate in rates):
        return None
    return torch.tensor([[float("nan") if rate is None else rate] for rate in rates], device=device)
