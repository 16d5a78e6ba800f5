"""Exit codes; 0 is `as expected`. Those from 64 on are of sysexits(3), 130 is 128 + SIGINT."""

from __future__ import annotations

RACE, INCONCLUSIVE, NOT_FOUND, USAGE, UNAVAILABLE, OWN_BUG, REPORT, INTERRUPT = 1, 2, 3, 64, 69, 70, 74, 130
