"""How a developer's own tests use gateway-stress: hypothesis draws the schedule, an executor runs it, checks judge."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from conftest import scenario_of, target_of
from hypothesis import find, given, settings

from stress import Interleaving, LiveExecutor, ModelExecutor, interleavings, run, run_checks

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from stress.core.trace import Trace

SCENARIO = scenario_of("atomic-hit-count")
MODEL = ModelExecutor(SCENARIO, target_of("redis-atomic"))


def broken(trace: Trace) -> list[str]:
    """Name the invariants that a run broke."""
    assert trace.fault == ""
    return [violation.invariant for violation in run_checks(SCENARIO.invariants, trace)]


@pytest.mark.unmeasured
@given(schedule=interleavings())
def test_in_the_model_the_fixed_counts_every_hit(schedule: Interleaving) -> None:
    """Whatever schedule hypothesis draws, the atomic Gateway breaks no invariant."""
    assert broken(run(schedule, MODEL)) == []


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def wire() -> AsyncIterator[LiveExecutor]:
    """Start a real store and a real Gateway, once for all schedules."""
    async with LiveExecutor(SCENARIO, target_of("redis-atomic")) as executor:
        yield executor


@pytest.mark.asyncio(loop_scope="module")
@settings(deadline=None, max_examples=50)
@given(schedule=interleavings())
async def test_on_the_wire_the_fixed_counts_every_hit(schedule: Interleaving, wire: LiveExecutor) -> None:
    """The same on real processes; a run may take longer than the 200 ms that hypothesis allows by default."""
    assert broken(await run(schedule, wire)) == []


def test_hypothesis_shrinks_to_the_fewest_preemptions() -> None:
    """Hypothesis finds the lost hit and shrinks it to the schedule with one preemption."""
    executor = ModelExecutor(SCENARIO, target_of("redis-read-modify-write"))
    found = find(
        interleavings(moves=8),
        lambda schedule: "hits_equal_answers" in broken(run(schedule, executor)),
        settings=settings(max_examples=500, derandomize=True, deadline=None, database=None),
    )
    assert " ".join(move.actor for move in run(found, executor).moves) == "A A A B B B B A"


def test_no_numbers_keep_going() -> None:
    """The empty schedule runs one request after the other."""
    schedule = Interleaving([])
    assert " ".join(move.actor for move in run(schedule, MODEL).moves) == "A A B B"
    assert repr(schedule) == "Interleaving([])"
