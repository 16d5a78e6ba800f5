"""Orders that were run, so that none of their classes need be run again.

Where an order that is wanted has the same moves as one that was run, and those that depend on each other come in the
same order, it leads to the same (Mazurkiewicz, 1977). Identical requests may exchange their names.
"""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING, NamedTuple

from stress.explore.classes import name_of
from stress.explore.symmetry import of_actor
from stress.explore.wakeup import taking

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from stress.explore.classes import Name
    from stress.explore.dependence import Effect, Table

NAMES = 3
"""Of how many identical requests all ways to name them are tried."""


class Run(NamedTuple):
    """What the moves of an order did, with a number for each; ``ended`` tells that the environment could still act."""

    done: tuple[Effect, ...]
    numbers: tuple[int, ...]
    ended: bool


class Known:
    """One run of each class that was seen; requests ``alike`` may exchange their names (``rename``)."""

    def __init__(
        self, table: Table, alike: Sequence[str] = (), rename: Callable[[Effect, str], Effect] = of_actor
    ) -> None:
        """Know nothing yet."""
        self._table, self._alike, self._rename = table, tuple(alike), rename
        ways = permutations(alike) if len(alike) <= NAMES else [self._alike]
        self._ways = [dict(zip(alike, way, strict=True)) for way in ways]
        self._runs: dict[Name, list[Run]] = {}

    def add(self, done: Sequence[Effect], *, ended: bool = False) -> bool:
        """Take in a run; tell whether it is the first of its class."""
        name = name_of([self._table.number(effect) for effect in done], self._table, self._alike)
        if name in self._runs:
            return False
        self._runs[name] = [self._named(done, way, ended=ended) for way in self._ways]
        return True

    def forget(self, name: Name) -> None:
        """Leave a class out from now on."""
        del self._runs[name]

    def beginning(self, begin: Sequence[int]) -> Iterator[tuple[Name, Run, list[int]]]:
        """Give each known run that may begin with these moves, named as they are, and what comes after them.

        Number 0 at the end of ``begin`` is the end of the order.
        """
        for name, ways in list(self._runs.items()):
            for run in ways:
                rest: list[int] | None = [*run.numbers, 0] if run.ended else list(run.numbers)
                for number in begin:
                    rest = taking(rest, number, self._table) if rest is not None else None
                if rest is not None:
                    yield name, run, rest

    def _named(self, done: Sequence[Effect], way: dict[str, str], *, ended: bool) -> Run:
        named = tuple(
            self._rename(effect, new)
            if (new := way.get(effect.move.actor, "")) != effect.move.actor and new
            else effect
            for effect in done
        )
        return Run(named, tuple(self._table.number(effect) for effect in named), ended)
