"""An idempotency key. The first request marks the key as in work, does the work and stores its answer.

"racy": GET, then SET of the mark and of an index in one pipeline. Two who find nothing both do the work. "claim": SET
NX of the mark; who loses looks again: 409 while it is in work, else the first answer's body with 200.
"""

from __future__ import annotations

import sys

from alerts import Connection, Reply, serve

CLAIM = sys.argv[1] == "claim"


def repeat(state: Reply, record: str) -> tuple[int, str | None, Reply]:
    """Answer who is not the first."""
    return (409, None, None) if state == "working" else (200, record, None)


async def place(store: Connection, pod: str) -> tuple[int, str | None, Reply]:
    """Place the order, or repeat the answer."""
    key, record = f"idem:{pod}", f"order-{pod}"
    if state := await store("GET", key):
        return repeat(state, record)
    mark = ("SET", key, "working", "EX", "60", *(("NX",) if CLAIM else ()))
    marked, _ = await store.together(mark, ("SET", f"print:{pod}", key, "EX", "60"))
    if marked is None:
        return repeat(await store("GET", key), record)
    await store("RPUSH", f"orders:{pod}", record)
    await store("SET", key, "done", "EX", "60")
    return 201, record, None


serve(place)
