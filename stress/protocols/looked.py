"""What the stores held after the same request, several times, as protocols look for records in it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Content = dict[tuple[str, ...], object]
"""What a store holds, each value by its kind, its key, and what a part of it is called there.

Such as ``("hash", "order:7", "status")``, or ``("object", "configmaps", path)``. What is of a ``list`` may have moved.
"""
Name = tuple[str, ...]
"""What a value is called: its kind and key, and a part of it what it is called there."""


class Observing(NamedTuple):
    """What a target says under ``observe``; ``by_key`` is whether keys are the records, which no answer names."""

    observe: dict[str, object]
    by_key: bool = False


class Looked:
    """Values that all rounds have at the same name, but for what is another in each.

    Of each round ``states`` has what the stores held before the first request and after each, ``named`` the values that
    are another in each round, with a placeholder for each, ``records`` the record that its answers name, and ``fresh``
    what was sent. ``made`` is what each has made, after each request, by the names that other rounds have too.
    """

    def __init__(
        self,
        states: Sequence[Sequence[Content]],
        named: Sequence[Mapping[str, str]],
        records: Sequence[str | None],
        fresh: Sequence[str],
    ) -> None:
        """Compare the rounds."""
        self.states, self._named, self.records, self._fresh = states, named, records, fresh
        self.made = [self._of(at) for at in range(len(states))]

    def _of(self, at: int) -> list[Content]:
        there, *after = self.states[at]
        found = []
        for state in after:
            made = {name: value for name, value in state.items() if name[0] != "list" and there.get(name) != value}
            found.append({self.alike(at, name): value for name, value in (made | _added(there, state)).items()})
        return found

    def alike(self, at: int, name: Name) -> Name:
        """Write a name with placeholders for what is another in each round; a key may be named by its record."""
        words = dict(self._named[at])
        if (record := self.records[at]) is not None and record not in words:
            words[record] = "{record}"
        parts = []
        for part in name:
            for value, word in sorted(words.items(), key=lambda one: -len(one[0])):
                part = part.replace(value, word)  # noqa: PLW2901 - one after another
            parts.append(part)
        return tuple(parts)

    def common(self) -> list[Name]:
        """Give the names that are there after each request of each round."""
        states = [state for made in self.made for state in made]
        return [name for name in states[0] if all(name in state for state in states)]

    @property
    def telling(self) -> bool:
        """Whether answers name what the service has made, and not only what it was sent."""
        pairs = zip(self.records, self._fresh, strict=True)
        return not all(record is None or fresh in record for record, fresh in pairs)


def _added(before: Content, after: Content) -> Content:
    """Give what was added to each list, numbered from 0: what was there may have moved."""
    found: Content = {}
    for key in dict.fromkeys(name[1] for name in after if name[0] == "list"):
        old = Counter(value for name, value in before.items() if name[:2] == ("list", key))
        new = Counter(value for name, value in after.items() if name[:2] == ("list", key)) - old
        found |= {("list", key, str(number)): value for number, value in enumerate(new.elements())}
    return found
