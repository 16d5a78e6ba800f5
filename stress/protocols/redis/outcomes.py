"""The typed outcome of a Redis command, from its words and its reply. Source: the Redis command reference."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stress.core.outcomes import How, Outcome, together
from stress.protocols.redis.commands import is_script, verb
from stress.protocols.redis.replies import ReplyError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stress.core.outcomes import Value

    Naming = Callable[[str], str]

_CONDITIONAL = frozenset(b"SETNX HSETNX MSETNX RENAMENX COPY MOVE SADD PFADD".split())
"""They answer 0 where what they would make is there already."""
_COUNTING = frozenset(
    b"""DEL UNLINK HDEL SREM ZREM LREM ZREMRANGEBYSCORE ZREMRANGEBYRANK ZREMRANGEBYLEX XDEL XACK SMOVE PERSIST EXISTS
    HEXISTS SISMEMBER TOUCH LLEN SCARD HLEN STRLEN HSTRLEN ZCARD ZCOUNT XLEN LPUSHX RPUSHX EXPIRE PEXPIRE EXPIREAT
    PEXPIREAT LINSERT GETBIT""".split()
)
"""They answer 0 where nothing of what they ask for is there."""
_REMAINING = frozenset(b"TTL PTTL EXPIRETIME PEXPIRETIME".split())
_NOT_THERE = -2
_DEEPEST = 32
"""How deep a value is nested at most: a script may nest its reply for as long as it likes."""
_REPLACING = frozenset([b"GETSET"])
"""They answer nil where nothing was there before, and have set it."""


def of_command(args: Sequence[bytes], reply: object, naming: Naming = str) -> Outcome:
    """Give what a command came to."""
    name, value = verb(args), value_of(reply, naming)
    if isinstance(reply, ReplyError | ValueError):
        return Outcome(How.REFUSED, value, error=True)
    if name == b"SET":
        return Outcome(_of_set({arg.upper() for arg in args[3:]}, reply), value)
    if is_script(args):
        return Outcome(How.REFUSED if reply in (None, 0, []) else How.OK, value)
    if name in _CONDITIONAL:
        return Outcome(How.REFUSED if reply in (0, None) else How.OK, value)
    if name == b"ZADD" and {arg.upper() for arg in args[2:5]} & {b"NX", b"XX", b"GT", b"LT"}:
        return Outcome(How.REFUSED if reply in (0, None) else How.OK, value)
    absent = (
        (name in _COUNTING and reply in (0, -1))
        or (name in _REMAINING and reply == _NOT_THERE)
        or (name not in _REPLACING and _nothing(reply))
    )
    return Outcome(How.ABSENT if absent else How.OK, value)


def of_transaction(effects: Sequence[Sequence[bytes]], reply: object, naming: Naming = str) -> Outcome:
    """Give what EXEC came to, by the reply to each command that was queued."""
    if reply is None or isinstance(reply, ReplyError | ValueError):
        return Outcome(How.REFUSED, value_of(reply, naming), error=reply is not None)
    replies = reply if isinstance(reply, list | tuple) else [reply]
    return together([of_command(args, one, naming) for args, one in zip(effects, replies, strict=False)])


def value_of(reply: object, naming: Naming, depth: int = _DEEPEST) -> Value:
    """Give a reply as a value; what is nested deeper than ``depth`` is cut."""
    if isinstance(reply, list | tuple):
        return tuple(value_of(one, naming, depth - 1) for one in reply) if depth else "[...]"
    if reply is None:
        return None
    return naming(reply.decode("utf-8", "backslashreplace") if isinstance(reply, bytes) else str(reply))


def _of_set(options: set[bytes], reply: object) -> How:
    """Tell whether SET has set; with GET it answers what was there before."""
    if b"GET" in options:
        refused = (b"NX" in options and reply is not None) or (b"XX" in options and reply is None)
        return How.REFUSED if refused else How.OK
    return How.REFUSED if reply is None else How.OK


def _nothing(reply: object) -> bool:
    return reply is None or (isinstance(reply, list | tuple) and all(one is None for one in reply))
