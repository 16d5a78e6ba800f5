"""All requests share one connection, and write to it while others have no reply yet, as multiplexing clients do.

NAGLE=1 leaves the algorithm of Nagle on: a short write stays in the kernel until the one before it is acknowledged.
CLAIM=0 reads a counter and writes it; CLAIM=1 claims first.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque

from alerts import Connection, Reply, connect, serve

NAGLE, CLAIM = os.environ["NAGLE"] == "1", os.environ["CLAIM"] == "1"


class Shared:
    """One connection for all, on which commands do not wait for each other."""

    def __init__(self) -> None:
        """Connect when first used."""
        self._connection: Connection | None = None
        self._turns: deque[asyncio.Future[Reply]] = deque()

    async def __call__(self, *words: str) -> Reply:
        """Write a command, and wait for its own reply."""
        if self._connection is None:
            self._connection = await connect(nagle=NAGLE)
            self._reading = asyncio.ensure_future(self._read(self._connection))
        turn: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._turns.append(turn)
        self._connection.write(words)
        return await turn

    async def _read(self, connection: Connection) -> None:
        while True:
            reply = await connection.reply()
            self._turns.popleft().set_result(reply)


async def count(_: Connection, pod: str) -> tuple[int, str, Reply]:
    """Count an alert, or claim it."""
    if CLAIM:
        mine = await store("SET", f"claim:{pod}", "1", "NX")
        if mine:
            await store("SET", f"record:{pod}", "1")
        return (201 if mine else 202), f"rr-{pod}", None
    seen = int(str(await store("GET", f"hits:{pod}") or 0))
    await store("SET", f"hits:{pod}", str(seen + 1))
    return (202 if seen else 201), f"rr-{pod}", seen + 1


store = Shared()
serve(count)
