"""Records in Redis as the Kubernetes API has them: creating one lists it, and fails if one of that name exists."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stress.gateways.store import Script, listed, stamp

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stress.gateways.store import Reply

LUA = """
if redis.call('HSETNX', KEYS[2], ARGV[1], 1) == 0 then return 0 end
redis.call('EXPIRE', KEYS[2], ARGV[2])
redis.call('SADD', KEYS[1], ARGV[1])
redis.call('EXPIRE', KEYS[1], ARGV[2])
return 1
"""


def _python(call: Callable[..., Reply], keys: Sequence[str], arguments: Sequence[str]) -> Reply:
    if call("HSETNX", keys[1], arguments[0], "1") == 0:
        return 0
    call("EXPIRE", keys[1], arguments[1])
    call("SADD", keys[0], arguments[0])
    call("EXPIRE", keys[0], arguments[1])
    return 1


CREATE_LISTED = Script(LUA, _python)
"""Create a record and list it, unless one of that name exists: one step, as a POST to the Kubernetes API is.

Keys: the names of active records, the hits of each record. Arguments: the name, its time to live in seconds.
"""


def active_records(members: Reply) -> list[str]:
    """Give the names that SMEMBERS listed, sorted."""
    return sorted(str(name) for name in listed(members))


def first_seen(name: str) -> str:
    """Tell when a record ``rr-<fp12>-<unix s>`` was created: its name says so."""
    return stamp(int(name.rpartition("-")[2]))
