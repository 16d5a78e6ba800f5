"""A part of all orders, so that one search is split: what an order begins with says in which part it is.

The beginnings are dealt out by a hash of their moves, so that every process and every machine deals alike and none has
to ask another. After Simsa, Bryant, Gibson and Hickey, Scalable dynamic partial order reduction, RV 2012.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple

from stress.explore.base import is_environment
from stress.step import START

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stress.step import Move


class Part(NamedTuple):
    """One of ``of`` parts, counted from 1.

    With ``fused`` all starts that are possible at a point count as one way to go on, as most of them lead to the same;
    with ``alike``, where requests are identical, all moves do that are of one kind.

    There are at least so many ``beginnings`` for each part, where there are so many: the more, the more alike are the
    parts, and the more orders are run to find what is in them.
    """

    number: int
    of: int
    fused: bool = False
    alike: bool = False
    beginnings: int = 16

    def __str__(self) -> str:
        """Give it in words."""
        return f"part {self.number} of {self.of}"

    def ways(self, before: int, moves: Sequence[Move], *, done: bool) -> int:
        """Give how many ways there are to begin an order up to a point where it has these ``moves``.

        There were ``before`` up to the point before it (1 at first). The clock does not count, so that an order
        without it is in the same part whether or not it could have moved.
        """
        kinds = {
            move[1:3] if self.alike or (self.fused and move.command == START) else move
            for move in moves
            if move.actor != "clock"
        }
        return before * max(1, len(kinds) + done)

    def begun(self, ways: int) -> bool:
        """Tell whether there are so many ways that an order which has come so far is at the end of its beginning."""
        return ways >= self.beginnings * self.of

    def has(self, beginning: Sequence[Move | None]) -> bool:
        """Tell whether what begins so, or is no longer than that, is in this part."""
        text = "\n".join("" if move is None else " ".join(map(str, move)) for move in beginning)
        return int.from_bytes(blake2b(text.encode(), digest_size=8).digest()) % self.of == self.number - 1

    def seed(self, seed: int) -> int:
        """Give a seed that no other part has, and no other seed of a user in any part."""
        return seed * self.of + self.number - 1


def in_turn(moves: Sequence[Move], *, done: bool) -> list[Move | None]:
    """Put what may come next in the order in which a search that is split takes it, whatever it has seen before.

    Starts come first, so that identical requests have equal histories, then the other requests; with ``done`` the end.
    """
    ranked = sorted(moves, key=lambda move: (move.command != START, is_environment(move)))
    return [None, *ranked] if done else [*ranked]
