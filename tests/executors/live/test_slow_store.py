"""A store that takes its time: a request that waits for the reply to a background command is not blocked."""

from __future__ import annotations

import asyncio
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from stress.config.scenario import Scenario
from stress.config.target import Target
from stress.executors.live.executor import LiveExecutor
from stress.protocols.redis.server import Valkey
from stress.schedulers.exhaustive import Exhaustive

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

pytestmark = pytest.mark.unmeasured

SERVICE = Path(__file__).parent.parent.parent / "oracle" / "service.py"
SECONDS = 0.03
"""How long each reply takes: longer than three looks at a process that sleeps."""


@asynccontextmanager
async def slow_store() -> AsyncGenerator[str]:
    """Give the URL of a store whose replies are late."""
    store, links = Valkey(), set[asyncio.Transport]()
    loop = asyncio.get_running_loop()

    class Back(asyncio.Protocol):
        def __init__(self, client: asyncio.Transport) -> None:
            self.client = client

        def data_received(self, data: bytes) -> None:
            loop.call_later(SECONDS, self.client.write, data)

    class There(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            assert isinstance(transport, asyncio.Transport)
            links.add(transport)
            self.server = loop.create_task(loop.create_connection(lambda: Back(transport), "127.0.0.1", store.port))

        def data_received(self, data: bytes) -> None:
            self.server.add_done_callback(lambda done: done.result()[0].write(data))

        def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the interface of asyncio
            self.server.add_done_callback(lambda done: done.result()[0].close())

    server = await loop.create_server(There, "127.0.0.1", 0)
    try:
        yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0"
    finally:
        server.close()
        for link in links:
            link.close()
        await asyncio.sleep(2 * SECONDS)
        store.close()


@pytest.mark.asyncio
async def test_a_new_connection_that_waits_for_its_greeting_is_not_blocked() -> None:
    """A client that opens a connection for each request names itself first; all 6 schedules run, nobody is blocked."""
    words = [sys.executable, str(SERVICE), "{port}", "{redis_port}", "1", "asyncio", "request"]
    program = '[[["INCR", "@s0"]]]'
    scenario = {"name": "slow", "story": "Both count.", "invariants": ["no_server_error"]}
    scheduler, kinds = Exhaustive(fused=False), set()
    async with slow_store() as url:
        target = Target.model_validate(
            {
                "name": "slow",
                "start": {"command": words, "ready": {"path": "/ready"}},
                "stores": {"redis": {"url": url}},
                "answers": {"created": 200},
            }
        )
        signal = {"labels": {"pod": "{fresh}", "program": program}}
        async with LiveExecutor(Scenario.model_validate({**scenario, "signal": signal}), target) as executor:
            while scheduler.more():
                trace = await executor.run(scheduler)
                assert trace.fault == ""
                scheduler.learn(trace)
                kinds |= {event.kind for event in trace.events}
    assert (scheduler.schedules, kinds) == (6, {"start", "step", "answer"})
