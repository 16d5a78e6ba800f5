"""Schedules that will be asked for, so that several can be run at once before the scheduler that wants them asks.

A scheduler says what its next schedules begin with and who goes on after that. What was run is then shown to it in its
own time, as if it had been run only then; where it chooses otherwise the schedule is run again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from stress.schedulers.base import Diverged, Scheduler, fused_starts, is_environment, keep_going

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stress.core.step import Move
    from stress.core.trace import Trace

    Then = Callable[[Sequence[Move], Sequence[Move], bool], Move | None]


class Plan(NamedTuple):
    """A schedule that is wanted: the moves that it begins with (None: it ends there), and who goes ``then``.

    It is given the moves that were made, those that are possible, and whether every request has been answered.
    """

    begin: tuple[Move | None, ...]
    then: Then


class Planning(Scheduler, Protocol):
    """A scheduler that knows what it will ask for."""

    @property
    def plan(self) -> Plan | None:
        """The schedule that was begun by ``more``; None where it can't be known in advance."""

    def lookahead(self, most: int) -> list[Plan]:
        """Give schedules that will be wanted later, whatever those before them lead to, as far as is known."""


class Point(NamedTuple):
    """What was possible at one point of a schedule, and what was chosen."""

    moves: tuple[Move, ...]
    done: bool
    chosen: Move | None


class Planned:
    """Runs one schedule as it is planned, and keeps what was possible at each of its ``points``."""

    name = "planned"

    def __init__(self, plan: Plan) -> None:
        """Take the plan."""
        self.plan = plan
        self.points: list[Point] = []
        self._taken: list[Move] = []
        self._restarted = True

    def more(self) -> bool:
        """Begin the schedule."""
        self.restart()
        return True

    def restart(self) -> None:
        """Begin again with the next choice: what was possible in this run may not be in that one."""
        self._restarted = True

    def choose(self, moves: Sequence[Move], *, done: bool) -> Move | None:
        """Follow the plan."""
        if self._restarted:
            self.points, self._taken, self._restarted = [], [], False
        at = len(self.points)
        if at < len(self.plan.begin):
            move = self.plan.begin[at]
            if not (done if move is None else move in moves):
                raise Diverged(at + 1, str(move), moves)
        else:
            move = self.plan.then(self._taken, moves, done)
        self.points.append(Point(tuple(moves), done, move))
        if move is not None:
            self._taken.append(move)
        return move

    def matches(self, trace: Trace) -> bool:
        """Return whether a trace is of the run whose points are kept."""
        return [point.chosen for point in self.points if point.chosen is not None] == list(trace.moves)

    def learn(self, trace: Trace) -> None:
        """Nothing to learn: the schedule is given."""


class Following:
    """Asks a scheduler that has made its first choices already."""

    def __init__(self, scheduler: Scheduler, made: Sequence[Move | None]) -> None:
        """Take the choices that it has made."""
        self.name = scheduler.name
        self._scheduler, self._made, self._at = scheduler, made, 0

    def more(self) -> bool:
        """It has begun."""
        return True

    def choose(self, moves: Sequence[Move], *, done: bool) -> Move | None:
        """Choose as before, then ask."""
        self._at += 1
        if self._at <= len(self._made):
            return self._made[self._at - 1]
        return self._scheduler.choose(moves, done=done)

    def learn(self, trace: Trace) -> None:
        """Let it learn."""
        self._scheduler.learn(trace)


def going_on(*, fused: bool) -> Then:
    """Let everyone keep going; with ``fused`` starts stand where they are placed once (`fused_starts`)."""

    def then(taken: Sequence[Move], moves: Sequence[Move], done: bool) -> Move | None:  # noqa: FBT001 - as it is offered
        if done:
            return None
        offered = fused_starts(moves, taken) if fused else moves
        interrupted = next((one.actor for one in reversed(taken) if not is_environment(one)), None)
        return keep_going(offered, taken[-1].actor if taken else None, interrupted)[0]

    return then
