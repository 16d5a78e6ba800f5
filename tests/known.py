"""What a search knows of a race beside its order, made by hand for the tests of the reports."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from made import RACE, found, hostile, result

from stress.core.outcome_map import OutcomeRow
from stress.core.step import Move
from stress.core.verdict import Evidence, Sampled, judge
from stress.report.events import Nearest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stress.report.events import Result

DRAWS = (Sampled("pct", 200, 50, 18, 1 / 14, 2, 7, 2), Sampled("random_walk", 100, 50, 16))
NAME = "record 1"


def moves(*lines: str) -> tuple[Move, ...]:
    """Make an order of lines such as ``A GET k``."""
    return tuple(Move(*line.split()[:2], " ".join(line.split()[2:])) for line in lines)


def ended(
    reported: Sequence[tuple[str, int, str | None, int | None]],
    *left: tuple[tuple[str, ...] | None, tuple[tuple[str, int | None], ...] | None],
    schedules: int = 1,
    sampled: int = 0,
    share: float | None = None,
) -> OutcomeRow:
    """Make one row of an outcome map; all its examples are alike."""
    return OutcomeRow((tuple(reported), left), schedules, sampled, share, moves("A start", "A GET k"))


def counted_row(one: int, other: int, hits: int, schedules: int = 1, share: float | None = None) -> OutcomeRow:
    """Make the row of two duplicates that were told these counts; a share is one of 100 draws."""
    reported = [("A", 202, NAME, one), ("B", 202, NAME, other), ("before1", 201, NAME, None)]
    return ended(
        reported, ((NAME,), ((NAME, hits),)), schedules=schedules, sampled=round(100 * (share or 0)), share=share
    )


def nearest_of_race() -> Nearest:
    """Give the nearest passing schedule of the lost hit: A writes before B reads."""
    *before, read, write, late = found(*RACE)[0].schedule.moves
    return Nearest((*before, late, read, write), 1, read, late)


def searched(*, drawn: bool = True) -> Result:
    """Give the lost hit with its nearest passing schedule, its outcome map, and what samplers drew."""
    one = result(RACE)
    finding = dataclasses.replace(one.findings[0], nearest=nearest_of_race())
    share = (lambda part: part) if drawn else (lambda _: None)
    rows = (
        counted_row(2, 3, 3, 9, share(0.3)),
        counted_row(2, 2, 2, 6, share(0.5)),
        counted_row(3, 2, 3, 5, share(0.2)),
    )
    evidence = Evidence("model", "auto", 23, 1.25, exhausted=True, total=23, draws=DRAWS if drawn else ())
    verdict = judge(finding.violations, [evidence])
    return dataclasses.replace(one, findings=(finding,), outcomes=rows, verdict=verdict)


def hostile_search(text: str) -> Result:
    """Make a result in which every text from outside is ``text``, what the search knows included."""
    one = hostile(text)
    command = f"{text}2"  # a command like its actor would be an act of the environment
    first, second = Move(text, command, text), Move(text, command, text, 2)
    schedule = dataclasses.replace(one.findings[0].schedule, moves=(first, second))
    finding = dataclasses.replace(
        one.findings[0], schedule=schedule, nearest=Nearest((second, first), 1, first, second)
    )
    rows = tuple(
        OutcomeRow((((text, status, text, 1),), (((text,), ((text, 1),)),)), 1, 0, None, (first, second))
        for status in (1, 2)
    )
    fixed = (((text, 1, f"{text}2", 1),), ((((f"{text}2"),), ((text, 1),)),))  # distinguished by names
    return dataclasses.replace(
        one, findings=(finding,), outcomes=(*rows, OutcomeRow(fixed, 1, 0, None, (first, second)))
    )
