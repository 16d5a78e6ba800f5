"""What the services in Python have in common: HTTP in, one Redis behind. Standard library alone, as they run anywhere.

A service gives `serve` a function that is called with a connection of the pool and the pod of an alert (where there is
no body, the last part of the path); while it runs the connection is its own. It gives the status, the name of the
record, and the count or None; or an `Answer` of its own form.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

Reply: TypeAlias = "int | str | list[Reply] | None"


@dataclass(frozen=True)
class Answer:
    """An answer: a body that is no text is sent as JSON."""

    status: int
    body: object = ""
    headers: dict[str, str] = field(default_factory=dict)


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
        self.write(*commands)
        return [await self.reply() for _ in commands]

    def write(self, *commands: tuple[str, ...]) -> None:
        """Send commands in one go."""
        self._writer.write(b"".join(map(_encoded, commands)))

    async def reply(self) -> Reply:
        """Read the next reply."""
        line = (await self._reader.readuntil(b"\r\n"))[:-2].decode()
        kind, rest = line[0], line[1:]
        if kind == "-":
            raise RuntimeError(rest)
        if kind == "+":
            return rest
        if kind == ":" or rest == "-1":
            return int(rest) if kind == ":" else None
        if kind == "*":
            return [await self.reply() for _ in range(int(rest))]
        return (await self._reader.readexactly(int(rest) + 2))[:-2].decode()


def _encoded(words: tuple[str, ...]) -> bytes:
    parts = [word.encode() for word in words]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)


async def connect(*, nagle: bool = False) -> Connection:
    """Connect to the store at REDIS_PORT; with ``nagle`` a short write waits for what was sent to be acknowledged."""
    reader, writer = await asyncio.open_connection("127.0.0.1", _number("REDIS_PORT"))
    writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, not nagle)
    return Connection(reader, writer)


def _reported(pod: str, status: int, record: str | None, count: Reply) -> Answer:
    reported: dict[str, object] = {"fingerprint": pod, "remediationRequestName": record}
    return Answer(status, reported if count is None else reported | {"metadata": {"count": count}})


def serve(
    handle: Callable[[Connection, str], Awaitable[tuple[int, str | None, Reply] | Answer]],
    begin: Callable[[], None] = lambda: None,
) -> None:
    """Answer alerts on PORT, each with a connection of a pool that grows as needed; ``begin`` is called before."""
    idle: list[Connection] = []

    async def answer(path: str, body: bytes) -> Answer:
        pod = json.loads(body)["alerts"][0]["labels"]["pod"] if body else path.rpartition("/")[2]
        store = idle.pop() if idle else await connect()
        given = await handle(store, pod)
        idle.append(store)
        return given if isinstance(given, Answer) else _reported(pod, *given)

    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                lengths = [line.split(b":")[1] for line in head.lower().splitlines() if b"content-length:" in line]
                body = await reader.readexactly(int(lengths[0]) if lengths else 0)
                path = head.split()[1].decode()
                reported = Answer(200) if path == "/ready" else await answer(path, body)
                text = reported.body if isinstance(reported.body, str) else json.dumps(reported.body)
                lines = [f"HTTP/1.1 {reported.status} X", f"Content-Length: {len(text)}"]
                lines += [f"{name}: {value}" for name, value in reported.headers.items()]
                writer.write("\r\n".join([*lines, "", text]).encode())
        writer.close()

    async def listen() -> None:
        begin()
        async with await asyncio.start_server(client, "127.0.0.1", _number("PORT")) as server:
            await server.serve_forever()

    asyncio.run(listen())


def _number(name: str) -> int:
    return int(os.environ[name])
