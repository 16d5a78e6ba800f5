"""One order of each class, those left out that were run before: the hunt's orders answer for their classes."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from stress.explore.base import is_environment
from stress.explore.known import NAMES, Known
from stress.explore.wakeup import taking
from stress.step import START, Move

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from stress.explore.ahead import Plan
    from stress.explore.dependence import Effect
    from stress.explore.dpor import Dpor
    from stress.explore.known import Run
    from stress.trace import Trace


class Recall:
    """Explores as ``dpor`` does, and takes what it can from orders that were run.

    ``runs`` are what the moves of each of them did, and whether the environment could still act at its end; at every
    point of theirs each request that was not answered yet had one move. ``possible`` says how often each actor of the
    environment may act. Its own ``runs`` are as those taken.
    """

    name = "dpor"

    def __init__(
        self,
        dpor: Dpor,
        runs: Sequence[tuple[Sequence[Effect], bool]],
        possible: Mapping[str, int],
        alike: Sequence[str] = (),
    ) -> None:
        """Take in the runs."""
        self.dpor = dpor
        self.runs: list[tuple[Sequence[Effect], bool]] = []
        self._possible = possible
        self._known = Known(dpor.table, alike)
        self._choices: list[Move | None] = []
        self._at = 0
        self._ended = False
        # Under a name that it would not have chosen, an order leads a search with symmetry to more classes.
        for done, ended in runs if len(alike) <= NAMES else runs[:1]:
            self._known.add(done, ended=ended)

    def more(self) -> bool:
        """Take the next order of which no class is known."""
        self._choices, self._at, self._ended = [], 0, False
        while self.dpor.more():
            if not self._recall():
                return True
            self._choices = []
        return False

    @property
    def plan(self) -> Plan | None:
        """The order that was begun; one that was thought to be known can't be told any more."""
        return None if self._choices else self.dpor.plan

    def ahead(self, most: int) -> list[Plan]:
        """Give orders that will be wanted, those of which a class is known left out."""
        unknown = (plan for numbers, plan in self.dpor.pending() if next(self._known.beginning(numbers), None) is None)
        return list(islice(unknown, most))

    def choose(self, moves: Sequence[Move], *, done: bool) -> Move | None:
        """Choose as before where that was asked already."""
        self._at += 1
        if self._at <= len(self._choices):
            return self._choices[self._at - 1]
        move = self.dpor.choose(moves, done=done)
        self._ended = move is None
        return move

    def learn(self, trace: Trace) -> None:
        """Let it learn."""
        done = self.dpor.read(trace)
        self.runs.append((done, self._ended))
        self.dpor.take_in(done)

    def _recall(self) -> bool:
        """Tell what a known order did that is of a class that the next one may be; False where there is none.

        Of several the one that is most like what would be chosen.
        """
        wanted, effects = self.dpor.wanted, self.dpor.table.effects
        found = []
        for name, run, rest in self._known.beginning(wanted):
            sequence = [*wanted, *self._as_explored(rest)]
            if not self.dpor.asleep(sequence):
                found.append(([_rank(effects[number].move) for number in sequence], name, run, sequence))
        if not found:
            return False
        _, name, run, sequence = min(found, key=lambda one: one[0])
        self._known.forget(name)
        return self._follow(run, sequence)

    def _as_explored(self, rest: list[int]) -> list[int]:
        """Put moves in the order in which they would be chosen: starts first, then the lowest actor."""
        table = self.dpor.table
        found: list[int] = []
        left: list[int] | None = rest
        while left:
            first = [number for number in left if taking(left, number, table) is not None]
            found.append(min(first, key=lambda number: _rank(table.effects[number].move)))
            left = taking(left, found[-1], table)
        return found

    def _follow(self, run: Run, sequence: Sequence[int]) -> bool:
        """Ask who goes next as a world does; where another is chosen the order has to be run after all."""
        moves = self.dpor.table.moves
        by_place = {moves[number]: effect for number, effect in zip(run.numbers, run.done, strict=True)}
        done = [by_place[moves[number]] for number in sequence if number]
        expected: list[Move | None] = [effect.move for effect in done]
        expected += [None] * run.ended
        self.dpor.guide = {at: move for at, move in enumerate(expected, start=1) if move is not None}
        try:
            for at, move in enumerate(expected):
                left = [effect.move for effect in done[at:]]
                offered = self._offered([effect.move for effect in done[:at]], left)
                ended = all(is_environment(one) for one in left)
                self._choices.append(self.dpor.choose(offered, done=ended))
                if self._choices[-1] != move:
                    return False
        finally:
            self.dpor.guide = None
        self.dpor.take_in(done)
        return True

    def _offered(self, taken: Sequence[Move], left: Sequence[Move]) -> list[Move]:
        """List what a world offers: the next move of each request, by name, then what the environment may do."""
        requests = {move.actor: move for move in reversed(left) if not is_environment(move)}
        found = [requests[actor] for actor in sorted(requests)]
        for name, most in self._possible.items():
            acted = sum(move.actor == name for move in taken)
            if acted < most and (name != "clock" or (requests and taken)):
                found.append(Move(name, name, "", acted + 1))
        return found


def _rank(move: Move) -> tuple[bool, bool, str]:
    return move.command != START, is_environment(move), move.actor
