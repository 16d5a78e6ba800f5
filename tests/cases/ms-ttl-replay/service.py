"""A racy counter that keeps the end of its window: each write sets what is left of it (PX 59993, PX 59990, …).

LEFT=computed: from the end that it stored. LEFT=asked: as the store says (PTTL). LEFT=kept: one INCR, which keeps it.
"""

from __future__ import annotations

import os
import time

from alerts import Connection, Reply, serve

LEFT = os.environ["LEFT"]


async def deduplicate(store: Connection, pod: str) -> tuple[int, str, Reply]:
    """Count the hit."""
    count, end, record = f"count:{pod}", f"end:{pod}", f"rr-{pod}"
    if LEFT == "kept":
        hits = await store("INCR", count)
        return (201 if hits == 1 else 202), record, hits
    known = await store("GET", count)
    now = time.time_ns() // 1_000_000
    if known is None:
        await store("SET", count, "1", "PX", "60000")
        await store("SET", end, str(now + 60_000), "PX", "60000")
        return 201, record, 1
    left = await store("PTTL", count) if LEFT == "asked" else int(str(await store("GET", end))) - now
    hits = int(str(known)) + 1
    await store("SET", count, str(hits), "PX", str(left))
    return 202, record, hits


serve(deduplicate)
