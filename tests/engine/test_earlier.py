"""Schedules that failed in an earlier run are tried first, and decide nothing by themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from conftest import scenario_of, target_of

from stress.core.schedule import Head, Schedule
from stress.core.step import Move
from stress.engine.case import Case
from stress.engine.example_database import Earlier
from stress.engine.limits import Limits
from stress.executors.model.executor import ModelExecutor

if TYPE_CHECKING:
    from stress.report.events import Result

LIMITS = Limits(60.0, 5000)
RACY, TWIN = "redis-read-modify-write", "redis-optimistic"


async def result_of(target: str, *examples: Schedule) -> tuple[Result, tuple[Schedule, ...]]:
    """Search in the model, with schedules that failed before."""
    case = Case(
        ModelExecutor(scenario_of("atomic-hit-count"), target_of(target)), None, LIMITS, earlier=Earlier(examples)
    )
    return await case.result(), case.stale


@pytest.mark.asyncio
async def test_an_schedule_that_fails_still_is_found_first() -> None:
    """The search ends with it, and says so; it is not stale."""
    found, _ = await result_of(RACY)
    schedule = found.findings[0].schedule
    repeated, stale = await result_of(RACY, schedule)
    assert [one.schedule for one in repeated.findings] == [schedule]
    assert stale == ()
    assert repeated.verdict.evidence[0].covered.endswith("1 schedule of an earlier run tried")
    assert repeated.as_expected


@pytest.mark.asyncio
async def test_an_schedule_that_passes_is_stale_and_changes_no_verdict() -> None:
    """One schedule passes, one can't be followed, and the fixed counterpart, which has neither, holds."""
    found, _ = await result_of(RACY)
    passing = found.findings[0].nearest
    assert passing is not None
    strange = Schedule((Move("Z", "GET", "k"),), Head("atomic-hit-count"))
    mine = Schedule(passing.moves)
    repeated, stale = await result_of(RACY, strange, mine)
    assert (stale, repeated.as_expected, str(repeated.verdict.ruling)) == ((strange, mine), True, "race")
    held, stale = await result_of(TWIN, strange, found.findings[0].schedule)
    assert (stale, held.verdict.holds) == ((strange, found.findings[0].schedule), True)


@pytest.mark.asyncio
async def test_an_schedule_that_was_not_tried_is_not_stale() -> None:
    """Enough was found before its turn."""
    found, _ = await result_of(RACY)
    strange = Schedule((Move("Z", "GET", "k"),), Head("atomic-hit-count"))
    assert (await result_of(RACY, found.findings[0].schedule, strange))[1] == ()
