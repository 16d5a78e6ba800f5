"""A counter whose requests meet where the gate can't park them: in threads, or inside what is sent in one go.

"threads-racy": threads count in a dict, "threads-locked": under a lock. "pipeline-racy": a counter is raised, a report
of 2 MB stored and the counter read in one pipeline, "pipeline-whole": in a transaction.
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
REPORT = "x" * 2_000_000


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
    if HOW.startswith("threads"):
        await store("INCR", hits)
        number = await asyncio.to_thread(count, pod)
    else:
        sent = [("INCR", hits), ("SET", f"report:{pod}", REPORT), ("GET", hits)]
        whole = HOW == "pipeline-whole"
        replies = await store.together(*([("MULTI",), *sent, ("EXEC",)] if whole else sent))
        last = replies[-1]
        number = int(str(last[-1] if isinstance(last, list) else last))
    return 201 if number == 1 else 202, hits, number


serve(handle)
