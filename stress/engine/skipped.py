"""Runs from which nothing follows: skipped and counted, and, if they are many, why nothing is concluded."""

from __future__ import annotations

import re
from collections import Counter

from stress.core.verdict import counted

_MOST, _SHARE = 20, 0.05
"""How many runs of a search may be skipped, and which part of all of them."""
_KIND = re.compile(r"[\d:].*", re.DOTALL)
"""What in a reason distinguishes it from others of its kind: all that comes after a number or a colon."""
_REMEDY = (
    "let nothing else load the machine or write to the store, and name the commands that are no request's under "
    "`background`; a service that acts by chance can't be followed"
)


class SkippedRuns:
    """The reasons of the runs that a search skipped, each of which was tried once more."""

    def __init__(self) -> None:
        """Begin with none."""
        self._reasons: list[str] = []

    def __len__(self) -> int:
        """Give how many there are."""
        return len(self._reasons)

    def add(self, reason: str) -> None:
        """Count a run, by what it ended with or why it shows nothing."""
        self._reasons.append(reason)

    @property
    def too_many(self) -> bool:
        """Whether there are more than any search may have."""
        return len(self) > _MOST

    def unstable(self, ran: int) -> str:
        """Say why nothing is concluded where too many were skipped beside those that ``ran``; else nothing."""
        if not self.too_many and len(self) <= _SHARE * (ran + len(self)):
            return ""
        return f"unstable: {len(self)} of {counted(ran + len(self), 'schedule')} skipped, {self._commonest} ({_REMEDY})"

    @property
    def note(self) -> str:
        """Say how many were skipped and why; nothing where none was."""
        return f"{counted(len(self), 'schedule')} skipped, {self._commonest}" if self._reasons else ""

    @property
    def _commonest(self) -> str:
        kinds = Counter(_KIND.sub("", reason) for reason in self._reasons)
        kind, times = kinds.most_common(1)[0]
        example = next(reason for reason in self._reasons if _KIND.sub("", reason) == kind)
        return f"most often ({times}) as: {example}"
