"""The second of the wall clock during one run: who asked for another, and whether names show one that nobody did."""

from __future__ import annotations

import time
from bisect import bisect
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class Seconds:
    """The seconds that one run goes through; what is asked for are those that the clock goes into as an actor."""

    def __init__(self) -> None:
        """Begin in the second that it is now."""
        self._last = int(time.time())
        self._asked = [self._last]
        self._crossed = False

    def asked(self) -> None:
        """Take the second that it is now as asked for."""
        self._last = int(time.time())
        self._asked.append(self._last)

    def crossing(self) -> bool:
        """Tell whether another second began since the last look, unasked."""
        now = int(time.time())
        crossing = now != self._last
        self._last, self._crossed = now, self._crossed or crossing
        return crossing

    def shown(self, named: Iterable[int]) -> bool:
        """Tell whether names of these seconds show a crossing: two are of seconds between which no clock was asked."""
        if not self._crossed:
            return False
        ages = Counter(bisect(self._asked, second) for second in named if self._asked[0] <= second <= self._last)
        return max(ages.values(), default=0) > 1
