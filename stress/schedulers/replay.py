"""Follow one schedule to the letter, and say where that fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stress.core.step import NEXT
from stress.schedulers.base import Diverged, keep_going

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stress.core.step import Move
    from stress.core.trace import Trace


class Replay:
    """Runs one schedule ``times`` times.

    Where the schedule ends before all requests are answered, that is a divergence too, unless ``prefix``: then the
    rest keeps going by itself (a hand-written schedule need not spell out its end). A move in letters
    (`stress.core.letters`) is whatever its actor shows.
    """

    name = "replay"

    def __init__(self, moves: Sequence[Move], times: int = 1, *, prefix: bool = False) -> None:
        """Take the moves to follow, which are its ``moves``."""
        self.moves = tuple(moves)
        self._left = times
        self._prefix = prefix
        self._step = 0
        self._current: str | None = None

    def more(self) -> bool:
        """Begin again, until it was followed often enough."""
        self._left -= 1
        self._step, self._current = 0, None
        return self._left >= 0

    def choose(self, moves: Sequence[Move], *, done: bool) -> Move | None:
        """Give the next move of the schedule.

        Raises:
            Diverged: when that move is not possible now, or the schedule has ended too early.

        """
        if self._step == len(self.moves):
            if done:
                return None
            if self._prefix:
                chosen = keep_going(moves, self._current)[0]
                self._current = chosen.actor
                return chosen
            raise Diverged(self._step + 1, "the end of the schedule", moves)
        expected = self.moves[self._step]
        fits = [
            move for move in moves if move == expected or (expected.command == NEXT and move.actor == expected.actor)
        ]
        if not fits:
            step = f"a step of {expected.actor}" if expected.command == NEXT else str(expected)
            raise Diverged(self._step + 1, step, moves)
        self._step += 1
        self._current = expected.actor
        return fits[0]

    def learn(self, trace: Trace) -> None:
        """Nothing to learn: the schedule is given."""
