"""What a run reports while it goes on and when it ends: the events that reporters read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stress.order import Order
    from stress.scenario import Scenario
    from stress.target import Target
    from stress.trace import Trace
    from stress.verdict import Cause, Verdict, Violation


@dataclass(frozen=True, slots=True)
class Started:
    """The search of one scenario on one target begins in one world; ``seconds`` is its budget."""

    scenario: str
    target: str
    world: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a search stands: orders run so far, orders/s, distinct outcomes, seconds of its budget left."""

    scenario: str
    target: str
    world: str
    orders: int
    rate: float
    outcomes: int
    left: float


@dataclass(frozen=True, slots=True)
class Finding:
    """One failing order: the minimal one for its first invariant, with the trace of its last run.

    ``confirmed`` tells that it was run on the wire (or that the target has no other world). ``replays``
    is how many runs of the order gave the same violations, of how many.
    """

    order: Order
    trace: Trace
    violations: tuple[Violation, ...]
    cause: Cause
    world: str
    confirmed: bool = True
    replays: tuple[int, int] = (1, 1)

    @property
    def invariants(self) -> tuple[str, ...]:
        """The invariants broken, each once, in the order of the scenario."""
        return tuple(dict.fromkeys(violation.invariant for violation in self.violations))


@dataclass(frozen=True, slots=True)
class Result:
    """All that is known of one scenario on one target when its search ended.

    ``expected`` is ``holds`` or ``race: a, b``. ``missing`` are expected invariants never seen broken,
    ``unexpected`` those broken although not expected. ``last_trace`` is the trace of the run in which a
    fault ended the search, if one did. ``notes`` are lines for the user (checks not run, digest changed).
    """

    scenario: Scenario
    target: Target
    world: str
    verdict: Verdict
    expected: str
    as_expected: bool
    findings: tuple[Finding, ...] = ()
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()
    last_trace: Trace | None = None
    notes: tuple[str, ...] = ()
    seed: int = 0
    seconds: float = 0.0
    unavailable: bool = False
    """Whether the store or a Gateway was not there before the first order."""


@dataclass(frozen=True, slots=True)
class Finished:
    """One pair is done; ``folder`` is where its files were written (empty until they are)."""

    result: Result
    folder: str = ""


@dataclass(frozen=True, slots=True)
class Ended:
    """The whole run is done, after ``seconds``, with this exit code."""

    results: tuple[Result, ...]
    exit_code: int
    seconds: float
    folder: str = ""


Happening = Started | Progress | Finished | Ended
