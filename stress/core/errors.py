"""Errors that a user can fix: what is wrong, where, and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence


class Place(NamedTuple):
    """A place in a file; line and column count from 1."""

    path: str
    line: int
    column: int

    def __str__(self) -> str:
        """Give ``path:line:column``."""
        return f"{self.path}:{self.line}:{self.column}"


class Fault(NamedTuple):
    """One thing that is wrong with a file, and how to fix it."""

    place: Place
    message: str
    hint: str = ""

    def __str__(self) -> str:
        """Give one line: ``path:line:column: message (hint)``."""
        return f"{self.place}: {self.message}" + (f" ({self.hint})" if self.hint else "")


class UsageFault(Exception):
    """A bad file or a bad call; exit code 64. ``faults`` has one entry for each thing that is wrong."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        """Take all that is wrong at once."""
        self.faults = tuple(faults)
        super().__init__("\n".join(str(fault) for fault in self.faults))


class Untested(Exception):
    """A target of which nothing can be concluded, as requests one after another show, and the remedy; exit code 2."""

    def __init__(self, message: str, remedy: str) -> None:
        """Say why, and what to do."""
        self.remedy = remedy
        super().__init__(f"{message} ({remedy})")


class Unavailable(Exception):
    """A Gateway or a store that is not there, and the remedy; exit code 69 before the first schedule."""

    def __init__(self, message: str, remedy: str) -> None:
        """Say what is missing and what to do."""
        self.remedy = remedy
        super().__init__(f"{message} ({remedy})")


class StoreLost(Unavailable):
    """The store does not take our own connection, or no longer."""
