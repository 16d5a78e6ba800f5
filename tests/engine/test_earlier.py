"""Schedules that failed in an earlier run are tried first, and decide nothing by themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from conftest import scenario_of, target_of

from stress.core.schedule import Head, Order
from stress.core.step import Move
from stress.engine.case import Pair
from stress.engine.example_database import Earlier
from stress.engine.limits import Limits
from stress.executors.model.executor import ModelWorld

if TYPE_CHECKING:
    from stress.report.events import Result

LIMITS = Limits(60.0, 5000)
RACY, TWIN = "redis-read-modify-write", "redis-optimistic"


async def result_of(target: str, *examples: Order) -> tuple[Result, tuple[Order, ...]]:
    """Search in the model, with orders that failed before."""
    pair = Pair(ModelWorld(scenario_of("atomic-hit-count"), target_of(target)), None, LIMITS, earlier=Earlier(examples))
    return await pair.result(), pair.stale


@pytest.mark.asyncio
async def test_an_order_that_fails_still_is_found_first() -> None:
    """The search ends with it, and says so; it is not stale."""
    found, _ = await result_of(RACY)
    order = found.findings[0].order
    again, stale = await result_of(RACY, order)
    assert [one.order for one in again.findings] == [order]
    assert stale == ()
    assert again.verdict.evidence[0].covered.endswith("1 order of an earlier run tried")
    assert again.as_expected


@pytest.mark.asyncio
async def test_an_order_that_passes_is_stale_and_changes_no_verdict() -> None:
    """One order passes, one can't be followed, and the twin, which knows neither, holds in every order."""
    found, _ = await result_of(RACY)
    passing = found.findings[0].nearest
    assert passing is not None
    strange = Order((Move("Z", "GET", "k"),), Head("atomic-hit-count"))
    mine = Order(passing.moves)
    again, stale = await result_of(RACY, strange, mine)
    assert (stale, again.as_expected, str(again.verdict.ruling)) == ((strange, mine), True, "race")
    held, stale = await result_of(TWIN, strange, found.findings[0].order)
    assert (stale, held.verdict.holds) == ((strange, found.findings[0].order), True)


@pytest.mark.asyncio
async def test_an_order_that_was_not_tried_is_not_stale() -> None:
    """Enough was found before its turn."""
    found, _ = await result_of(RACY)
    strange = Order((Move("Z", "GET", "k"),), Head("atomic-hit-count"))
    assert (await result_of(RACY, found.findings[0].order, strange))[1] == ()
