"""Remembers in its process which pods it knows: looked up and noted at once, or (RACY) with a read in between."""

from __future__ import annotations

import os

from alerts import Connection, Reply, serve

known: set[str] = set()


async def deduplicate(store: Connection, pod: str) -> tuple[int, str, Reply]:
    """Look the pod up in the store, which never has it, then in the process."""
    await store("GET", f"record:{pod}")
    new = pod not in known
    if os.environ["RACY"] == "1":
        await store("GET", f"owner:{pod}")
    known.add(pod)
    return (201 if new else 202), f"record:{pod}", None


serve(deduplicate)
