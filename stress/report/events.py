"""What a run reports while it goes on and when it ends: the events that reporters read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from stress.config.scenario import Scenario
    from stress.config.target import Target
    from stress.core.bursts import Bursts
    from stress.core.outcome_map import OutcomeRow
    from stress.core.schedule import Schedule
    from stress.core.step import Move
    from stress.core.trace import Trace
    from stress.core.verdict import Cause, Verdict, Violation


@dataclass(frozen=True, slots=True)
class Started:
    """The search of one scenario on one target begins in one executor; ``seconds`` is its budget."""

    scenario: str
    target: str
    executor: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a search stands: schedules run so far, schedules/s, distinct outcomes, seconds of its budget left."""

    scenario: str
    target: str
    executor: str
    schedules: int
    rate: float
    outcomes: int
    left: float


class Nearest(NamedTuple):
    """The schedule ``moves`` passes, and differs from the failing one by as few ``moved`` steps as possible.

    Where ``first`` comes before ``second`` the schedule fails; with these two exchanged, and nothing else, it passes.
    Both are steps of the failing schedule. Without a ``second``, it passes where ``first``, of the environment, never
    comes, and fails wherever else that comes.
    """

    moves: tuple[Move, ...]
    moved: int
    first: Move
    second: Move | None

    def __str__(self) -> str:
        """Say what breaks it: ``A HGET k before B HSET k``; a move of the environment is called by its actor."""
        first, second = (
            move.actor if move and move.command == move.actor else move for move in (self.first, self.second)
        )
        return f"{first} before {second}" if second else f"{first} at any time"


@dataclass(frozen=True, slots=True)
class Finding:
    """One failing schedule: the minimal one for its first invariant, with the trace of its last run.

    ``confirmed`` tells that it was run on the wire (or that the target has no other executor). ``replays``
    is how many runs of the schedule gave the same violations, of how many. ``nearest`` is the passing schedule that
    differs least from it (None: not looked for, or not found within the runs that it may take). Where the schedule has
    a ``fresh`` value, it fails with that value alone, in processes that have not seen it. ``races`` names the goals of
    the scenario that it meets.
    """

    schedule: Schedule
    trace: Trace
    violations: tuple[Violation, ...]
    cause: Cause
    executor: str
    confirmed: bool = True
    replays: tuple[int, int] = (1, 1)
    nearest: Nearest | None = None
    races: tuple[str, ...] = ()

    @property
    def invariants(self) -> tuple[str, ...]:
        """The invariants broken, each once, in the order of the scenario."""
        return tuple(dict.fromkeys(violation.invariant for violation in self.violations))

    @property
    def value_matters(self) -> str:
        """Say with which value alone it fails; empty where it fails with any."""
        fresh = self.schedule.head.fresh
        reported = (
            "the value matters: it fails where {fresh} is %s, in a new process, and not each time with other values"
        )
        return reported % fresh if fresh else ""


class Unordered(NamedTuple):
    """A race without a schedule: ``trace`` is that of one burst, ``violations`` what it broke.

    ``control`` is a run of the same requests one after another, ``cause`` is whose fault it is, ``schedule`` what
    its file holds: a head without moves.
    """

    bursts: Bursts
    trace: Trace
    violations: tuple[Violation, ...]
    control: Trace
    cause: Cause
    schedule: Schedule


@dataclass(frozen=True, slots=True)
class Result:
    """All that is known of one scenario on one target when its search ended.

    ``expected`` is ``holds`` or ``race: a, b``. ``missing`` are expected invariants never seen broken,
    ``unexpected`` those broken although not expected. ``open_goals`` are goals that no run met, which changes no
    verdict; none where the scenario expects something of the target. ``last_trace`` is the trace of the run in which a
    fault ended the search, if one did. ``notes`` are lines for the user (checks not run, digest changed).
    ``outcomes`` is the outcome map of the executor that saw most schedules: the outcome that most schedules lead to
    comes first. ``unordered`` is a race that bursts show and no schedule does (None: they show none).
    """

    scenario: Scenario
    target: Target
    executor: str
    verdict: Verdict
    expected: str
    as_expected: bool
    findings: tuple[Finding, ...] = ()
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    open_goals: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()
    last_trace: Trace | None = None
    notes: tuple[str, ...] = ()
    outcomes: tuple[OutcomeRow, ...] = ()
    unordered: Unordered | None = None
    seed: int = 0
    seconds: float = 0.0
    stopped: int = 0
    """The exit code of what ended it before the first schedule, of which standard error tells (0: nothing did)."""


@dataclass(frozen=True, slots=True)
class Finished:
    """One case is done; ``folder`` is where its files were written (empty until they are)."""

    result: Result
    folder: str = ""


Happening = Started | Progress | Finished
