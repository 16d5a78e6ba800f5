"""The server for services that a Gateway must have and no race is about."""

from __future__ import annotations

import sys
from pathlib import Path

import aiohttp
import pytest
from conftest import scenario_of

from stress.config.target import Target
from stress.executors.live.executor import LiveExecutor
from stress.processes.sink import Sink

GATEWAY = Path(__file__).parent.parent / "gateways" / "lock_gateway.py"


def given(pid: int, name: str) -> str:
    """Read a variable of a process's environment (proc(5))."""
    words = Path(f"/proc/{pid}/environ").read_text().split("\0")
    return next(word.removeprefix(f"{name}=") for word in words if word.startswith(f"{name}="))


async def posted(url: str) -> tuple[int, str]:
    """Send it a batch of what such services are sent."""
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{url}/api/v1/audit/events/batch", json=[{"event": 1}]) as answer,
    ):
        return answer.status, await answer.text()


@pytest.mark.asyncio
async def test_whatever_it_is_sent_is_accepted_until_it_is_closed() -> None:
    """Any path is answered 200 with an empty object; closed, it listens no more, and one never opened is closed too."""
    sink = Sink()
    await sink.open()
    assert await posted(sink.url) == (200, "{}")
    await sink.close()
    with pytest.raises(aiohttp.ClientConnectorError):
        await posted(sink.url)
    await Sink().close()


@pytest.mark.asyncio
async def test_a_gateway_is_reported_where_it_is() -> None:
    """A target that says `{sink_url}` has one for as long as its Gateway runs."""
    command = [sys.executable, str(GATEWAY), "{port}", "{redis_port}", "locked"]
    start = {"command": command, "env": {"DATASTORAGE": "{sink_url}"}}
    target = Target.model_validate({"name": "own", "start": start, "patience": 0.1})
    async with LiveExecutor(scenario_of("concurrent-duplicates"), target) as executor:
        process = executor.replicas[1].process
        assert process is not None
        url = given(process.pid, "DATASTORAGE")
        assert await posted(url) == (200, "{}")
    with pytest.raises(aiohttp.ClientConnectorError):
        await posted(url)
