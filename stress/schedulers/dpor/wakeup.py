"""Wakeup trees of DPOR: sequences of moves that are still to be explored, as branches that share their beginnings."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from stress.schedulers.base import is_request, is_worker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stress.core.step import Move
    from stress.schedulers.dependence import Table


class Absorbed(NamedTuple):
    """A wakeup sequence that was left out at a depth because a branch leads to all that it leads to."""

    depth: int
    sequence: list[int]


class Branch:
    """One move of a wakeup tree (None ends the run), what it is expected to do, and what comes after it."""

    __slots__ = ("absorbed", "children", "move", "number")

    def __init__(self, move: Move | None, number: int) -> None:
        """Begin without anything after it; ``number`` is of what the move does."""
        self.move, self.number = move, number
        self.children: list[Branch] = []
        self.absorbed: list[Absorbed] = []


def possible(branch: Branch, moves: Sequence[Move], *, done: bool) -> bool:
    """Return whether a branch can be taken; made-up names may change with the schedule, then the actor decides."""
    if branch.move is None:
        return done
    if branch.move in moves:
        return True
    own = [move for move in moves if (move.actor, move.command) == (branch.move.actor, branch.move.command)]
    if len(own) == 1 and (is_request(own[0].actor) or is_worker(own[0].actor)):
        branch.move = own[0]
        return True
    return False


def without(sequence: list[int], number: int, table: Table) -> list[int] | None:
    """Give what is left of a sequence after a move that it may begin with (a weak initial of it), else None."""
    this, dependent, moves = table.moves[number], table.dependent[number], table.moves
    for place, other in enumerate(sequence):
        if moves[other] == this:
            return sequence[:place] + sequence[place + 1 :]
        if dependent >> other & 1:
            return None
    return sequence


def taking(sequence: list[int], number: int, table: Table) -> list[int] | None:
    """Give what is left of a sequence after one of its moves, if that can come first in it, else None."""
    rest = without(sequence, number, table)
    return rest if rest is not None and len(rest) < len(sequence) else None


def graft(tree: list[Branch], begin: int, whole: Absorbed, table: Table) -> None:
    """Put a sequence into the branches of a wakeup tree from ``begin`` on."""
    sequence = whole.sequence
    while sequence:
        for branch in tree[begin:]:
            rest = without(sequence, branch.number, table)
            if rest is not None:
                break
        else:
            break
        if not rest or not branch.children:
            branch.absorbed.append(whole)
            return
        tree, sequence, begin = branch.children, rest, 0
    for number in sequence:
        branch = branch_of(number, table)
        tree.append(branch)
        tree = branch.children


def branch_of(number: int, table: Table) -> Branch:
    """Make a branch of the move that has an effect of this number."""
    return Branch(table.effects[number].move if number else None, number)


def all_absorbed(branch: Branch) -> list[Absorbed]:
    """Give the sequences that were left out for the sake of a branch, or of one after it."""
    found = list(branch.absorbed)
    for child in branch.children:
        found += all_absorbed(child)
    return found


def firsts(branch: Branch) -> list[Branch]:
    """Give a branch and the first one after each."""
    return [branch, *(firsts(branch.children[0]) if branch.children else ())]
