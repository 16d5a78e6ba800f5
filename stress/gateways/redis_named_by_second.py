"""Racy: lists, then creates a record named by the second (R1: two records; R2: losers answer 201; T1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stress.gateways.store import TTL_SECONDS, Outcome, stamp

if TYPE_CHECKING:
    from stress.gateways.store import Incoming, Store

CREATE = """
if redis.call('EXISTS', KEYS[2]) == 1 then return 0 end
redis.call('HSET', KEYS[2], 'fingerprint', ARGV[2], 'count', 1)
redis.call('EXPIRE', KEYS[2], ARGV[3])
redis.call('SADD', KEYS[1], ARGV[1])
redis.call('EXPIRE', KEYS[1], ARGV[3])
return 1
"""
"""Create a record and list it, unless one of that name exists: one step, as a POST to the Kubernetes API is."""


async def deduplicate(store: Store, signal: Incoming) -> Outcome:
    """SMEMBERS; none: create ``rr-<fp12>-<unix s>``, and whoever finds that name taken counts and answers 201 too."""
    active = f"gw:active:{signal.fingerprint}"
    listed = await store.call("SMEMBERS", active)
    seen = stamp(store.now())
    names = sorted(name for name in listed if name) if isinstance(listed, list) else []
    if names:
        count = await store.call("HINCRBY", f"gw:rr:{names[0]}", "count", "1")
        return Outcome(created=False, record=names[0], count=int(str(count)), last_seen=seen)
    name = f"rr-{signal.fingerprint[:12]}-{int(store.now())}"
    arguments = (name, signal.fingerprint, TTL_SECONDS)
    if await store.call("EVAL", CREATE, "2", active, f"gw:rr:{name}", *arguments):
        return Outcome(created=True, record=name, count=1, first_seen=seen, last_seen=seen)
    count = await store.call("HINCRBY", f"gw:rr:{name}", "count", "1")
    return Outcome(created=True, record=name, count=int(str(count)), last_seen=seen)
