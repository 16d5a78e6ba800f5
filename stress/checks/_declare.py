"""What a check is, and how one is registered in the file that defines it."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from stress.checks._incarnations import undecided
from stress.core.registry import CHECKS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from stress.core.trace import Trace
    from stress.core.verdict import Violation

    Judge = Callable[[Trace], Sequence[Violation]]


class Reads(StrEnum):
    """What a check may read of a trace; schedules that differ in nothing that is read are one to the search."""

    RECORDS = "records"
    """The active records of each state."""
    HITS = "hits"
    """The stored count of each record."""
    ANSWERS = "answers"
    """What each client was told, whatever the order of the answers."""
    STEPS = "steps"
    """What steps did; of their order only that of steps which depend on each other."""
    PRECEDENCE = "precedence"
    """Which request was answered before another was sent, where each such pair can only break more."""
    REAL_TIME = "real time"
    """The order of all starts, answers and steps of the environment."""


class Check(NamedTuple):
    """A check, and what it declares; see `invariant`."""

    check: Judge
    demands: str
    reads: frozenset[Reads]
    needs: frozenset[Reads]
    environment: bool
    each_incarnation: bool
    default: bool

    def runs_on(self, trace: Trace) -> bool:
        """Tell whether a trace says enough for this check."""
        return not missing(self.needs, trace) and not (self.each_incarnation and undecided(trace))


def invariant(  # noqa: PLR0913 - one keyword for each thing that a check declares
    name: str,
    *,
    demands: str,
    reads: Collection[Reads] = frozenset(Reads),
    needs: Collection[Reads] = (),
    environment: bool = False,
    each_incarnation: bool = False,
    default: bool = False,
) -> Callable[[Judge], Judge]:
    """Register a check under the name that a scenario lists it by.

    ``demands`` is the invariant in one sentence, for reports. ``reads`` is all that the check reads: by default
    everything, so that no order it may see is left out; the less it is, the fewer schedules a search needs. It is left
    out where a target does not observe what it ``needs`` (records, hits). ``environment`` is set when it judges what a
    test asserts, ``each_incarnation`` when it counts answers per incarnation, and ``default`` when it judges scenarios
    that list no invariants.

    Raises:
        ValueError: when the name is taken.

    """

    def register(check: Judge) -> Judge:
        declared = (frozenset(reads), frozenset(needs))
        CHECKS.register(name, Check(check, demands, *declared, environment, each_incarnation, default))
        return check

    return register


def missing(needs: Collection[Reads], trace: Trace) -> bool:
    """Tell whether the final state lacks what a check needs."""
    return any(getattr(trace.final, need) is None for need in needs)
