"""Scripts that touch what they do not declare, on real processes: every run of one is seen, and so is what it wrote."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from following import Follow
from redis.asyncio import Redis

from stress.config.scenario import Scenario
from stress.config.target import Target
from stress.core.errors import Untested
from stress.core.step import Access, Touch
from stress.core.trace import Kind
from stress.engine.case import Case
from stress.engine.limits import Limits
from stress.executors.live.executor import LiveExecutor
from stress.protocols.redis.server import Valkey

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stress.core.trace import Trace

pytestmark = pytest.mark.unmeasured

PROGRAM = Path(__file__).parent.parent.parent / "gateways" / "script_gateway.py"
OTHER_BRANCH = "A A B B B B A"
"""A has seen no record; B makes it; the script of A finds it."""


@pytest.fixture
def valkey() -> Iterator[Valkey]:
    """Start a server of one's own."""
    server = Valkey()
    yield server
    server.close()


def target(**redis: object) -> Target:
    """Make a target of the service, which is asked for its records and hits."""
    data = {
        "name": "scripted",
        "start": {"command": [sys.executable, str(PROGRAM), "{port}", "{redis_port}"], "ready": {"path": "/ready"}},
        "stores": {"redis": redis},
        "fingerprint": {"answer": "fingerprint"},
        "observe": {
            "records": {"redis": ["KEYS", "record:{fingerprint}"]},
            "hits": {"redis": ["GET", "hits:{fingerprint}"]},
        },
    }
    return Target.model_validate(data)


def scenario(**changes: object) -> Scenario:
    """Make a scenario of two identical first requests, whose hits must be as many as their answers."""
    data = {
        "name": "scripted",
        "story": "Two at once.",
        "signal": {"labels": {"pod": "{fresh}"}},
        "invariants": ["one_created_answer", "no_phantom_count"],
        **changes,
    }
    return Scenario.model_validate(data)


def touched(trace: Trace) -> list[set[Touch]]:
    """Give what each run of the script touched."""
    return [set(event.touches) for event in trace.events if event.kind is Kind.STEP and event.command == "EVAL"]


RECORD, HITS = Touch("record:{fresh}", Access.WRITE), Touch("hits:{fresh}", Access.WRITE)


@pytest.mark.asyncio
async def test_a_key_shows_in_the_run_whose_branch_touches_it() -> None:
    """The same call touches its declared key in one branch, and one more in the other; both are deleted after it."""
    async with LiveExecutor(scenario(), target()) as executor:
        traces = [await executor.run(Follow(actors)) for actors in (OTHER_BRANCH, "A A A A B B", OTHER_BRANCH)]
        left = await executor.deployment.stores["redis"].store.ask([("KEYS", "*")])
    assert [trace.fault for trace in traces] == ["", "", ""]
    assert [touched(trace) for trace in traces] == [[{RECORD}, {RECORD, HITS}], [{RECORD}], [{RECORD}, {RECORD, HITS}]]
    assert left == [[]]


@pytest.mark.asyncio
async def test_an_undeclared_key_in_a_store_of_ones_own_is_refused(valkey: Valkey) -> None:
    """A script may change there what nobody has saved: as soon as one is seen it is named, and all is as it was."""
    async with Redis.from_url(valkey.url) as redis:
        await redis.set("theirs", 1)
        with pytest.raises(
            Untested, match=r"a script touches hits:\w+, which it does not declare, in a store that was"
        ):
            async with LiveExecutor(scenario(), target(url=valkey.url)) as executor:
                await Case(None, executor, Limits(20.0, 500)).result()
        assert await redis.keys() == [b"theirs"]


@pytest.mark.asyncio
async def test_in_a_scratch_store_an_undeclared_key_counts_as_in_one_that_was_started(valkey: Valkey) -> None:
    """The branch is seen, nothing is left behind, and no connection stays open for MONITOR."""
    async with LiveExecutor(scenario(), target(url=valkey.url, scratch=True)) as executor:
        trace = await executor.run(Follow(OTHER_BRANCH))
        [clients] = await executor.deployment.stores["redis"].store.ask([("CLIENT", "LIST")])
    assert (trace.fault, touched(trace)) == ("", [{RECORD}, {RECORD, HITS}])
    assert b"cmd=monitor" not in clients
    async with Redis.from_url(valkey.url) as redis:
        assert await redis.keys() == []
