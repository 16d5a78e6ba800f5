"""Racy: looks whether a key is known, then marks it as in flight, so that two who find nothing both do the work."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stress.gateways.store import TTL_SECONDS, Outcome

if TYPE_CHECKING:
    from stress.gateways.store import Incoming, Reply, Store

WORKING = "working"
"""What stands at a key while its request is in flight."""


async def deduplicate(store: Store, signal: Incoming) -> Outcome:
    """GET; then SET of the mark, the work, and SET of the result, or the first one's answer again."""
    key = f"gw:idem:{signal.fingerprint}"
    if (result := await store.call("GET", key)) is not None:
        return repeated(result)
    await store.call("SET", key, WORKING, "EX", TTL_SECONDS)
    return await worked(store, signal, key)


async def worked(store: Store, signal: Incoming, key: str) -> Outcome:
    """Have the effect, a counter that goes up, and keep the result at the key."""
    effect, record = f"gw:effect:{signal.fingerprint}", f"rr-{signal.fingerprint[:16]}"
    await store.pipeline(("HINCRBY", effect, "count", "1"), ("HSET", effect, "record", record))
    await store.call("SET", key, record, "EX", TTL_SECONDS)
    return Outcome(created=True, record=record, count=1)


def repeated(result: Reply) -> Outcome:
    """Answer as the first one was answered, or that it is in flight; a key that is gone may be asked for again."""
    if not isinstance(result, str) or result == WORKING:
        return Outcome(created=False, record="", count=0, busy=True)
    return Outcome(created=True, record=result, count=1)
