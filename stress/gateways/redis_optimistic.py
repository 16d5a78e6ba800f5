"""Fixed counterpart: reads under WATCH, writes in a transaction, and begins again when another was faster."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stress.gateways.store import TTL_SECONDS, Outcome, listed, stamp

if TYPE_CHECKING:
    from stress.gateways.store import Incoming, Store


async def deduplicate(store: Store, signal: Incoming) -> Outcome:
    """WATCH; HMGET count firstSeen; MULTI HSET EXPIRE EXEC; again until it succeeds."""
    key, record = f"gw:dedup:{signal.fingerprint}", f"rr-{signal.fingerprint[:16]}"
    async with store.session() as connection:
        while True:
            await connection.call("WATCH", key)
            stored, first = listed(await connection.call("HMGET", key, "count", "firstSeen"))
            count, seen = int(str(stored or 0)) + 1, stamp(store.now())
            fields: tuple[str, ...] = ("count", str(count), "lastSeen", seen)
            if stored is None:
                first, fields = seen, (*fields, "record", record, "firstSeen", seen)
            if await connection.execute(("HSET", key, *fields), ("EXPIRE", key, TTL_SECONDS)) is not None:
                return Outcome(
                    created=stored is None, record=record, count=count, first_seen=str(first), last_seen=seen
                )
