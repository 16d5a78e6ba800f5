"""The outcome map: each way a scenario ended, how many schedules lead there, how likely it is, and one that does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from stress.core.schedule import Schedule

if TYPE_CHECKING:
    from stress.core.step import Move
    from stress.core.trace import Ended, Trace


@dataclass(frozen=True, slots=True)
class ClientAnswer:
    """What one client was answered: the HTTP status (0: nothing), and the record and the count (None: not in it)."""

    actor: str
    status: int
    record: str | None
    count: int | None


class Left(NamedTuple):
    """What one epoch left in the store: active records, and hits by name (None: not observed, not a number)."""

    records: tuple[str, ...] | None
    hits: tuple[tuple[str, int | None], ...] | None


class OutcomeRow(NamedTuple):
    """One outcome: what a user can distinguish from outside (`stress.core.trace.Trace.outcome`).

    ``schedules`` counts the schedules that led to it; where a scheduler runs one schedule of each class, these are
    classes. ``sampled`` of them were drawn by the uniform walk, and ``share`` is the part of all draws that these are,
    from 0 to 1 (None: nothing was drawn). ``example`` is the schedule with the fewest preemptions that led here, the
    first of these.
    """

    outcome: Ended
    schedules: int
    sampled: int
    share: float | None
    example: tuple[Move, ...]

    @property
    def answers(self) -> tuple[ClientAnswer, ...]:
        """What each client was answered, by name of the request."""
        return tuple(ClientAnswer(*one) for one in self.outcome[0])

    @property
    def left(self) -> tuple[Left, ...]:
        """What each epoch left, the last being the final state."""
        return tuple(Left(*one) for one in self.outcome[1])


class Outcomes:
    """Adds up the outcomes of many schedules. A trace with a fault has none, and is left out."""

    def __init__(self) -> None:
        """Begin with no schedule."""
        self._schedules: dict[Ended, int] = {}
        self._sampled: dict[Ended, int] = {}
        self._examples: dict[Ended, tuple[int, tuple[Move, ...]]] = {}

    def add(self, trace: Trace, *, sampled: bool = False) -> None:
        """Take in one schedule; ``sampled`` says that the uniform walk drew it, so that it counts for the shares."""
        if trace.fault:
            return
        outcome, moves = trace.outcome, tuple(trace.moves)
        self._schedules[outcome] = self._schedules.get(outcome, 0) + 1
        self._sampled[outcome] = self._sampled.get(outcome, 0) + sampled
        preemptions = Schedule(moves).preemptions()
        if outcome not in self._examples or preemptions < self._examples[outcome][0]:
            self._examples[outcome] = (preemptions, moves)

    @property
    def schedules(self) -> int:
        """How many schedules were taken in."""
        return sum(self._schedules.values())

    @property
    def sampled(self) -> int:
        """How many of them the uniform walk drew."""
        return sum(self._sampled.values())

    @property
    def rows(self) -> list[OutcomeRow]:
        """One row for each outcome: the one with most schedules first, and of equals the one that was seen first."""
        drawn = self.sampled
        return sorted(
            (
                OutcomeRow(
                    outcome,
                    schedules,
                    self._sampled[outcome],
                    self._sampled[outcome] / drawn if drawn else None,
                    self._examples[outcome][1],
                )
                for outcome, schedules in self._schedules.items()
            ),
            key=lambda row: -row.schedules,
        )
