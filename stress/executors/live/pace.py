"""How long the runs of a target take, and when one takes too long to have an end."""

from __future__ import annotations

import math
import time
from bisect import insort
from contextlib import contextmanager
from typing import TYPE_CHECKING

from stress.core.verdict import counted

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from stress.core.step import Move

_LEAST_SECONDS, _TIMES = 2.0, 20
"""A run may take this many times the median of those before it, and so many seconds at least."""
_CLOCK_SECONDS = 1.0
"""How long a run may wait for the clock."""


class Pace:
    """The durations of runs, in seconds, without what they waited for the clock and for blocked requests.

    ``limit`` is for how many seconds the next run may go on: without end while none is known. ``until`` is when any has
    to end (`time.perf_counter`).
    """

    def __init__(self) -> None:
        """Know of no run yet."""
        self._taken: list[float] = []
        self.limit = self.until = math.inf

    def took(self, seconds: float) -> None:
        """Take in how long a run took that came to its end."""
        insort(self._taken, seconds)
        self.limit = max(_LEAST_SECONDS, _TIMES * self._taken[len(self._taken) // 2])

    def over(self, taken: Taken) -> str:
        """Say for how long a run may go on that has taken too long, and why; nothing while it may."""
        if taken.seconds > self.limit:
            return f"{self.limit:.3g} s, {_TIMES} times what others took or {_LEAST_SECONDS:g} s"
        return f"{taken.seconds:.3g} s, as its time was over" if self.past else ""

    @property
    def past(self) -> bool:
        """Whether any run has to end, as the search is over."""
        return time.perf_counter() > self.until

    def end(self, seconds: float) -> None:
        """Let no run go on for longer than a run may at least after so many ``seconds`` from now."""
        self.until = time.perf_counter() + seconds + _LEAST_SECONDS + _CLOCK_SECONDS


def about(moves: Sequence[Move], unanswered: Collection[str]) -> str:
    """Say what a run was about that was ended."""
    left = f"{', '.join(unanswered)} without an answer" if unanswered else "all requests answered"
    return f"{left} after {counted(len(moves), 'step')}, the last {moves[-1] if moves else 'none'}"


class Taken:
    """How long one run has taken so far, without known waits and one patience for each blocked request."""

    def __init__(self, patience: float) -> None:
        """Begin now; ``patience`` is in seconds."""
        self._patience, self._begun = patience, time.perf_counter()
        self._apart = self._waited = 0.0
        self._since = math.inf  # when it began to wait for a time that is known
        self._waiters: set[str] = set()

    @property
    def seconds(self) -> float:
        """For how many seconds it has gone on."""
        waited = min(self._waited, self._patience * len(self._waiters))
        now = time.perf_counter()
        return now - self._begun - self._apart - max(0.0, now - self._since) - waited

    @property
    def waited(self) -> float:
        """For how many seconds it was waited until requests were known to be blocked, or for them to go on."""
        return self._waited

    @contextmanager
    def apart(self) -> Iterator[None]:
        """Wait for the clock, or for a timer of a process that is known."""
        self._since = time.perf_counter()
        try:
            yield
        finally:
            self._apart += time.perf_counter() - self._since
            self._since = math.inf

    def blocked(self, seconds: float, actor: str = "") -> None:
        """Count what was waited until a request was known to be blocked, or for anyone of those to go on."""
        self._waited += seconds
        self._waiters |= {actor} - {""}
