"""The textbook optimistic lock of Redis, at most 3 tries; a request that loses all of them answers 500.

READ=1: it reads what it watches. IDLE: what it writes at the end.
"""

from __future__ import annotations

import os

from alerts import Connection, Reply, serve

READ, IDLE = os.environ["READ"] == "1", os.environ["IDLE"]


async def deduplicate(store: Connection, pod: str) -> tuple[int, str, Reply]:
    """Count the hit in a transaction that only happens if nobody wrote the state meanwhile."""
    state, counted = f"state:{pod}", None
    await store("SET", state, "busy")
    for _ in range(3):
        await store("WATCH", state)
        if READ:
            await store("GET", state)
        *_, counted = await store.together(("MULTI",), ("SET", state, "counted"), ("INCR", f"hits:{pod}"), ("EXEC",))
        if counted is not None:
            break
    await store("SET", state, IDLE)
    if not isinstance(counted, list):
        return 500, f"rr-{pod}", None
    return (201 if counted[1] == 1 else 202), f"rr-{pod}", counted[1]


serve(deduplicate)
