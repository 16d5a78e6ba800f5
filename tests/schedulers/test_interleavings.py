"""How a developer's own tests use gateway-stress: hypothesis draws the order, a world runs it, checks judge it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from conftest import scenario_of, target_of
from hypothesis import find, given, settings

from stress import Interleaving, ModelWorld, WireWorld, interleavings, run, run_checks

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from stress.core.trace import Trace

SCENARIO = scenario_of("atomic-hit-count")
MODEL = ModelWorld(SCENARIO, target_of("redis-atomic"))


def broken(trace: Trace) -> list[str]:
    """Name the invariants that a run broke."""
    assert trace.fault == ""
    return [violation.invariant for violation in run_checks(SCENARIO.invariants, trace)]


@pytest.mark.unmeasured
@given(order=interleavings())
def test_in_the_model_the_twin_counts_every_hit(order: Interleaving) -> None:
    """Whatever order hypothesis draws, the atomic Gateway breaks no invariant."""
    assert broken(run(order, MODEL)) == []


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def wire() -> AsyncIterator[WireWorld]:
    """Start a real store and a real Gateway, once for all orders."""
    async with WireWorld(SCENARIO, target_of("redis-atomic")) as world:
        yield world


@pytest.mark.asyncio(loop_scope="module")
@settings(deadline=None, max_examples=50)
@given(order=interleavings())
async def test_on_the_wire_the_twin_counts_every_hit(order: Interleaving, wire: WireWorld) -> None:
    """The same on real processes; a run may take longer than the 200 ms that hypothesis allows by default."""
    assert broken(await run(order, wire)) == []


def test_hypothesis_shrinks_to_the_fewest_switches() -> None:
    """Hypothesis finds the lost hit and shrinks it to the order with one switch."""
    world = ModelWorld(SCENARIO, target_of("redis-read-modify-write"))
    found = find(
        interleavings(moves=8),
        lambda order: "hits_equal_answers" in broken(run(order, world)),
        settings=settings(max_examples=500, derandomize=True, deadline=None, database=None),
    )
    assert " ".join(move.actor for move in run(found, world).moves) == "A A A B B B B A"


def test_no_numbers_keep_going() -> None:
    """The empty order runs one request after the other."""
    order = Interleaving([])
    assert " ".join(move.actor for move in run(order, MODEL).moves) == "A A B B"
    assert repr(order) == "Interleaving([])"
