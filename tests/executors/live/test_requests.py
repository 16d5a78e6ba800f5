"""What is sent to a Gateway: method, path and query as its target says, with or without a body."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from aiohttp import web

from stress.config.scenario import Scenario
from stress.config.target import Target
from stress.executors.live.executor import LiveExecutor
from stress.processes.child import free_port
from stress.schedulers.random_walk import Walk


class Seen(NamedTuple):
    """One request as it arrived: ``path`` is as it was written, ``query`` and ``segment`` are decoded."""

    method: str
    path: str
    segment: str
    query: dict[str, str]
    body: str
    kind: str | None


async def sent(request: dict[str, object]) -> Seen:
    """Run one schedule on a Gateway that only listens; give the last request."""
    seen: list[Seen] = []

    async def answer(got: web.Request) -> web.Response:
        path, segment = got.raw_path.partition("?")[0], got.match_info["last"]
        kind = got.headers.get("Content-Type")
        seen.append(Seen(got.method, path, segment, dict(got.query), await got.text(), kind))
        return web.json_response({"remediationRequestName": "rr"}, status=201)

    async def well(_: web.Request) -> web.Response:
        return web.Response()

    app = web.Application()
    app.router.add_route("*", r"/{first}/{last:[^/]*}", answer)
    app.router.add_route("*", "/{path:.*}", well)
    runner = web.AppRunner(app)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    target = Target.model_validate(
        {
            "name": "own",
            "url": f"http://127.0.0.1:{port}",
            "stores": {"redis": {"listen": free_port()}},
            "patience": 0.2,
            "fingerprint": "a b/c?d=é&+%2F#{fresh}",
            "request": request,
        }
    )
    scenario = Scenario.model_validate({"name": "own", "story": "One.", "concurrent": 1})
    executor = LiveExecutor(scenario, target)
    executor.judged = False  # it has no store
    try:
        async with executor:
            trace = await executor.run(Walk(1), "5eed")
    finally:
        await runner.cleanup()
    assert [(one.status, one.record) for one in trace.answers] == [(201, "rr")]
    return seen[-1]


@pytest.mark.asyncio
async def test_a_method_without_a_body_carries_none() -> None:
    """GET has its path and query alone; what placeholders stand for arrives as it is, whatever characters it has."""
    query = {"key": "{fingerprint}", "page": 2, "of": "{adapter}"}
    seen = await sent({"method": "GET", "path": "/locks/{fingerprint}", "query": query})
    odd = "a b/c?d=é&+%2F#5eed"
    assert (seen.method, seen.segment, seen.body, seen.kind) == ("GET", odd, "", None)
    assert seen.query == {"key": odd, "page": "2", "of": "prometheus"}


@pytest.mark.asyncio
async def test_a_path_may_hold_the_fresh_value_and_a_query_of_its_own() -> None:
    """PUT carries the signal's body; parameters are added to those that the path has."""
    seen = await sent({"method": "PUT", "path": "/orders/o-{fresh}?dry=1", "query": {"n": "{fresh}"}})
    assert (seen.method, seen.path, seen.query) == ("PUT", "/orders/o-5eed", {"dry": "1", "n": "5eed"})
    assert seen.kind == "application/json"
    assert '"alertname": "HighMemoryUsage"' in seen.body
