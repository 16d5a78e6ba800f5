"""Run a bundled Gateway in this process until it is told to end."""

from __future__ import annotations

import asyncio
import signal
from contextlib import AsyncExitStack

from aiohttp import web
from redis.asyncio import Redis
from redis.exceptions import RedisError

from stress.errors import Fault, Place, Unavailable, UsageFault
from stress.gateways.app import STOPPING, RedisStore, make_app

_DRAIN_SECONDS = 30.0
"""How long requests in flight may take to end (contract section 1.1)."""


async def serve(protocol: str, url: str, port: int) -> None:
    """Serve on loopback until SIGTERM or SIGINT.

    Raises:
        UsageFault: when the URL names no store.
        Unavailable: when the store does not answer or the port is taken.

    """
    try:
        client = Redis.from_url(url, decode_responses=True, protocol=2)
    except ValueError as error:
        place = Place("--redis", 1, 1)
        raise UsageFault([Fault(place, f"not a store's URL: {error}", "write redis://127.0.0.1:6379/0")]) from None
    async with client, AsyncExitStack() as stack:
        store = RedisStore(client)
        try:
            await store.probe()
        except (RedisError, TimeoutError) as error:
            raise Unavailable(f"the store does not answer: {error}", "start it, or name another by --redis") from None
        app = make_app(protocol, store)
        runner = web.AppRunner(app, access_log=None, keepalive_timeout=3600, shutdown_timeout=_DRAIN_SECONDS)
        stack.push_async_callback(runner.cleanup)
        await runner.setup()
        stop = asyncio.Event()  # whoever sees it listen may end it at once
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        try:
            await web.TCPSite(runner, "127.0.0.1", port).start()
        except OSError as error:
            remedy = "choose another by --port"
            raise Unavailable(f"port {port} can't be listened on: {error.strerror}", remedy) from None
        await stop.wait()
        app[STOPPING][0] = True
