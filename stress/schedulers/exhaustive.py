"""Every schedule once, those with the fewest preemptions first (iterative context bounding, PLDI 2007)."""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from stress.core.registry import SCHEDULERS
from stress.schedulers.base import (
    Diverged,
    fused_starts,
    is_environment,
    keep_going,
    preemptions_away,
)
from stress.schedulers.lookahead import Plan, going_on
from stress.schedulers.registered import Registered

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stress.core.step import Move
    from stress.core.trace import Trace


class _Node(NamedTuple):
    """The last move of a prefix that is still to be run, linked to the one before."""

    before: _Node | None
    move: Move
    preemptions: int
    clocks: int


class Exhaustive:
    """Runs each schedule once, in the order of its number of preemptions; within one number, early preemptions first.

    Schedules in which the clock moves cost up to a real second on the wire: with ``clock_apart`` they wait until
    ``clock_turn`` says so or nothing else is left. With ``fused`` starts that commute are placed in one way only
    (`stress.schedulers.base.fused_starts`). ``preemptions`` is the bound that is being worked on.
    """

    name = "exhaustive"

    def __init__(
        self,
        *,
        fused: bool,
        clock_apart: bool = False,
        clock_turn: Callable[[], bool] = lambda: False,
    ) -> None:
        """Begin with the empty schedule."""
        self._fused, self._then = fused, going_on(fused=fused)
        self._clock_apart = clock_apart
        self._clock_turn = clock_turn
        self._plain: dict[int, deque[_Node]] = {}
        self._timed: dict[int, deque[_Node]] = {}
        self._node: _Node | None = None
        self._prefix: list[Move] = []
        self._taken: list[Move] = []
        self._begun = self._running = False
        self._level = self._deepest = 0
        self._current: str | None = None
        self._interrupted: str | None = None
        self.schedules = self.clock_schedules = 0

    @property
    def exhausted(self) -> bool:
        """Whether every schedule has been run to its end."""
        return self._begun and not self._running and not self._plain and not self._timed

    @property
    def clock_cut(self) -> bool:
        """Whether every schedule without a move of the clock has been run, and some with it have not."""
        return self._begun and not self._running and not self._plain and bool(self._timed)

    @property
    def bound(self) -> int | None:
        """The largest b such that every schedule with at most b preemptions has been run; None if not even b = 0."""
        left = [*self._plain, *self._timed, *([self._level] if self._running or not self._begun else [])]
        if not left:
            return self._deepest
        return min(left) - 1 if min(left) else None

    def more(self) -> bool:
        """Take the next prefix with the fewest preemptions."""
        self._taken.clear()
        self._current = self._interrupted = None
        if not self._begun:
            self._begun, self._running, self._node, self._prefix = True, True, None, []
            return True
        queues = self._timed if self._timed and (not self._plain or self._clock_turn()) else self._plain
        if not queues:
            return False
        self._running, self._level = True, (level := min(queues))
        self._deepest = max(self._deepest, level)
        self._node = queues[level].popleft()
        if not queues[level]:
            del queues[level]
        self._prefix = _moves(self._node)
        return True

    def choose(self, moves: Sequence[Move], *, done: bool) -> Move | None:
        """Follow the prefix, then keep going; note each other choice for later."""
        step = len(self._taken)
        if step < len(self._prefix):
            move = self._prefix[step]
            if move not in moves:
                raise Diverged(step + 1, str(move), moves)
            return self._take(move)
        offered = fused_starts(moves, self._taken) if self._fused else moves
        ranked = keep_going(offered, self._current, self._interrupted)
        first = None if done else ranked[0]
        for other in ranked if done else ranked[1:]:
            self._note(other, preemptions_away(other, offered, self._current))
        if first is None:
            return None
        self._node = self._child(first, preemptions_away(first, offered, self._current))
        return self._take(first)

    @property
    def prefix(self) -> tuple[Move, ...]:
        """The moves that the next schedule begins with."""
        return tuple(self._prefix)

    @property
    def plan(self) -> Plan:
        """The schedule that was begun."""
        return Plan(self.prefix, self._then)

    def lookahead(self, most: int) -> list[Plan]:
        """Give schedules of the queue: those with the fewest preemptions."""
        queues = self._plain or self._timed
        waiting = (node for level in sorted(queues) for node in queues[level])
        return [Plan(tuple(_moves(node)), self._then) for node in islice(waiting, most)]

    def skip(self) -> None:
        """Leave a schedule out, and what begins as it does."""
        self._running = False

    def learn(self, trace: Trace) -> None:
        """Count the schedule."""
        self._running = False
        self.schedules += 1
        self.clock_schedules += any(move.actor == "clock" for move in trace.moves)

    def _take(self, move: Move) -> Move:
        self._taken.append(move)
        if not is_environment(move):
            self._interrupted = move.actor
        self._current = move.actor
        return move

    def _child(self, move: Move, preemption: bool) -> _Node:  # noqa: FBT001 - a bit to add, not an option
        before = self._node
        preemptions, clocks = (before.preemptions, before.clocks) if before else (0, 0)
        return _Node(before, move, preemptions + preemption, clocks + (move.actor == "clock"))

    def _note(self, move: Move, preemption: bool) -> None:  # noqa: FBT001 - a bit to add, not an option
        node = self._child(move, preemption)
        queues = self._timed if self._clock_apart and node.clocks else self._plain
        queues.setdefault(node.preemptions, deque()).append(node)


SCHEDULERS.register(
    "exhaustive",
    Registered(
        lambda search: Exhaustive(
            fused=search.fused,
            clock_apart=search.clock_apart,
            clock_turn=search.clock_turn,
        ),
        covering=True,
    ),
)


def _moves(node: _Node | None) -> list[Move]:
    found: list[Move] = []
    while node is not None:
        found.append(node.move)
        node = node.before
    return found[::-1]
