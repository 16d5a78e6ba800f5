"""Twin: reads under WATCH, writes in a transaction, and begins again when another was faster."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stress.gateways.store import TTL_SECONDS, Outcome, stamp

if TYPE_CHECKING:
    from stress.gateways.store import Incoming, Store


async def deduplicate(store: Store, signal: Incoming) -> Outcome:
    """WATCH; HGET count; MULTI HSET EXPIRE EXEC; again until it succeeds."""
    key, record = f"gw:dedup:{signal.fingerprint}", f"rr-{signal.fingerprint[:16]}"
    async with store.session() as connection:
        while True:
            await connection.call("WATCH", key)
            stored = await connection.call("HGET", key, "count")
            count = int(str(stored or 0)) + 1
            seen = stamp(store.now())
            first = ("record", record, "firstSeen", seen) if count == 1 else ()
            fields = ("count", str(count), "lastSeen", seen, *first)
            if await connection.execute(("HSET", key, *fields), ("EXPIRE", key, TTL_SECONDS)) is not None:
                return Outcome(created=count == 1, record=record, count=count, last_seen=seen)
