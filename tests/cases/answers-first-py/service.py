"""Answers first and counts later: MODE is what is sent, SLEEP and JITTER are how many ms it sleeps before.

``incr`` counts by an atomic INCR, ``copy`` reads the count and writes the next one. HOW says who works: a ``task`` of
the event loop for each request, a ``thread`` for each request, ``buffer``: one task for all hits that have gathered,
``queue``: a task that takes its job from a list in the store once it is done, or ``endless``: a task that never ends.
"""

from __future__ import annotations

import asyncio
import os
import random
import socket
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING

from alerts import Connection, Reply, serve

if TYPE_CHECKING:
    from collections.abc import Coroutine

MODE, HOW, STORE = os.environ["MODE"], os.environ["HOW"], ("127.0.0.1", int(os.environ["REDIS_PORT"]))
SLEEP, JITTER = int(os.environ.get("SLEEP", "0")) / 1000, int(os.environ.get("JITTER", "0")) / 1000
tasks: set[asyncio.Task[None]] = set()
gathered: Counter[str] = Counter()


def delay() -> float:
    """Give for how long to sleep, in seconds."""
    return SLEEP + random.uniform(0, JITTER)


async def count(pod: str, hits: int) -> None:
    """Add hits to the count of a pod, on a connection of its own."""
    reader, writer = await asyncio.open_connection(*STORE)
    store = Connection(reader, writer)
    if MODE == "incr":
        await store("INCRBY", f"hits:{pod}", str(hits))
    else:
        before = await store("GET", f"hits:{pod}")
        await store("SET", f"hits:{pod}", str(int(str(before or 0)) + hits))
    writer.close()


async def later(pod: str) -> None:
    """Count one hit."""
    if seconds := delay():
        await asyncio.sleep(seconds)
    await count(pod, 1)


async def work(pod: str) -> None:
    """Count one hit, then take the job out of the queue."""
    await later(pod)
    reader, writer = await asyncio.open_connection(*STORE)
    await Connection(reader, writer)("LPOP", f"queue:{pod}")
    writer.close()


async def beat(pod: str) -> None:
    """Count one hit, and write for ever."""
    await later(pod)
    while True:
        await later(f"beat:{pod}")


async def flush(pod: str) -> None:
    """Count all hits that have gathered by now."""
    await asyncio.sleep(delay())
    await count(pod, gathered.pop(pod))


def begin(work: Coroutine[None, None, None]) -> None:
    """Let a task do it."""
    tasks.add(task := asyncio.create_task(work))
    task.add_done_callback(tasks.discard)


def thread(pod: str) -> None:
    """Count one hit, in a thread."""
    time.sleep(delay())
    with socket.create_connection(STORE) as sock, sock.makefile("rb") as replies:
        if MODE == "incr":
            sock.sendall(f"INCR hits:{pod}\r\n".encode())
        else:
            sock.sendall(f"GET hits:{pod}\r\n".encode())
            before = 0 if replies.readline() == b"$-1\r\n" else int(replies.readline())
            sock.sendall(f"SET hits:{pod} {before + 1}\r\n".encode())
        replies.readline()


async def deduplicate(store: Connection, pod: str) -> tuple[int, str, Reply]:
    """Claim the record, answer, and count later."""
    created = await store("SET", f"record:{pod}", "1", "NX")
    if HOW == "thread":
        threading.Thread(target=thread, args=(pod,)).start()
    elif HOW == "task":
        begin(later(pod))
    elif HOW == "endless":
        begin(beat(pod))
    elif HOW == "queue":
        await store("RPUSH", f"queue:{pod}", "1")
        begin(work(pod))
    else:
        gathered[pod] += 1
        if gathered[pod] == 1:
            begin(flush(pod))
    return (201 if created else 202), f"record:{pod}", None


serve(deduplicate)
