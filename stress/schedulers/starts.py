"""Searches as if the start of a request were independent of other requests, until one is seen to begin otherwise."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from stress.core.step import START
from stress.schedulers.base import Scheduler

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from stress.core.step import Move
    from stress.core.trace import Trace


class Skipping(Scheduler, Protocol):
    """A scheduler that can go on without what a schedule led to."""

    def skip(self) -> None:
        """Leave the schedule out that was begun, however far it was chosen; it counts as run."""


Kept = TypeVar("Kept", bound=Skipping)

_MADE_UP = re.compile(r":\d+\}")
"""The numbers of made-up names: which was seen first says nothing, as a service may derive them from the request."""


class Starts(Generic[Kept]):
    """Asks the scheduler that ``make`` makes (given whether starts may be fused), and looks at what follows each start.

    What a request shows right after its start may depend on the clock and on what a watch sent its replica before it.
    Where two requests of one replica differ although these were the same, requests share more than the store: then the
    search begins again with starts that depend on everything, and claims nothing of what it ran before. ``scheduler``
    is the one that is asked now, ``fused`` whether starts are fused, and ``replicas`` the replica of each request.
    ``before`` is how many schedules were run before the search began again.
    """

    def __init__(self, make: Callable[[bool], Kept], replicas: Mapping[str, int], *, fused: bool) -> None:
        """Make the scheduler."""
        self._make, self._replicas = make, replicas
        self.fused = fused
        self.scheduler = make(fused)
        self.name = self.scheduler.name
        self._shown: dict[tuple[object, ...], frozenset[tuple[str, str]]] = {}
        self._taken: list[Move] = []
        self.differ = False
        self.before = 0
        self._ran = 0

    def more(self) -> bool:
        """Begin the next schedule."""
        self._taken = []
        return self.scheduler.more()

    def choose(self, moves: Sequence[Move], *, done: bool) -> Move | None:
        """Look at what a request shows that was just started, and ask."""
        if self._taken and self._taken[-1].command == START:
            self._look(self._taken[-1].actor, moves)
        move = self.scheduler.choose(moves, done=done)
        if move is not None:
            self._taken.append(move)
        return move

    def skip(self) -> None:
        """Leave a schedule out that could not be run; what the scheduler calls exhausted is all but that."""
        self.scheduler.skip()

    def learn(self, trace: Trace) -> None:
        """Let the scheduler learn, or begin again with another one."""
        self.scheduler.learn(trace)
        self._ran += 1
        if self.fused and self.differ:
            self.fused, self.before = False, self._ran
            self.scheduler = self._make(False)  # noqa: FBT003 - the one argument of a function of ours

    def _look(self, actor: str, moves: Sequence[Move]) -> None:
        replica = self._replicas.get(actor, 1)
        before = tuple(move for move in self._taken if move.actor in ("clock", f"watch:{replica}"))
        shown = frozenset((move.command, _MADE_UP.sub("}", move.object)) for move in moves if move.actor == actor)
        self.differ = self.differ or self._shown.setdefault((replica, before), shown) != shown
