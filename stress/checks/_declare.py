"""What a check is, and how one is registered in the file that defines it."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Literal, NamedTuple

from stress.checks._epochs import undecided
from stress.core.registry import CHECKS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from stress.core.trace import Answer, Trace
    from stress.core.verdict import Violation

    Judge = Callable[[Trace], Sequence[Violation]]


class Reads(StrEnum):
    """What a check may read of a trace; schedules that differ in nothing that is read are one to the search."""

    RECORDS = "records"
    """The active records of each state."""
    HITS = "hits"
    """The stored count of each record."""
    ANSWERS = "answers"
    """What each client was answered, whatever the order of the answers."""
    NAMES = "names"
    """Of the answers, which record each names."""
    CREATED = "created"
    """Of the answers, whether each says that it created a record or that there was one."""
    STEPS = "steps"
    """What steps did; of their order only that of steps which depend on each other."""
    PRECEDENCE = "precedence"
    """Which request was answered before another was sent, where each such pair can only break more."""
    REAL_TIME = "real time"
    """The schedule of all starts, answers and steps of the environment."""


class Check(NamedTuple):
    """A check, and what it declares; see `invariant`."""

    check: Judge
    demands: str
    reads: frozenset[Reads]
    needs: frozenset[Reads]
    needs_one: frozenset[Reads]
    names: frozenset[str]
    environment: bool
    each_epoch: bool
    default: bool

    def runs_on(self, trace: Trace) -> bool:
        """Return whether a trace says enough for this check."""
        return not self.lacks(trace) and not (self.each_epoch and undecided(trace))

    def lacks(self, trace: Trace) -> tuple[Reads, ...]:
        """Name what this check needs and a trace does not say."""
        unsaid = [need for need in Reads if need in self.needs and missing({need}, trace)]
        if all(missing({need}, trace) for need in self.needs_one):
            unsaid += [need for need in Reads if need in self.needs_one]
        return tuple(unsaid)

    def nameless(self, trace: Trace) -> Iterator[Answer]:
        """Give the answers that name no record although such answers do, where this check goes by names in answers."""
        if self.names and not (Reads.RECORDS in self.needs_one and trace.final.records is not None):
            yield from (one for one in trace.answers if one.nameless and any(getattr(one, kind) for kind in self.names))


def invariant(  # noqa: PLR0913 - one keyword for each thing that a check declares
    name: str,
    *,
    demands: str,
    reads: Collection[Reads] = frozenset(Reads),
    needs: Collection[Reads] = (),
    needs_one: Collection[Reads] = (),
    names: Collection[Literal["accepted", "created"]] = (),
    environment: bool = False,
    each_epoch: bool = False,
    default: bool = False,
) -> Callable[[Judge], Judge]:
    """Register a check under the name that a scenario lists it by.

    ``demands`` is the invariant in one sentence, for reports. ``reads`` is all that the check reads: by default
    everything, so that no schedule it may see is left out; the less it is, the fewer schedules a search needs. It is
    left out where a target does not observe what it ``needs`` (records, hits) or its answers do not have it (names,
    created), or where nothing is there of what it ``needs_one`` of. ``names`` says of which answers it takes the record
    that they name: one of these that names none, although such answers do, breaks it. ``environment`` is set when it
    judges what a test asserts, ``each_epoch`` when it counts answers per epoch, and ``default`` when it judges
    scenarios that list no invariants.

    Raises:
        ValueError: when the name is taken.

    """

    def register(check: Judge) -> Judge:
        declared = (frozenset(reads), frozenset(needs), frozenset(needs_one))
        taken = frozenset[str](names)
        CHECKS.register(name, Check(check, demands, *declared, taken, environment, each_epoch, default))
        return check

    return register


def missing(needs: Collection[Reads], trace: Trace) -> bool:
    """Return whether the final state or the answers lack what a check needs."""
    return any(need in trace.unreported or getattr(trace.final, need, ()) is None for need in needs)
