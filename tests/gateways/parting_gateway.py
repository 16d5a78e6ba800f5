"""A Gateway that counts under a lock of its process, and what becomes of a request whose client hangs up.

    python parting_gateway.py PORT STORE_PORT MODE [SECONDS]

`cancels`: the request ends where it is, and gives the lock back. `goes-on`: it goes on as if nothing had happened.
It sleeps for so many SECONDS before it writes.
"""

from __future__ import annotations

import asyncio
import sys

import redis.asyncio
from aiohttp import web

PORT, STORE, MODE = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
SECONDS = float(sys.argv[4]) if len(sys.argv) > 4 else 0.0
LOCK = asyncio.Lock()
CLIENT = redis.asyncio.Redis(port=STORE)


async def count(request: web.Request) -> web.Response:
    """Read the count and write it back."""
    pod = (await request.json())["alerts"][0]["labels"]["pod"]
    async with LOCK:
        hits = int(await CLIENT.hget(f"hits:{pod}", "count") or 0) + 1
        if SECONDS:
            await asyncio.sleep(SECONDS)
        await CLIENT.hset(f"hits:{pod}", mapping={"record": f"rr-{pod}", "count": hits})
    body = {"remediationRequestName": f"rr-{pod}", "metadata": {"count": hits}}
    return web.json_response(body, status=201 if hits == 1 else 202)


async def ready(_: web.Request) -> web.Response:
    """Say yes."""
    return web.Response()


APP = web.Application()
APP.add_routes([web.get("/ready", ready), web.post("/{path:.*}", count)])
web.run_app(APP, host="127.0.0.1", port=PORT, handler_cancellation=MODE == "cancels", print=None)
