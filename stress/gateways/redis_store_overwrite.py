"""Racy: era (a) of the contract; the loser of the creation stores a fresh hash over counted hits (A1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stress.gateways.store import TTL_SECONDS, Outcome, stamp

if TYPE_CHECKING:
    from stress.gateways.store import Incoming, Store


async def deduplicate(store: Store, signal: Incoming) -> Outcome:
    """EXISTS; a known one is counted; else SET NX the record (taken: GET it), then store the hash with count 1.

    Contract section 2 (a), steps 2, 3, 7 and 8, the record kept in Redis and the storm steps left out.
    """
    key, record = f"gateway:dedup:fingerprint:{signal.fingerprint}", f"rr-{signal.fingerprint[:16]}"
    seen = stamp(store.now())
    if await store.call("EXISTS", key):
        count = await store.call("HINCRBY", key, "count", "1")
        await store.call("HSET", key, "lastSeen", seen)
        await store.call("EXPIRE", key, TTL_SECONDS)
        known = str(await store.call("HGET", key, "remediationRequestRef") or "")
        first = str(await store.call("HGET", key, "firstSeen") or "")
        return Outcome(created=False, record=known, count=int(str(count)), first_seen=first, last_seen=seen)
    # A record outlives its hash, as one in Kubernetes does: it has no time to live.
    if await store.call("SET", f"gw:rr:{signal.fingerprint}", record, "NX") is None:
        record = str(await store.call("GET", f"gw:rr:{signal.fingerprint}") or record)
    fields = ("fingerprint", signal.fingerprint, "firstSeen", seen, "lastSeen", seen, "count", "1")
    await store.pipeline(("HSET", key, *fields, "remediationRequestRef", record), ("EXPIRE", key, TTL_SECONDS))
    return Outcome(created=True, record=record, count=1, first_seen=seen, last_seen=seen)
