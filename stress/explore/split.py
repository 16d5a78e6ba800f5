"""Exploring one part of a search that is split: where an order is begun, and what must not come in it.

In the beginning of an order every move that is possible is a branch. What was explored there is barred from the
branches after it, until a move that depends on it comes (sleep sets: Godefroid, 1996), so that each class is in one
beginning only. In a beginning an order may end because all that is left is barred: its class is in another one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from stress.explore.part import in_turn
from stress.explore.wakeup import Branch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stress.explore.ahead import Then
    from stress.explore.dependence import Table
    from stress.explore.level import Level
    from stress.explore.part import Part
    from stress.step import Move


class Left(NamedTuple):
    """The depth from which on an order is not one to learn from, and what it should have taken there.

    ``able`` is None where all of it is of another part, and empty where nothing may come.
    """

    depth: int
    able: list[Branch] | None


class Split:
    """Keeps a search to one ``part``; ``table`` has the numbers of what moves do."""

    def __init__(self, part: Part, table: Table) -> None:
        """Take the part."""
        self._part, self._table = part, table

    def begin(self, level: Level, above: Level | None) -> Level:
        """Tell a new level whether it is of the beginning of its order."""
        ways = above.ways if above else 1
        level.beginning = not self._part.begun(ways)
        level.ways = self._part.ways(ways, level.offered, done=level.done)
        return level

    def left(self, levels: Sequence[Level], fixed: int) -> Left | None:
        """Say where an order went otherwise than it must; None where all of it is of this part.

        Levels of the beginning that are new get their branches. Those before ``fixed`` are known.
        """
        for depth in range(fixed, len(levels)):
            level = levels[depth]
            taken = level.tree[0].move
            if level.beginning and not level.spread:
                level.spread = True
                able = self._able(level)
                if able[:1] != [taken]:
                    return Left(depth, self._branches(able))
                level.tree += self._branches(able[1:])
            elif depth > fixed and self._table.moves[level.number] in level.barred:
                return Left(depth, self._branches(self._able(level)[:1]))
            if level.beginning and self._part.begun(level.ways) and not self._has(levels[: depth + 1]):
                return Left(depth + 1, None)
        short = not levels or (levels[-1].beginning and not self._part.begun(levels[-1].ways))
        return Left(len(levels), None) if short and not self._has(levels) else None

    def after(self, level: Level, depth: int, place: int, then: Then) -> Then:
        """Say who goes on after the branch at a place of a level: nothing that is barred, as far as that can be told.

        What each move does is told from when it was last made.
        """
        table = self._table
        before = [one.number for one in level.tree[:place]] if level.beginning else []
        barred = [*level.barred.values(), *before]

        def free(taken: Sequence[Move], moves: Sequence[Move], done: bool) -> Move | None:  # noqa: FBT001 - a plan's
            waking = [table.dependent[table.expected(move)] for move in taken[depth:]]
            held = {table.effects[one].move for one in barred if not any(bits >> one & 1 for bits in waking)}
            return then(taken, [move for move in moves if move not in held] or moves, done)

        return free

    def _has(self, levels: Sequence[Level]) -> bool:
        return self._part.has([level.tree[0].move for level in levels])

    def _able(self, level: Level) -> list[Move | None]:
        """List what may come at a level, in its turn."""
        barred = {self._table.effects[number].move for number in level.barred.values()}
        return [move for move in in_turn(level.offered, done=level.done) if move is None or move not in barred]

    def _branches(self, moves: Sequence[Move | None]) -> list[Branch]:
        return [Branch(move, 0 if move is None else self._table.expected(move)) for move in moves]
