"""How a developer's own test uses gateway-stress: hypothesis draws the order, the wire world runs it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from conftest import scenario_of, target_of
from hypothesis import find, settings

from stress import Interleaving, WireWorld, interleavings, run
from stress.checks import run_checks

if TYPE_CHECKING:
    from stress.trace import Trace


def lost_a_hit(trace: Trace) -> bool:
    """Tell whether a run broke an invariant."""
    assert trace.fault == ""
    return bool(run_checks(scenario_of("atomic-hit-count").invariants, trace))


def test_hypothesis_shrinks_to_the_fewest_switches() -> None:
    """Hypothesis finds the lost hit on the real store and shrinks it to an order with one switch."""
    with asyncio.Runner() as runner:

        async def enter() -> WireWorld:
            return await WireWorld(scenario_of("atomic-hit-count"), target_of("redis-read-modify-write")).__aenter__()

        world = runner.run(enter())
        try:
            found = find(
                interleavings(moves=8),
                lambda order: lost_a_hit(runner.run(run(order, world))),
                settings=settings(max_examples=500, derandomize=True, deadline=None, database=None),
            )
            trace = runner.run(run(found, world))
        finally:
            runner.run(world.__aexit__())
    assert " ".join(move.actor for move in trace.moves) == "A A A B B B B A"


@pytest.mark.asyncio
async def test_no_numbers_keep_going() -> None:
    """The empty order runs one request after the other, and the twin holds in it."""
    order = Interleaving([])
    async with WireWorld(scenario_of("atomic-hit-count"), target_of("redis-atomic")) as world:
        trace = await run(order, world)
    assert " ".join(move.actor for move in trace.moves) == "A A B B"
    assert not lost_a_hit(trace)
    assert repr(order) == "Interleaving([])"
