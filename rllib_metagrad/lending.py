"""Environments of evaluation in a process that has some already: an environment that may exist once exists once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from env_wrappers.vector import VectorIncentiveEnv
from rllib_metagrad.env_runner import IncentiveEnvRunner

__all__ = ["MAX_COPIES", "environments_for"]

#: Beyond these, more copies of an environment that is stepped in lockstep save nothing.
MAX_COPIES = 128


@contextmanager
def environments_for(runner: IncentiveEnvRunner, owner: IncentiveEnvRunner) -> Iterator[None]:
    """Within the block ``runner`` has environments to play in.

    Copies that are stepped one by one may be somebody's simulators. The owner lends its own, if they are what the
    runner needs, and resets them afterwards, so that its unfinished episodes are dropped; else the runner has copies of
    its own and closes them at the end. Batches in lockstep cost nothing and stay where they are.

    Args:
        runner: of evaluation, in this process.
        owner: the runner of training in this process.
    """
    if not owner.one_by_one:
        runner.ready()
        yield
        return
    lent = _lent(runner, owner)
    if lent is None:
        runner.ready()
        try:
            yield
        finally:
            runner.stop()
        return
    kept = lent.get_lasting_state()
    runner.ready(lent)
    try:
        yield
    finally:
        runner.env = None
        lent.set_lasting_state(kept)
        owner.reset_before_sampling()


def _lent(runner: IncentiveEnvRunner, owner: IncentiveEnvRunner) -> VectorIncentiveEnv | None:
    """The owner's environments, if they are as the runner's would be and evaluation leaves no traces in them."""
    same = ("env", "env_config", "num_envs_per_env_runner", "centralized")
    if owner.env is None or any(getattr(runner.config, key) != getattr(owner.config, key) for key in same):
        return None
    return None if owner.env.has_schedules else owner.env
