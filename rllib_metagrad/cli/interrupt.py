"""Ctrl-C and SIGTERM during a run: checkpoint every running trial first, then stop Tune.

Tune's own handler ends the run at once and keeps only its bookkeeping, so a resumed trial would start from
its last periodic checkpoint, or from nothing. Here the first signal marks each next result as one to be
checkpointed; when all running trials have saved, Tune is stopped through SIGUSR1, which it listens to.
A second signal stops Tune without waiting, a third ends the process.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType
from typing import Any

from ray.tune import Callback
from ray.tune.experiment import Trial
from ray.tune.result import SHOULD_CHECKPOINT

__all__ = ["GracefulStop"]


class GracefulStop(Callback):
    """A Tune callback that is also the handler of SIGINT and SIGTERM (use it as a context manager).

    Args:
        report: called with a line for the user when a signal comes.
    """

    def __init__(self, report: Callable[[str], None]) -> None:
        self.signal_number: int | None = None
        self._report = report
        self._signals = 0
        self._saved: set[str] = set()
        self._previous: dict[int, Any] = {}

    @property
    def interrupted(self) -> bool:
        """True once a signal has come."""
        return self.signal_number is not None

    def __enter__(self) -> GracefulStop:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self._signals += 1
        self.signal_number = number
        if self._signals == 1:
            self._report("stopping after this iteration's checkpoint; Ctrl-C again stops without one")
        elif self._signals == 2:
            self._stop_tune()
        else:
            raise KeyboardInterrupt

    @staticmethod
    def _stop_tune() -> None:
        # Before and after tune.run() nothing listens, and the default action would kill the process.
        if callable(signal.getsignal(signal.SIGUSR1)):
            signal.raise_signal(signal.SIGUSR1)
        else:
            raise KeyboardInterrupt

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """Ask for a checkpoint with this result (Tune reads the key from it)."""
        if self.interrupted and trial.trial_id not in self._saved:
            result[SHOULD_CHECKPOINT] = True

    def on_trial_save(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Note a checkpoint that was written after the signal."""
        if self.interrupted:
            self._saved.add(trial.trial_id)

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Stop Tune once no running trial is without its checkpoint."""
        running = {trial.trial_id for trial in trials if trial.status == Trial.RUNNING}
        if self._signals == 1 and running <= self._saved:
            self._signals = 2
            self._stop_tune()
