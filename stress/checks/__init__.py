"""Checks: each a function from a trace to violations, one invariant a file. The file's name is the invariant's.

A check module has ``check``, and ``NEEDS``: which parts of the final state it reads (``records``, ``hits``). It sets
``ENVIRONMENT`` when it judges what a test asserts, and ``EACH_INCARNATION`` when it counts answers per incarnation.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

from stress.checks._incarnations import undecided
from stress.verdict import Cause

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stress.trace import Trace
    from stress.verdict import Violation

__all__ = ["Check", "cause", "check_named", "missing", "not_checked", "run_checks", "undecided"]


class Check(NamedTuple):
    """What a check module says, looked up once: a search judges thousands of runs by the same checks."""

    check: Callable[[Trace], list[Violation]]
    needs: frozenset[str]
    environment: bool
    each_incarnation: bool

    def runs_on(self, trace: Trace) -> bool:
        """Tell whether a trace says enough for this check."""
        return not missing(self.needs, trace) and not (self.each_incarnation and undecided(trace))


@cache
def check_named(name: str) -> Check:
    """Give the check of an invariant."""
    module = import_module(f"stress.checks.{name}")
    return Check(
        module.check,
        module.NEEDS,
        environment=getattr(module, "ENVIRONMENT", False),
        each_incarnation=getattr(module, "EACH_INCARNATION", False),
    )


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


def missing(needs: frozenset[str], trace: Trace) -> bool:
    """Tell whether the final state lacks what a check needs: ``records`` or ``hits``."""
    return any(getattr(trace.final, need) is None for need in needs)
