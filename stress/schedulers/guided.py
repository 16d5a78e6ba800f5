"""Follow a schedule as far as it goes: an actor with another step than it says takes it, one that ended is left."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from stress.schedulers.base import is_environment, keep_going

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stress.core.step import Move
    from stress.core.trace import Trace


class RunOutcome(NamedTuple):
    """What became of a schedule: the moves that were made, and the names of the invariants that they broke."""

    moves: tuple[Move, ...]
    broken: frozenset[str]


class Guided:
    """Runs one schedule in which steps may differ from what is expected, as an actor may take another branch.

    A request that has its last move in the order goes on to its end there, and who is not named keeps going at the end.
    ``moves`` is the schedule.
    """

    name = "guided"

    def __init__(self, moves: Sequence[Move]) -> None:
        """Take the moves to follow."""
        self.moves = tuple(moves)
        self._last = {move.actor: at for at, move in enumerate(self.moves) if not is_environment(move)}
        self._at = 0
        self._current: str | None = None

    def more(self) -> bool:
        """Begin again."""
        self._at, self._current = 0, None
        return True

    def choose(self, moves: Sequence[Move], *, done: bool) -> Move | None:
        """Give the next move of the schedule, or whatever its actor shows instead."""
        while self._at < len(self.moves):
            expected = self.moves[self._at]
            own = [move for move in moves if move.actor == expected.actor]
            if not own or self._last.get(expected.actor) != self._at:
                self._at += 1
            if own:
                self._current = expected.actor
                return expected if expected in own else own[0]
        if done:
            return None
        chosen = keep_going(moves, self._current)[0]
        self._current = chosen.actor
        return chosen

    def learn(self, trace: Trace) -> None:
        """Nothing to learn: the schedule is given."""
