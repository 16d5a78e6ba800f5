"""Racy: lists, then creates a record named by the second (R1: two records; R2: losers answer 201; T1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stress.gateways.records import CREATE_LISTED, active_records, first_seen
from stress.gateways.store import TTL_SECONDS, Outcome, stamp

if TYPE_CHECKING:
    from stress.gateways.store import Incoming, Store


async def deduplicate(store: Store, signal: Incoming) -> Outcome:
    """SMEMBERS; none: create ``rr-<fp12>-<unix s>``, one that finds that name taken counts and answers 201 too."""
    active, hits = f"gw:active:{signal.fingerprint}", f"gw:hits:{signal.fingerprint}"
    names = active_records(await store.call("SMEMBERS", active))
    seen = stamp(store.now())
    if names:
        count = await store.call("HINCRBY", hits, names[0], "1")
        return Outcome(
            created=False, record=names[0], count=int(str(count)), first_seen=first_seen(names[0]), last_seen=seen
        )
    name = f"rr-{signal.fingerprint[:12]}-{int(store.now())}"
    if await store.script(CREATE_LISTED, [active, hits], [name, TTL_SECONDS]):
        return Outcome(created=True, record=name, count=1, first_seen=seen, last_seen=seen)
    count = await store.call("HINCRBY", hits, name, "1")
    return Outcome(created=True, record=name, count=int(str(count)), first_seen=first_seen(name), last_seen=seen)
