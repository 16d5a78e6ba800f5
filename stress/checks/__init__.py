"""Checks: each a function from a trace to violations, one invariant a file. The file's name is the invariant's."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from stress.verdict import Cause

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stress.trace import Trace
    from stress.verdict import Violation


def run_checks(names: Sequence[str], trace: Trace) -> list[Violation]:
    """Judge one run by the named invariants; those that need what the target does not show are left out."""
    found: list[Violation] = []
    for name in names:
        module = import_module(f"stress.checks.{name}")
        if not missing(module.NEEDS, trace):
            found += module.check(trace)
    return found


def cause(violations: Sequence[Violation]) -> Cause:
    """Tell whose fault violations are: where only what a test asserts is broken, the test's surroundings are."""
    outside = all(getattr(import_module(f"stress.checks.{one.invariant}"), "ENVIRONMENT", False) for one in violations)
    return Cause.ENVIRONMENT if outside else Cause.GATEWAY


def not_checked(names: Sequence[str], trace: Trace) -> tuple[str, ...]:
    """Name the checks that a trace does not say enough for."""
    return tuple(name for name in names if missing(import_module(f"stress.checks.{name}").NEEDS, trace))


def missing(needs: frozenset[str], trace: Trace) -> bool:
    """Tell whether the final state lacks what a check needs: ``records`` or ``hits``."""
    return any(getattr(trace.final, need) is None for need in needs)
