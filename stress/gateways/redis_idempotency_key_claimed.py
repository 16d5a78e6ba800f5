"""Fixed counterpart of `redis_idempotency_key`: SET NX of the mark decides who does the work."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stress.gateways.redis_idempotency_key import WORKING, repeated, worked
from stress.gateways.store import TTL_SECONDS

if TYPE_CHECKING:
    from stress.gateways.store import Incoming, Outcome, Store


async def deduplicate(store: Store, signal: Incoming) -> Outcome:
    """SET NX, the work, and SET of the result; or GET of what the first one left."""
    key = f"gw:idem:{signal.fingerprint}"
    if await store.call("SET", key, WORKING, "NX", "EX", TTL_SECONDS) is None:
        return repeated(await store.call("GET", key))
    return await worked(store, signal, key)
