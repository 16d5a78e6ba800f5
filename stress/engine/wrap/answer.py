"""What `wrap` answers: how often the command failed under which conditions, and the schedule that makes it fail."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from stress.core.exits import INCONCLUSIVE, RACE
from stress.engine.wrap.schedule import CLOCK, FOREIGN

if TYPE_CHECKING:
    from stress.engine.wrap.schedule import Turn
    from stress.engine.wrap.start import Ended

CANNOT_TELL = 125
"""What `git bisect run` takes for a commit that can't be judged."""


@dataclass(slots=True)
class Row:
    """A condition, and in how many of its runs the command failed; ``why`` says why there was no run."""

    name: str
    failed: int = 0
    runs: int = 0
    why: str = ""

    def count(self, ended: Ended) -> None:
        """Take in a run; one that says nothing is not counted."""
        if ended.failed or ended.passed:
            self.runs += 1
            self.failed += ended.failed


ISOLATED, SIBLINGS, SCHEDULED, DISTURBED = (
    "free alone",
    "free with its siblings",
    "scheduled alone",
    "scheduled with foreign writes",
)


def rows() -> dict[str, Row]:
    """Give an empty table."""
    return {name: Row(name) for name in (ISOLATED, SIBLINGS, SCHEDULED, DISTURBED)}


@dataclass(slots=True)
class Found:
    """A failing start that was replayed: ``failed`` of ``replays``; ``nearest`` passes, and differs least from it."""

    ended: Ended
    failed: int = 0
    replays: int = 0
    nearest: Ended | None = None


@dataclass(slots=True)
class Answer:
    """All that is known in the end. ``reason`` says why it is inconclusive, where it is."""

    command: str
    rows: dict[str, Row] = field(default_factory=rows)
    found: Found | None = None
    reason: str = ""
    remedy: str = ""
    objects: tuple[str, ...] = ()
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0
    free_output: str = ""

    @property
    def code(self) -> int:
        """The exit code: 1 fails under a schedule, 0 no failing schedule was found, 2 it is inconclusive."""
        if self.reason:
            return INCONCLUSIVE
        return RACE if self.found is not None else 0

    @property
    def scheduled(self) -> int:
        """How many schedules were tried."""
        return self.rows[SCHEDULED].runs + self.rows[DISTURBED].runs


def bisect_code(code: int) -> int:
    """Give the exit code that `git bisect run` understands."""
    return CANNOT_TELL if code == INCONCLUSIVE else code


def difference(fails: Ended, passes: Ended) -> tuple[int, str]:
    """Say at which step (from 0) two runs part, and what would have to be otherwise."""
    at = common(fails, passes)
    mine, its = fails.turns[at : at + 1], passes.turns[at : at + 1]
    if not mine or not its:
        return at, ""
    if mine[0].actor == CLOCK:
        return at, f"passes if the second does not change {_between(fails.turns, at)}"
    if mine[0].actor == FOREIGN:
        return at, f"passes without the foreign write {_between(fails.turns, at)}"
    return at, f"passes if {its[0].shown} comes before {mine[0].shown}"


def _between(turns: tuple[Turn, ...], at: int) -> str:
    before, after = turns[at - 1 : at] if at else (), turns[at + 1 : at + 2]
    if before and after:
        return f"between {before[0].shown} and {after[0].shown}"
    return f"after {before[0].shown}" if before else f"before {after[0].shown}" if after else "there"


def common(one: Ended, other: Ended) -> int:
    """Count the steps that two runs have in common at their beginning."""
    count = 0
    for mine, its in zip(one.turns, other.turns, strict=False):
        if mine != its:
            break
        count += 1
    return count
