"""Fixed counterpart: one script creates the record or counts the hit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stress.gateways.store import TTL_SECONDS, Outcome, Reply, Script, listed, stamp

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stress.gateways.store import Incoming, Store

LUA = """
local count = redis.call('HINCRBY', KEYS[1], 'count', 1)
if count == 1 then redis.call('HSET', KEYS[1], 'record', ARGV[1], 'firstSeen', ARGV[2]) end
redis.call('HSET', KEYS[1], 'lastSeen', ARGV[2])
redis.call('EXPIRE', KEYS[1], ARGV[3])
return {count, redis.call('HGET', KEYS[1], 'firstSeen')}
"""


def _python(call: Callable[..., Reply], keys: Sequence[str], arguments: Sequence[str]) -> Reply:
    count = call("HINCRBY", keys[0], "count", "1")
    if count == 1:
        call("HSET", keys[0], "record", arguments[0], "firstSeen", arguments[1])
    call("HSET", keys[0], "lastSeen", arguments[1])
    call("EXPIRE", keys[0], arguments[2])
    return [count, call("HGET", keys[0], "firstSeen")]


CREATE_OR_COUNT = Script(LUA, _python)


async def deduplicate(store: Store, signal: Incoming) -> Outcome:
    """EVAL: one step for creation and for each hit."""
    record, seen = f"rr-{signal.fingerprint[:16]}", stamp(store.now())
    key = f"gw:dedup:{signal.fingerprint}"
    count, first = listed(await store.script(CREATE_OR_COUNT, [key], [record, seen, TTL_SECONDS]))
    return Outcome(created=count == 1, record=record, count=int(str(count)), first_seen=str(first), last_seen=seen)
