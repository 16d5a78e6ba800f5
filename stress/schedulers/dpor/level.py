"""One point of the schedule that DPOR is at, and what is known of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stress.schedulers.base import is_request

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stress.core.step import Move
    from stress.schedulers.dependence import Effect
    from stress.schedulers.dpor.wakeup import Branch
    from stress.schedulers.symmetry import Histories


class Level:
    """One point of the current schedule.

    ``offered`` are the moves that were possible, ``tree`` the branches to take here, the first of which is being
    explored, ``sleep`` the moves that need not be (by their number, what they do). ``number`` is what the move that was
    taken did, ``before`` has a bit for each earlier level that happens before it, ``races`` are the levels that it is
    in a race with, and ``withdrawn`` the moves that were possible before it and not after, with their races.
    """

    __slots__ = (
        "before",
        "done",
        "epoch",
        "histories",
        "number",
        "offered",
        "races",
        "sleep",
        "tree",
        "withdrawn",
    )

    def __init__(self, offered: tuple[Move, ...], tree: list[Branch], *, done: bool) -> None:
        """Begin with what is possible, and what is to be taken."""
        self.offered, self.tree, self.done = offered, tree, done
        self.sleep: dict[int, int] = {}
        self.number = self.before = self.epoch = 0
        self.races: list[int] = []
        self.withdrawn: list[tuple[Move, int, list[int]]] = []
        self.histories: Histories = {}


def waits(actor: str, before: Sequence[Move], after: Sequence[Move], effect: Effect) -> bool:
    """Return whether an actor that was let go waits for another, or lets another go on that waited."""
    if is_request(actor) and not effect.answered and all(move.actor != actor for move in after):
        return True
    return any(move.actor != actor and is_request(move.actor) and move not in before for move in after)
