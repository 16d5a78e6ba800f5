"""Run a bundled Gateway in this process until it is told to end."""

from __future__ import annotations

import asyncio
import signal

from aiohttp import web
from redis.asyncio import Redis
from redis.exceptions import RedisError

from stress.errors import Unavailable
from stress.gateways.app import RedisStore, make_app


async def serve(protocol: str, url: str, port: int) -> None:
    """Serve on loopback until SIGTERM or SIGINT.

    Raises:
        Unavailable: when the store does not answer or the port is taken.

    """
    client = Redis.from_url(url, decode_responses=True, protocol=2)
    try:
        await client.ping()
    except RedisError as error:
        raise Unavailable(f"the store does not answer: {error}", "start it, or name another by --redis") from None
    runner = web.AppRunner(make_app(protocol, RedisStore(client)), access_log=None, keepalive_timeout=3600)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
    except OSError as error:
        raise Unavailable(f"port {port} can't be listened on: {error.strerror}", "choose another by --port") from None
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()
    await runner.cleanup()
    await client.aclose()
