"""What the services in Python have in common: HTTP in, one Redis behind. Standard library alone, as they run anywhere.

A service gives `serve` a function that is called with a connection of the pool and the pod of an alert; while it runs
the connection is its own. It gives the status, the name of the record, and the count or None.
"""

from __future__ import annotations

import asyncio
import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

Reply: TypeAlias = "int | str | list[Reply] | None"


class Connection:
    """One connection to the store."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take both ends."""
        self._reader, self._writer = reader, writer

    async def __call__(self, *words: str) -> Reply:
        """Run one command."""
        (reply,) = await self.together(words)
        return reply

    async def together(self, *commands: tuple[str, ...]) -> list[Reply]:
        """Run commands that are sent in one go."""
        self._writer.write(b"".join(map(_encoded, commands)))
        return [await self._reply() for _ in commands]

    async def _reply(self) -> Reply:
        line = (await self._reader.readuntil(b"\r\n"))[:-2].decode()
        kind, rest = line[0], line[1:]
        if kind == "-":
            raise RuntimeError(rest)
        if kind == "+":
            return rest
        if kind == ":" or rest == "-1":
            return int(rest) if kind == ":" else None
        if kind == "*":
            return [await self._reply() for _ in range(int(rest))]
        return (await self._reader.readexactly(int(rest) + 2))[:-2].decode()


def _encoded(words: tuple[str, ...]) -> bytes:
    parts = [word.encode() for word in words]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)


async def connect() -> Connection:
    """Connect to the store at REDIS_PORT."""
    return Connection(*await asyncio.open_connection("127.0.0.1", _number("REDIS_PORT")))


def serve(
    handle: Callable[[Connection, str], Awaitable[tuple[int, str, Reply]]],
    tell: Callable[[str], dict[str, str]] = lambda pod: {"fingerprint": pod},
) -> None:
    """Answer alerts on PORT, each with a connection of a pool that grows as needed; ``tell`` what of the pod."""
    idle: list[Connection] = []

    async def answer(body: bytes) -> tuple[int, dict[str, object]]:
        pod = json.loads(body)["alerts"][0]["labels"]["pod"]
        store = idle.pop() if idle else await connect()
        status, record, count = await handle(store, pod)
        idle.append(store)
        told: dict[str, object] = {**tell(pod), "remediationRequestName": record}
        return status, told if count is None else told | {"metadata": {"count": count}}

    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                lengths = [line.split(b":")[1] for line in head.lower().splitlines() if b"content-length:" in line]
                body = await reader.readexactly(int(lengths[0]) if lengths else 0)
                status, told = await answer(body) if head.startswith(b"POST") else (200, {})
                text = json.dumps(told)
                writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(text)}\r\n\r\n{text}".encode())
        writer.close()

    async def listen() -> None:
        async with await asyncio.start_server(client, "127.0.0.1", _number("PORT")) as server:
            await server.serve_forever()

    asyncio.run(listen())


def _number(name: str) -> int:
    return int(os.environ[name])
