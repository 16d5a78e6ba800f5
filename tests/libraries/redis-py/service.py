"""The lock of redis-py around a counter: `locked` counts inside of it, `beside` after it was released."""

from __future__ import annotations

import sys

from http_service import REDIS_URL, serve
from redis import Redis

store = Redis.from_url(REDIS_URL, decode_responses=True)


def count(pod: str) -> int:
    """Raise the count by reading and writing it."""
    hits = int(store.get(f"hits:{pod}") or 0) + 1
    store.set(f"hits:{pod}", hits)
    return hits


def handle(pod: str) -> tuple[int, int | None]:
    """Create the record once, count each alert."""
    hits = 0
    with store.lock(f"lock:{pod}", timeout=30):
        created = store.get(f"record:{pod}") is None
        if created:
            store.set(f"record:{pod}", f"rr-{pod}")
        if created or sys.argv[1] == "locked":
            hits = count(pod)
    return (201, hits) if created else (202, hits or count(pod))


serve(handle)
