"""Racy: tells each request the right count by INCR, but stores the hits by reading and writing.

With `hash` the hits are a field of a hash, with `database` all keys are in database 1.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from alerts import serve

if TYPE_CHECKING:
    from alerts import Connection, Reply

MODE = os.environ["MODE"]


async def handle(store: Connection, pod: str) -> tuple[int, str, Reply]:
    """Count a hit twice, once well."""
    if MODE == "database":
        await store("SELECT", "1")
    count = await store("INCR", f"told:{pod}")
    if MODE == "hash":
        stored = int(str(await store("HGET", f"job:{pod}", "hits") or 0)) + 1
        await store("HSET", f"job:{pod}", "hits", str(stored))
    else:
        stored = int(str(await store("GET", f"hits:{pod}") or 0)) + 1
        await store("SET", f"hits:{pod}", str(stored))
    return (201 if count == 1 else 202), f"rr-{pod}", count


serve(handle)
