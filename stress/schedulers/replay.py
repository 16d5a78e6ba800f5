"""Follow one order to the letter, and say where that fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stress.schedulers.base import Diverged

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stress.core.step import Move
    from stress.core.trace import Trace


class Replay:
    """Runs one order ``times`` times.

    Where the order ends before all requests are answered, that is a divergence too, unless ``loose``: then the
    rest keeps going by itself (a hand-written order need not spell out its end).
    """

    name = "replay"

    def __init__(self, moves: Sequence[Move], times: int = 1, *, loose: bool = False) -> None:
        """Take the moves to follow."""
        self._moves = tuple(moves)
        self._left = times
        self._loose = loose
        self._step = 0

    def more(self) -> bool:
        """Begin again, until it was followed often enough."""
        self._left -= 1
        self._step = 0
        return self._left >= 0

    def choose(self, moves: Sequence[Move], *, done: bool) -> Move | None:
        """Give the next move of the order.

        Raises:
            Diverged: when that move is not possible now, or the order has ended too early.

        """
        if self._step == len(self._moves):
            if done:
                return None
            if self._loose:
                return moves[0]
            raise Diverged(self._step + 1, "the end of the order", moves)
        expected = self._moves[self._step]
        if expected not in moves:
            raise Diverged(self._step + 1, str(expected), moves)
        self._step += 1
        return expected

    def learn(self, trace: Trace) -> None:
        """Nothing to learn: the order is given."""
