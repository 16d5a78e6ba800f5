"""A counter whose requests meet where the gate can't park them: in threads.

"threads-racy": threads count in a dict, "threads-locked": under a lock.
"""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import nullcontext
from threading import Lock

from alerts import Connection, Reply, serve

HOW = sys.argv[1]
COUNTS: dict[str, int] = {}
LOCK = Lock() if HOW == "threads-locked" else nullcontext()


def count(pod: str) -> int:
    """Count one more in a thread, which writes a line between the two halves."""
    with LOCK:
        so_far = COUNTS.get(pod, 0)
        time.sleep(0.0005)
        COUNTS[pod] = so_far + 1
        return so_far + 1


async def handle(store: Connection, pod: str) -> tuple[int, str | None, Reply]:
    """Count an alert."""
    hits = f"hits:{pod}"
    await store("INCR", hits)
    number = await asyncio.to_thread(count, pod)
    return 201 if number == 1 else 202, hits, number


serve(handle)
