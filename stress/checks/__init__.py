"""Checks: each a function from a trace to violations, one invariant a file, registered where it is defined."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stress.checks._contradiction import last_step
from stress.checks._declare import Check, Reads, invariant, missing
from stress.checks._epochs import undecided
from stress.core.registry import CHECKS
from stress.core.verdict import Cause, Violation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stress.core.trace import Trace

__all__ = [
    "Check",
    "Reads",
    "any_checked",
    "cause",
    "check_named",
    "invariant",
    "missing",
    "not_checked",
    "reads_of",
    "run_checks",
    "undecided",
    "why_not_checked",
]

_INSTEAD = "same_answer"
"""What judges in the place of checks that can't distinguish a creation from a duplicate."""


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
    for name in _applied(names, trace):
        one = check_named(name)
        if one.runs_on(trace):
            found += one.check(trace)
            found += (
                Violation(
                    name,
                    f"a record named to {answer.actor}",
                    answer.without_record,
                    (answer.actor,),
                    last_step(trace, answer.actor),
                    answer.epochs[-1],
                )
                for answer in one.nameless(trace)
            )
    return found


def _applied(names: Sequence[str], trace: Trace) -> list[str]:
    """Name the checks that judge a run: those of the scenario, and what takes the place of some that can't."""
    replaced = any(Reads.CREATED in check_named(name).lacks(trace) for name in names)
    return list(dict.fromkeys([*names, _INSTEAD] if replaced else names))


def cause(violations: Sequence[Violation]) -> Cause:
    """Say whose fault violations are: where only what a test asserts is broken, the test's surroundings are."""
    outside = all(check_named(one.invariant).environment for one in violations)
    return Cause.ENVIRONMENT if outside else Cause.GATEWAY


def not_checked(names: Sequence[str], trace: Trace) -> tuple[str, ...]:
    """Name the checks that a trace does not say enough for."""
    return tuple(name for name in _applied(names, trace) if not check_named(name).runs_on(trace))


def any_checked(names: Sequence[str], trace: Trace) -> bool:
    """Return whether a trace says enough for at least one check."""
    return any(check_named(name).runs_on(trace) for name in _applied(names, trace))


def why_not_checked(name: str, trace: Trace) -> str:
    """Say why a check was left out."""
    lacks = check_named(name).lacks(trace)
    if Reads.CREATED in lacks:
        return f"no answer says whether it created or counted; {_INSTEAD} is checked instead"
    if Reads.NAMES in lacks:
        return "not every answer names a record: see answers.record"
    return "the target does not say how to observe it"
