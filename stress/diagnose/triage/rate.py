"""How often something failed, and between which rates the true one lies."""

from __future__ import annotations

from math import sqrt
from typing import NamedTuple

_Z = 1.959964
"""The quantile of the normal distribution for an interval that covers 95 %."""


class Rate(NamedTuple):
    """So many failures of so many runs."""

    failed: int
    of: int

    @property
    def interval(self) -> tuple[float, float]:
        """Give the Wilson score interval, 95 %, from 0 to 1 (E. B. Wilson, J. Am. Stat. Assoc. 22, 1927, 209-212)."""
        if not self.of:
            return 0.0, 1.0
        share, z2n = self.failed / self.of, _Z * _Z / self.of
        middle = (share + z2n / 2) / (1 + z2n)
        half = _Z * sqrt(share * (1 - share) / self.of + z2n / (4 * self.of)) / (1 + z2n)
        return max(0.0, middle - half), min(1.0, middle + half)

    def __str__(self) -> str:
        """Give ``3 of 20, 5 to 36 %``."""
        if not self.of:
            return "not run"
        low, high = self.interval
        return f"{self.failed} of {self.of}, {low * 100:.0f} to {high * 100:.0f} %"


NONE = Rate(0, 0)
"""Nothing was run yet."""
