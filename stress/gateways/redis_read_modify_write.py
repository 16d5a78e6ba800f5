"""Racy: reads the count and writes it back in another step, so that concurrent hits are lost (T2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stress.gateways.store import TTL_SECONDS, Outcome, stamp

if TYPE_CHECKING:
    from stress.gateways.store import Incoming, Store


async def deduplicate(store: Store, signal: Incoming) -> Outcome:
    """EXISTS; then HSET a new hash, or HGET the count and HSET count + 1."""
    key, record = f"gw:dedup:{signal.fingerprint}", f"rr-{signal.fingerprint[:16]}"
    seen = stamp(store.now())
    if not await store.call("EXISTS", key):
        fields = ("record", record, "count", "1", "firstSeen", seen, "lastSeen", seen)
        await store.pipeline(("HSET", key, *fields), ("EXPIRE", key, TTL_SECONDS))
        return Outcome(created=True, record=record, count=1, first_seen=seen, last_seen=seen)
    stored = await store.call("HGET", key, "count")
    count = int(stored if isinstance(stored, str) else 0) + 1
    await store.call("HSET", key, "count", str(count), "lastSeen", seen)
    return Outcome(created=False, record=record, count=count, last_seen=seen)
