"""One SADD into a set that holds the pods of all alerts tells who was first. Correct."""

from __future__ import annotations

from alerts import Connection, Reply, serve


async def deduplicate(store: Connection, pod: str) -> tuple[int, str, Reply]:
    """Ask the set."""
    return (201 if await store("SADD", "seen", pod) == 1 else 202), f"rr-{pod}", None


serve(deduplicate)
