"""Settings that contradict one another, where no single one is wrong; each check raises a SettingError on one line."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rllib_metagrad.settings.base import SettingError
from rllib_metagrad.settings.designer import MetaGradDesignerSettings
from rllib_metagrad.settings.method import MethodSettings
from rllib_metagrad.settings.networks import NetworkSettings
from rllib_metagrad.settings.rllib import RLlibSettings
from rllib_metagrad.settings.schedule import least


def check_batches(rllib: RLlibSettings, in_evaluation: bool = False) -> None:
    """Fragments have a length only where there are any, and learners get equally many environments' data.

    Args:
        rllib: RLlib's keys.
        in_evaluation: whether they are those of an evaluation, for which RLlib sets a length.
    """
    length = rllib.rollout_fragment_length
    if length != "auto" and rllib.batch_mode == "complete_episodes" and not in_evaluation:
        raise SettingError(
            "rollout_fragment_length",
            f"is {length}, but batch_mode: complete_episodes samples whole episodes; leave it out, or set "
            "batch_mode: truncate_episodes",
        )
    envs = rllib.num_envs_per_env_runner * max(1, rllib.num_env_runners)
    if rllib.num_learners > 1 and envs % rllib.num_learners:
        raise SettingError(
            "num_learners",
            f"is {rllib.num_learners}, which cannot share {envs} environments equally; make "
            "num_envs_per_env_runner * max(1, num_env_runners) a multiple of it",
        )


def check_critics(rllib: RLlibSettings, loss: str, needs_critic: bool, networks: Iterable[NetworkSettings]) -> None:
    """``critic_lstm`` needs a critic, and one that sees episodes from their start.

    Args:
        rllib: RLlib's keys.
        loss: ``agent_loss``.
        needs_critic: whether that loss needs one.
        networks: of all agents, and policies' own.
    """
    if all(network.critic_lstm is None for network in networks):
        return
    if not needs_critic:
        raise SettingError(
            "agent_network.critic_lstm",
            f"needs a critic, and agent_loss: {loss} has none; leave it out, or set agent_loss: actor_critic or ppo",
        )
    if rllib.batch_mode != "complete_episodes":
        raise SettingError(
            "agent_network.critic_lstm",
            f"needs episodes from their first step, and batch_mode: {rllib.batch_mode} cuts them; "
            "set batch_mode: complete_episodes",
        )


def check_response(settings: MethodSettings[Any, Any]) -> None:
    """What the designer is to see of the agents' answer fits how they learn.

    Raises:
        SettingError: on one line.
    """
    designer = settings.designer
    if not isinstance(designer, MetaGradDesignerSettings):
        return
    response, limit = designer.response, designer.response_kl
    by_entropy = f"designer_response: {response}" if response in ("fisher", "critic") else None
    by_entropy = by_entropy or ("designer_response_kl" if limit is not None else None)
    if by_entropy and least(settings.agents.entropy_coeff) == 0 and designer.response_least_entropy == 0:
        raise SettingError(
            "agent_entropy_coeff",
            f"is or becomes 0, but {by_entropy} is about agents that answer to what they earn with this temperature; "
            "keep it above 0, or set designer_response_least_entropy",
        )
    if response != "update" and settings.incentives.agent_model == "cloned":
        raise SettingError(
            "agent_model", f"is cloned, but designer_response: {response} reads the agents' policies; use update"
        )
