"""A racy counter: reads, then writes. In all modes but `gate` it uses another store than the one that it is given.

`own` is that of a variable that is misspelt, `cluster` and `sentinel` ask the gate for the addresses of nodes first, as
their clients do, and `memory` has none.
"""

from __future__ import annotations

import asyncio
import os
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from alerts import connect, serve

if TYPE_CHECKING:
    from alerts import Connection, Reply

MODE = os.environ["MODE"]
ASKS = {"cluster": ("CLUSTER", "SLOTS"), "sentinel": ("SENTINEL", "get-master-addr-by-name", "main")}
HITS: dict[str, int] = {}
DATA: dict[bytes, bytes] = {}


async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Serve one connection to the store that nobody gates: GET and SET."""
    while line := await reader.readline():
        words = []
        for _ in range(int(line[1:])):
            await reader.readline()
            words.append((await reader.readline()).strip())
        if words[0] == b"GET":
            value = DATA.get(words[1])
            writer.write(b"$-1\r\n" if value is None else b"$%d\r\n%s\r\n" % (len(value), value))
        else:
            DATA[words[1]] = words[2]
            writer.write(b"+OK\r\n")


def start_own() -> int:
    """Start that store in a thread of this process; give its port."""
    ports: list[int] = []
    started = threading.Event()

    async def run() -> None:
        server = await asyncio.start_server(one, "127.0.0.1", 0)
        ports.append(server.sockets[0].getsockname()[1])
        started.set()
        await server.serve_forever()

    threading.Thread(target=lambda: asyncio.run(run()), daemon=True).start()
    started.wait()
    return ports[0]


async def handle(store: Connection, pod: str) -> tuple[int, str, Reply]:
    """Count a hit in the wrong way."""
    if MODE == "memory":
        count = HITS[pod] = HITS.get(pod, 0) + 1
    else:
        count = int(str(await store("GET", f"hits:{pod}") or 0)) + 1
        await store("SET", f"hits:{pod}", str(count))
    return (201 if count == 1 else 202), f"rr-{pod}", count


async def ask() -> None:
    """Ask the store that is given where its nodes are; this one has none, as it is no cluster."""
    store = await connect()
    with suppress(RuntimeError):
        await store(*ASKS[MODE])


if MODE in ASKS:
    asyncio.run(ask())
if MODE in ("own", *ASKS):
    os.environ["REDIS_PORT"] = str(start_own())
serve(handle)
