"""What a step came to, made from the parsed reply by its protocol, never from printed text."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence


class How(StrEnum):
    """How a step ended."""

    OK = "ok"
    """It took effect, or saw something."""
    REFUSED = "refused"
    """The store turned it down, and nothing changed: a condition did not hold, or it is an error."""
    ABSENT = "absent"
    """What it asked for, or would have taken away, is not there."""
    BLOCKED = "blocked"
    """It waits."""


Value: TypeAlias = "str | tuple[Value, ...] | None"
"""What a step saw or left, with made-up names replaced: a text, several, or nothing."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a step ended, and the value seen or left where it is one.

    ``parts`` are the outcomes of its commands where it has several: then it is refused, or finds nothing, when all are
    or do. ``error`` says that it was refused by an error, which the value says.
    """

    how: How = How.OK
    value: Value = None
    parts: tuple[Outcome, ...] = ()
    error: bool = False

    @property
    def kinds(self) -> tuple[str, ...]:
        """How it ended, and each of its commands: what is compared between runs."""
        return (self.how, *(kind for part in self.parts for kind in part.kinds))


BLOCKED = Outcome(How.BLOCKED)


def together(parts: Sequence[Outcome]) -> Outcome:
    """Give the outcome of several commands that are one step; of one, its own."""
    if len(parts) == 1:
        return parts[0]
    kinds = {part.how for part in parts}
    return Outcome(kinds.pop() if len(kinds) == 1 else How.OK, tuple(part.value for part in parts), tuple(parts))
