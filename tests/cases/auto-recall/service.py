"""Six commands, one after another, without a branch.

A request that came first, read the 1 that it wrote, and was then given 3 twice by the counter answers 500.
"""

from __future__ import annotations

from alerts import Connection, Reply, serve


async def deduplicate(store: Connection, pod: str) -> tuple[int, str, Reply]:
    """Count the hit, and use a second counter as one that several requests write should not be used."""
    generation = f"gen:{pod}"
    await store("SET", generation, "2")
    hits = await store("INCR", f"hits:{pod}")
    await store("SET", generation, "1")
    read = await store("GET", generation)
    drawn = [await store("INCR", generation), await store("INCR", generation)]
    if (hits, read, drawn) == (1, "1", [3, 3]):
        return 500, f"rr-{pod}", None
    return (201 if hits == 1 else 202), f"rr-{pod}", hits


serve(deduplicate)
