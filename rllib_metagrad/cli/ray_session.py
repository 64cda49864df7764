"""Start Ray, locally or on a cluster, without the messages that say nothing about the user's run."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import sys
import threading
import warnings
from collections.abc import Iterator
from typing import Any

from rllib_metagrad.cli.errors import RunFailedError, one_line

__all__ = ["quiet", "session"]

# Read by Ray, Tune and libraries when they are imported or called; set only where the user has not.
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "PYGAME_HIDE_SUPPORT_PROMPT": "1",
    # Tune's new output engine prints boxes even at verbosity 0; the old one is silent there.
    "RAY_AIR_NEW_OUTPUT": "0",
    # Metrics of evaluation are not in every result, and a scheduler may use one.
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    # A killed run goes on from the last checkpoint that Tune has noted, and by default it notes every ten seconds.
    "TUNE_GLOBAL_CHECKPOINT_S": "2",
    # We stop a run ourselves on Ctrl-C, after a checkpoint; see interrupt.py.
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
}

_PATIENCE = 20.0  # seconds for a cluster to answer


def quiet(verbose: int) -> None:
    """Call before Ray is imported. With `verbose` >= 1 warnings and Ray's log stay."""
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    if verbose:
        return
    warnings.simplefilter("ignore")
    os.environ.setdefault("PYTHONWARNINGS", "ignore")  # for Ray's worker processes
    # Not by the level of Ray's loggers: importing ray.rllib and ray.init() set those again. Errors too: Tune
    # logs a failed trial's traceback, and its last line is printed at the end.
    logging.disable(logging.ERROR)


@contextlib.contextmanager
def _answer_within(seconds: float, address: str | None) -> Iterator[None]:
    """Ends the process with one line if a cluster does not answer; Ray itself tries for minutes, and cannot be stopped.

    Raises:
        ConnectionError: nobody listens at the address.
    """
    if address is None:
        yield
        return
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host, int(port)), timeout=seconds).close()
    timer = threading.Timer(seconds, _give_up, (address, seconds))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _give_up(address: str, seconds: float) -> None:
    sys.stderr.write(f"rllib: error: {_cannot_reach(address)}: no Ray cluster answers there within {seconds:g} s\n")
    sys.stderr.flush()
    os._exit(RunFailedError.exit_code)


def _cannot_reach(address: str | None) -> str:
    given = "--ray-address" if os.environ.get("RAY_ADDRESS") != address else "RAY_ADDRESS"
    return f"cannot start or reach {f'{given} {address}' if address else 'a local Ray'}"


@contextlib.contextmanager
def session(
    *,
    address: str | None = None,
    num_cpus: int | None = None,
    num_gpus: int | None = None,
    object_store_memory: int | None = None,
    verbose: int = 0,
) -> Iterator[Any]:
    """`ray`, initialized for the length of the block.

    Raises:
        RunFailedError: Ray could not be started or reached.
    """
    quiet(verbose)
    import ray

    level = logging.INFO if verbose else logging.ERROR
    arguments: dict[str, Any] = {"log_to_driver": verbose >= 2, "logging_level": level}
    if address is not None:
        arguments["address"] = address
    else:
        arguments |= {
            "address": "local",
            "include_dashboard": False,
            "num_cpus": num_cpus,
            "num_gpus": num_gpus,
            "object_store_memory": object_store_memory,
        }
    try:
        with _answer_within(_PATIENCE, address):
            ray.init(**arguments)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        raise RunFailedError(f"{_cannot_reach(address)}: {one_line(error)}") from error
    try:
        yield ray
    finally:
        ray.shutdown()
