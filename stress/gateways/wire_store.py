"""The store of a protocol on the wire: redis-py, with the replies as the server gives them."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from redis.exceptions import WatchError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Sequence

    from redis.asyncio import Redis
    from redis.asyncio.client import Pipeline

    from stress.gateways.store import Reply, Script

_PROBE_SECONDS = 5.0
"""How long the store may take to show that it is there (contract section 1.1)."""


class RedisStore:
    """One client and its pool."""

    def __init__(self, client: Redis) -> None:
        """Use a client that decodes texts; its replies are no longer put into other types."""
        client.response_callbacks.clear()
        self._client = client

    def now(self) -> float:
        """Give the wall clock."""
        return time.time()

    async def call(self, *command: str) -> Reply:
        """Run one command."""
        reply: Reply = await self._client.execute_command(*command)  # type: ignore[no-untyped-call]
        return reply

    async def pipeline(self, *commands: tuple[str, ...]) -> list[Reply]:
        """Send commands in one write."""
        async with self._client.pipeline(transaction=False) as pipe:
            for command in commands:
                pipe.execute_command(*command)
            replies: list[Reply] = await pipe.execute()
            return replies

    def script(self, script: Script, keys: Sequence[str], arguments: Sequence[str]) -> Awaitable[Reply]:
        """Run a script."""
        return self.call("EVAL", script.lua, str(len(keys)), *keys, *arguments)

    @asynccontextmanager
    async def session(self) -> AsyncIterator[RedisSession]:
        """Take a connection out of the pool, and give it back."""
        async with self._client.pipeline(transaction=True) as pipe:
            yield RedisSession(pipe)

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)

    async def probe(self) -> None:
        """Ask whether the server is there, for no longer than five seconds.

        Raises:
            RedisError: when it is not.
            TimeoutError: when it does not answer in time.

        """
        async with asyncio.timeout(_PROBE_SECONDS):
            await self.call("PING")


class RedisSession:
    """A connection for one request alone."""

    def __init__(self, pipe: Pipeline) -> None:
        """Use the connection of a pipeline, which is not sent before ``execute``."""
        self._pipe = pipe

    async def call(self, *command: str) -> Reply:
        """Run one command at once."""
        if command[0] == "WATCH":
            return str(await self._pipe.watch(*command[1:]))
        reply: Reply = await self._pipe.immediate_execute_command(*command)  # type: ignore[no-untyped-call]
        return reply

    async def execute(self, *commands: tuple[str, ...]) -> list[Reply] | None:
        """Send MULTI, the commands and EXEC in one write; None when a watched key was touched."""
        self._pipe.multi()  # type: ignore[no-untyped-call]
        for command in commands:
            self._pipe.execute_command(*command)
        try:
            replies: list[Reply] = await self._pipe.execute()
        except WatchError:
            return None
        return replies
