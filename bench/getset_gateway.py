"""A Gateway that does one GET and one SET for each request: ``python bench/getset_gateway.py PORT REDIS_PORT``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from stress.gateways.store import Outcome

if TYPE_CHECKING:
    from aiohttp import web

    from stress.gateways.store import Incoming


class Named(NamedTuple):
    """What the program must know of a request: what it is about."""

    fingerprint: str


async def get_set(store: Any, signal: Incoming | Named) -> Outcome:  # noqa: ANN401 - the store of any tool
    """Read the count and write it back in another step."""
    key = f"hits:{signal.fingerprint}"
    count = int(await store.call("GET", key) or 0) + 1
    await store.call("SET", key, str(count))
    return Outcome(created=False, record="", count=count)


def main(port: int, redis_port: int) -> None:
    """Serve on loopback until told to end."""
    from aiohttp import web  # noqa: PLC0415 - only the Gateway serves
    from redis.asyncio import Redis  # noqa: PLC0415 - the same

    from stress.gateways.wire_store import RedisStore  # noqa: PLC0415 - the same

    async def ready(_: web.Request) -> web.Response:
        return web.Response()

    async def count(request: web.Request) -> web.Response:
        labels = (await request.json())["alerts"][0]["labels"]
        outcome = await get_set(store, Named(labels["pod"]))
        return web.json_response({"metadata": {"count": outcome.count}}, status=202)

    store = RedisStore(Redis(port=redis_port, decode_responses=True, protocol=2))
    app = web.Application()
    app.add_routes([web.get("/ready", ready), web.post("/{path:.*}", count)])
    web.run_app(app, host="127.0.0.1", port=port, access_log=None, print=None)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
