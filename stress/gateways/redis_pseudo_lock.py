"""Racy: era (b) of the contract; a request that does not get the lock waits 100 ms and goes on anyway (B1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stress.gateways.records import CREATE_LISTED, active_records, first_seen
from stress.gateways.store import TTL_SECONDS, Outcome, stamp

if TYPE_CHECKING:
    from stress.gateways.store import Incoming, Store

_LOCK_SECONDS, _NAP_SECONDS = "5", 0.1


async def deduplicate(store: Store, signal: Incoming) -> Outcome:
    """SET NX the lock (taken: wait 100 ms), SMEMBERS, then count the hit or create ``rr-<fp12>-<unix s>``.

    Contract section 2 (b), steps 2 to 5, the records kept in Redis and the storm steps left out.
    """
    active, hits = f"gw:active:{signal.fingerprint}", f"gw:hits:{signal.fingerprint}"
    lock = f"gateway:dedup:lock:{signal.fingerprint}"
    if await store.call("SET", lock, "1", "EX", _LOCK_SECONDS, "NX") is None:
        await store.sleep(_NAP_SECONDS)
    names = active_records(await store.call("SMEMBERS", active))
    seen = stamp(store.now())
    name = names[0] if names else f"rr-{signal.fingerprint[:12]}-{int(store.now())}"
    created = not names
    if created and await store.script(CREATE_LISTED, [active, hits], [name, TTL_SECONDS]):
        return Outcome(created=True, record=name, count=1, first_seen=seen, last_seen=seen)
    count = await store.call("HINCRBY", hits, name, "1")
    return Outcome(created=created, record=name, count=int(str(count)), first_seen=first_seen(name), last_seen=seen)
