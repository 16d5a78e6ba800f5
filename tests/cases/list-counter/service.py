"""The hits of an alert are the members of a list.

"atomic": RPUSH. "racy": the list is read, and written again with one member more.
"""

from __future__ import annotations

import sys

from alerts import Connection, Reply, serve


async def deduplicate(store: Connection, pod: str) -> tuple[int, str, Reply]:
    """Create the record, or count the hit."""
    record, hits = f"rr-{pod}", f"hits:rr-{pod}"
    first = await store("SET", f"alert:{pod}", record, "NX") is not None
    if sys.argv[1] == "atomic":
        await store("RPUSH", hits, "hit")
    else:
        there = await store("LRANGE", hits, "0", "-1")
        members = [*map(str, there if isinstance(there, list) else ()), "hit"]
        await store.together(("MULTI",), ("DEL", hits), ("RPUSH", hits, *members), ("EXEC",))
    return (201 if first else 202), record, None


serve(deduplicate)
