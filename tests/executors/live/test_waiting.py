"""Gateways that wait inside their store are controlled like any other."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from stress.config.scenario import Scenario
from stress.config.target import Target
from stress.executors.live.executor import LiveExecutor
from stress.schedulers.exhaustive import Exhaustive

pytestmark = pytest.mark.unmeasured

OWN = Path(__file__).parent.parent.parent / "gateways" / "queue_gateway.py"
SCENARIO = Scenario.model_validate({"name": "own", "story": "Two at once.", "signal": {"labels": {"pod": "p-{fresh}"}}})


def own_target(mode: str) -> Target:
    """Make a target of the Gateway that waits in its store."""
    start = {"command": [sys.executable, str(OWN), "{port}", "{redis_port}", mode], "ready": {"path": "/ready"}}
    return Target.model_validate({"name": f"own-{mode}", "start": start, "patience": 1.0})


async def every_schedule(mode: str) -> tuple[int, dict[tuple[int, ...], str]]:
    """Run every schedule; give how many there are, and for each outcome (the counts answered) the first to it."""
    scheduler, schedules = Exhaustive(fused=False), 0
    outcomes: dict[tuple[int, ...], str] = {}
    async with LiveExecutor(SCENARIO, own_target(mode)) as executor:
        while scheduler.more():
            trace = await executor.run(scheduler)
            scheduler.learn(trace)
            assert trace.fault == ""
            schedules += 1
            counts = tuple(sorted(answer.count or 0 for answer in trace.answers))
            outcomes.setdefault(counts, " ".join(f"{move.actor}:{move.command}" for move in trace.moves))
        assert executor.waits.seconds == []
    return schedules, outcomes


@pytest.mark.asyncio
async def test_a_lock_kept_in_the_store_is_waited_for_there() -> None:
    """Requests that wait for a token by BLPOP are never taken for blocked, and no schedule of theirs loses a hit."""
    assert await every_schedule("token") == (
        66,
        {(1, 2): "A:start A:SET A:RPUSH A:BLPOP A:GET A:SET A:RPUSH B:start B:SET B:BLPOP B:GET B:SET B:RPUSH"},
    )


@pytest.mark.asyncio
async def test_a_message_that_comes_late_is_an_schedule_of_its_own() -> None:
    """A Gateway that learns of a record by a message creates it twice where the message is delivered after a look.

    Of the 70 interleavings of two times four steps 50 deliver the messages in the order in which they were published.
    """
    assert await every_schedule("reported") == (
        50,
        {
            (1, 2): "A:start A:SET A:PUBLISH A:MESSAGE B:start B:INCR",
            (1, 1): "A:start B:start B:SET B:PUBLISH B:MESSAGE A:SET A:PUBLISH A:MESSAGE",
        },
    )
