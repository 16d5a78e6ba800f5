"""Schedules drawn by hypothesis in either executor: it draws numbers and shrinks them; runs are on our event loop."""

from __future__ import annotations

import asyncio
import time
from random import Random
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, Phase, find, settings
from hypothesis.errors import HypothesisException

from stress.checks import run_checks
from stress.engine.running import follow
from stress.schedulers.interleavings import interleavings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stress.core.trace import Trace
    from stress.engine.running import Executor
    from stress.schedulers.interleaving import Interleaving


def _none(_: Trace) -> bool:
    """Pass over no run."""
    return False


class Draw:
    """One draw for a schedule that breaks one of the invariants ``names``; ``ran`` counts its runs."""

    def __init__(
        self, executor: Executor, names: Sequence[str], seed: int, skips: Callable[[Trace], bool] = _none
    ) -> None:
        """Draw nothing yet; the same seed draws the same schedules. What ``skips`` counts is passed over."""
        self._executor, self._names, self._seed, self._skips = executor, names, seed, skips
        self._failed: Trace | None = None
        self._fault: Trace | None = None
        self._over = False
        self.ran = 0

    async def run(self, schedules: int, deadline: float) -> Trace | None:
        """Draw at most ``schedules`` schedules and shrink, until ``deadline`` (`time.monotonic`); give the smallest.

        A run with a fault ends the draw and is given instead. None when no schedule failed.
        """
        loop = asyncio.get_running_loop()

        def fails(schedule: Interleaving) -> bool:
            if self._over or time.monotonic() > deadline:
                return False
            self.ran += 1
            trace = asyncio.run_coroutine_threadsafe(follow(schedule, self._executor), loop).result()
            if self._skips(trace):
                return False
            if trace.fault:
                self._fault, self._over = trace, True
                return False
            failed = bool(run_checks(self._names, trace))
            self._failed = trace if failed else self._failed
            return failed

        try:
            await asyncio.to_thread(self._find, fails, schedules)
        finally:
            self._over = True
        return self._fault or self._failed

    def _find(self, fails: Callable[[Interleaving], bool], schedules: int) -> None:
        chosen = settings(
            max_examples=max(1, schedules),
            deadline=None,
            database=None,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        )
        try:
            find(interleavings(), fails, settings=chosen, random=Random(self._seed))  # noqa: S311 - repeatable, no secret
        except HypothesisException:
            return  # nothing failed, or time ran out while it shrank: the smallest failure so far is kept
