"""Environments for incentive design: PettingZoo ParallelEnvs and their batched twins. No torch, no ray."""

# First: where Ray is imported already, this imports the algorithms of rllib_metagrad, which need whole modules of ours.
import rllib_metagrad.settings  # noqa: F401
from env_wrappers.centralized import CentralizedVectorEnv
from env_wrappers.incentive_env import IncentiveEnv
from env_wrappers.loop import LoopVectorEnv
from env_wrappers.registry import make, make_vec, names, register
from env_wrappers.vector import AgentGroup, EnvAPIError, VectorIncentiveEnv

__all__ = [
    "AgentGroup",
    "CentralizedVectorEnv",
    "EnvAPIError",
    "IncentiveEnv",
    "LoopVectorEnv",
    "VectorIncentiveEnv",
    "make",
    "make_vec",
    "names",
    "register",
]
