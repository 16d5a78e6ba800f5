"""What names a class of schedules, so that two runs can be seen to be the same but for swaps of independent moves.

The normal form is that of Foata (Cartier and Foata, 1969): each move stands on the level after the last one that it
depends on. Two schedules are of one class exactly when their levels hold the same moves. Where requests are identical,
they are named again in the order of what they do, so that schedules that differ in names alone are of one class too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stress.schedulers.dependence import Table

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from stress.schedulers.dependence import Dependence, Effect

Name = frozenset[tuple[int, str, str, str, int]]
"""Each move's level, actor, command, object and occurrence."""


def levels(numbers: Sequence[int], table: Table) -> list[int]:
    """Give the level of each move of a schedule: one more than the highest of those before it that it depends on."""
    found: list[int] = []
    for at, number in enumerate(numbers):
        dependent = table.dependent[number]
        found.append(1 + max((found[place] for place in range(at) if dependent >> numbers[place] & 1), default=0))
    return found


def name_of(numbers: Sequence[int], table: Table, alike: Collection[str] = ()) -> Name:
    """Name the class of a schedule, up to the names of the requests that are ``alike``."""
    moves = [table.effects[number].move for number in numbers]
    placed = list(zip(levels(numbers, table), moves, strict=True))
    did: dict[str, list[tuple[int, str, str]]] = {actor: [] for actor in alike}
    for level, move in placed:
        if move.actor in did:
            did[move.actor].append((level, move.command, move.object))
    new = dict(zip(sorted(did, key=lambda actor: (did[actor], actor)), sorted(did), strict=True))
    return frozenset(
        (level, new.get(move.actor, move.actor), move.command, move.object, move.occurrence) for level, move in placed
    )


class Classes:
    """Counts the distinct classes of many runs."""

    def __init__(self, dependence: Dependence, alike: Collection[str] = ()) -> None:
        """Begin with none; requests ``alike`` may exchange their names."""
        self._table, self._alike = Table(dependence), alike
        self._seen: set[Name] = set()

    def add(self, done: Sequence[Effect]) -> bool:
        """Take in what the moves of a run did; return whether it is the first of its class."""
        name = name_of([self._table.number(effect) for effect in done], self._table, self._alike)
        new = name not in self._seen
        self._seen.add(name)
        return new

    def __len__(self) -> int:
        """Return how many classes were seen."""
        return len(self._seen)
