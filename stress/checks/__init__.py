"""Checks: each a function from a trace to violations, one invariant a file, registered where it is defined."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stress.checks._declare import Check, Reads, invariant, missing
from stress.checks._incarnations import undecided
from stress.core.registry import CHECKS
from stress.core.verdict import Cause

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stress.core.trace import Trace
    from stress.core.verdict import Violation

__all__ = [
    "Check",
    "Reads",
    "cause",
    "check_named",
    "invariant",
    "missing",
    "not_checked",
    "reads_of",
    "run_checks",
    "undecided",
]


def check_named(name: str) -> Check:
    """Give the check of an invariant."""
    found: Check = CHECKS[name]
    return found


def reads_of(names: Sequence[str]) -> frozenset[Reads]:
    """Give all that the named invariants read of a run."""
    return frozenset().union(*(check_named(name).reads for name in names))


def run_checks(names: Sequence[str], trace: Trace) -> list[Violation]:
    """Judge one run by the named invariants; those that a trace does not say enough for are left out."""
    found: list[Violation] = []
    for name in names:
        one = check_named(name)
        if one.runs_on(trace):
            found += one.check(trace)
    return found


def cause(violations: Sequence[Violation]) -> Cause:
    """Tell whose fault violations are: where only what a test asserts is broken, the test's surroundings are."""
    outside = all(check_named(one.invariant).environment for one in violations)
    return Cause.ENVIRONMENT if outside else Cause.GATEWAY


def not_checked(names: Sequence[str], trace: Trace) -> tuple[str, ...]:
    """Name the checks that a trace does not say enough for."""
    return tuple(name for name in names if not check_named(name).runs_on(trace))
