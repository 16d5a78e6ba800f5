"""The gate while it is open: what it adds to a command, and the throughput that is left, from another process."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

from bench.figure import Figure
from stress.protocols.gate import Gate
from stress.protocols.redis.parts import BACKGROUND
from stress.protocols.redis.proxy import RedisProxy
from stress.protocols.redis.server import Valkey

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMANDS = 20_000
_LOAD = """
import socket, statistics, sys, threading, time
port, connections, commands = map(int, sys.argv[1:])
raw = b"*2\\r\\n$3\\r\\nGET\\r\\n$3\\r\\nkey\\r\\n"
def one(count, times):
    with socket.create_connection(("127.0.0.1", port)) as link:
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(count):
            begun = time.perf_counter()
            link.sendall(raw)
            link.recv(64)
            times.append(time.perf_counter() - begun)
lists = [[] for _ in range(connections)]
threads = [threading.Thread(target=one, args=(commands // connections, times)) for times in lists]
begun = time.perf_counter()
[thread.start() for thread in threads]
[thread.join() for thread in threads]
took = time.perf_counter() - begun
print(statistics.median(sum(lists, [])), commands / took)
"""


async def _load(port: int, connections: int) -> tuple[float, float]:
    """Give the median seconds of a command and the commands a second."""
    arguments = [str(port), str(connections), str(COMMANDS)]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _LOAD, *arguments, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    latency, rate = output.split()
    return float(latency), float(rate)


async def _measure() -> list[Figure]:
    server = Valkey()
    proxy = RedisProxy(Gate(), 1, ("127.0.0.1", server.port), BACKGROUND)
    gated = await proxy.start()
    found = []
    for connections in (1, 50):
        direct, through = await _load(server.port, connections), await _load(gated, connections)
        added = (through[0] - direct[0]) * 1e6
        found += [
            Figure(f"open gate, {connections} connections: added median latency", f"{added:.0f} us"),
            Figure(f"open gate, {connections} connections: throughput / direct", f"{through[1] / direct[1]:.2f}"),
        ]
    await proxy.close()
    server.close()
    return found


def figures() -> Iterator[Figure]:
    """Measure one connection and fifty."""
    yield from asyncio.run(_measure())
