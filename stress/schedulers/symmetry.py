"""Identical requests are interchangeable until something distinguishes them: what each of them did and received.

Where two identical requests have the same history, whatever one of them may do next the other may do as well, and it
leads to the same up to their names. So only one of them needs to be explored there (Clarke, Jha, Enders and Filkorn,
Exploiting symmetry in temporal logic model checking, 1996).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stress.core.step import START
from stress.schedulers.base import is_request

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stress.schedulers.dependence import Dependence, Effect, Table

Histories = dict[str, int]
"""A number for the history of each interchangeable actor; equal numbers mean equal histories."""


def of_actor(effect: Effect, actor: str) -> Effect:
    """Give the same effect of another actor, on the same objects."""
    return effect._replace(move=effect.move._replace(actor=actor))


class Symmetry:
    """Which of the actors ``alike`` are interchangeable where; ``dependence`` says whether starts and answers differ.

    ``rename`` gives what another actor's effect is in place of one's: needed where an object has its actor's name.
    """

    def __init__(
        self, alike: Sequence[str], table: Table, rename: Callable[[Effect, str], Effect], dependence: Dependence
    ) -> None:
        """Begin with all of them interchangeable."""
        self._table, self._rename, self._dependence = table, rename, dependence
        self._numbers: dict[tuple[object, ...], int] = {}
        self._renamed: dict[tuple[int, str], int] = {}
        self._first = min(alike)
        self.beginning: Histories = dict.fromkeys(sorted(alike), 0)

    def after(self, histories: Histories, epoch: int, effect: Effect) -> tuple[Histories, int]:
        """Give the histories after one more effect, and the epoch: how much has happened that all may notice.

        What the environment does is part of the history of each request that moves later: it reads another time,
        and finds another epoch. So are earlier answers and starts where a check asks for them.
        """
        move = effect.move
        entry_epoch = epoch
        rule = self._dependence
        if (
            not is_request(move.actor)
            or (effect.answered and (rule.precedence or rule.real_time))
            or (rule.real_time and move.command == START)
        ):
            epoch += 1
        if move.actor in histories:
            entry = (histories[move.actor], self._rename(effect, self._first), entry_epoch)
            number = self._numbers.setdefault(entry, len(self._numbers) + 1)
            histories = {**histories, move.actor: number}
        return histories, epoch

    def images(self, number: int, histories: Histories) -> list[int]:
        """Give the same effect of each other actor with the same history."""
        actor = self._table.effects[number].move.actor
        mine = histories.get(actor)
        if mine is None:
            return []
        return [self._of(number, one) for one, other in histories.items() if other == mine and one != actor]

    def _of(self, number: int, actor: str) -> int:
        """Give the number of the same effect of another actor."""
        found = self._renamed.get((number, actor))
        if found is None:
            found = self._renamed[number, actor] = self._table.number(self._rename(self._table.effects[number], actor))
        return found
