"""Looks for the record and creates it where there is none, which is the race, and remembers something in its process.

`declares`: whose queue it has declared, which it does once. `knows`: whose record it has seen, and then asks no store.
`cold`: the record is created atomically once it has served a few pods, so that only a new process is racy.
"""

from __future__ import annotations

import os

from alerts import Connection, Reply, serve

MODE, WARM_AFTER = os.environ["MODE"], 8
SEEN: set[str] = set()
"""The pods whose queue was declared, or whose record is known, or that were served."""


async def deduplicate(store: Connection, pod: str) -> tuple[int, str, Reply]:
    """Answer 201 to who finds no record, 202 to others."""
    record = f"rr-{pod}"
    if (MODE == "knows" and pod in SEEN) or await store("GET", f"rec:{pod}"):
        return 202, record, None
    if MODE == "declares" and pod not in SEEN:
        await store("SADD", f"queues:{pod}", "notify")
    SEEN.add(pod)
    first = await store("SET", f"rec:{pod}", "1", "NX")
    return (201 if first or MODE != "cold" or len(SEEN) <= WARM_AFTER else 202), record, None


serve(deduplicate)
