"""A value of Redis that somebody else has changed too: what a run did to it is taken back item by item.

Values are read as items: members, fields, entries with what they hold; a text is one item without a name. Each item
that a run has changed and nobody since holds again what it held; where a run has only counted, what it has added is
taken off; whatever else somebody has written stays.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple, cast

from stress.protocols.redis.ledger import LASTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stress.protocols.redis.ledger import Held, Stretch

Command = tuple[str | bytes, ...]
Items = dict[bytes, object]

_READING: dict[bytes, Command] = {
    b"string": ("GET",),
    b"set": ("SMEMBERS",),
    b"hash": ("HGETALL",),
    b"zset": ("ZRANGE", "0", "-1", "WITHSCORES"),
    b"list": ("LRANGE", "0", "-1"),
    b"stream": ("XRANGE", "-", "+"),
}
_WRITING: dict[bytes, tuple[str, str]] = {
    b"set": ("SADD", "SREM"),
    b"hash": ("HSET", "HDEL"),
    b"zset": ("ZADD", "ZREM"),
    b"stream": ("", "XDEL"),
}


class Value(NamedTuple):
    """What a key holds: its type (``none`` where it is not there), and its items; of a list they are in ``row``."""

    kind: bytes
    items: Items
    row: tuple[bytes, ...] = ()


def reading(key: bytes) -> list[Command]:
    """Give the commands that read a key of any type; all but those for its type are refused."""
    return [("TYPE", key), *((words[0], key, *words[1:]) for words in _READING.values())]


def read(replies: Sequence[object]) -> Value | None:
    """Read what `reading` was replied; None for a type of a module."""
    kind = cast("bytes", replies[0])
    if kind == b"none":
        return Value(kind, {})
    if kind not in _READING:
        return None
    found = replies[1 + list(_READING).index(kind)]
    row = cast("list[bytes]", found)
    if kind == b"list":
        return Value(kind, {}, tuple(row))
    if kind == b"string":
        items: Items = {b"": found}
    elif kind == b"set":
        items = dict.fromkeys(row, b"")
    elif kind == b"stream":
        items = {bytes(one[0]): tuple(one[1]) for one in cast("list[tuple[bytes, list[bytes]]]", found)}
    else:
        items = dict(zip(row[::2], row[1::2], strict=True))
    return Value(kind, items)


def without(now: Value, left: Value, before: Value, *, counted: bool) -> Value | None:
    """Give what a key holds once what a run did is taken back, which found ``before`` and left ``left``.

    ``counted`` is whether it only added to numbers. None where that can't be known, as something else is there now.
    """
    kinds = {one.kind for one in (now, left, before)} - {b"none"}
    if now.kind == b"none" or len(kinds) != 1:
        return None
    (kind,) = kinds
    if kind == b"list":
        return Value(kind, {}, _row(now.row, left.row, before.row))
    items = dict(now.items)
    for name in left.items.keys() | before.items.keys():
        was, became, held = (one.items.get(name) for one in (before, left, now))
        if was == became:
            continue
        back = was if held == became else _difference(was, became, held) if counted else held
        if back is None:
            items.pop(name, None)
        else:
            items[name] = back
    return Value(kind, items)


def changing(key: bytes, now: Value, wanted: Value) -> list[Command]:
    """Give the commands by which a key holds what is wanted, of the type that it has."""
    if now.kind == b"none":
        return []
    if wanted.kind == b"list":
        rest: list[Command] = [("RPUSH", key, *wanted.row)] if wanted.row else []
        return [("DEL", key), *rest] if wanted.row != now.row else []
    changed = [name for name, value in wanted.items.items() if now.items.get(name) != value]
    gone = [name for name in now.items if name not in wanted.items]
    if wanted.kind == b"string":
        text = cast("bytes", wanted.items.get(b""))
        return [("DEL", key)] if gone else [("SET", key, text, "KEEPTTL")] if changed else []
    add, remove = _WRITING[wanted.kind]
    commands: list[Command] = [(remove, key, name) for name in gone]
    for name in changed if add else ():
        value = cast("bytes", wanted.items[name])
        commands.append((add, key, name) if add == "SADD" else (add, key, *_pair(add, name, value)))
    return commands


def merging(
    name: bytes,
    held: Value | None,
    was: Sequence[tuple[Value | None, Value | None]],
    stretches: Sequence[Stretch],
    now: Held,
) -> list[Command]:
    """Give the commands that take back what we did to a key, last first, and leave what somebody else did."""
    wanted = held
    for (before, left), stretch in zip(reversed(was), reversed(stretches), strict=True):
        if wanted is not None and before is not None and left is not None:
            wanted = without(wanted, left, before, counted=stretch.counted) or wanted
    commands = [] if held is None or wanted is None else changing(name, held, wanted)
    left_us, first = stretches[-1].after, stretches[0].before
    if left_us is not None and now.dump is not None and left_us.expires == now.expires != first.expires:
        until: Command = ("PEXPIREAT", name, str(first.expires))
        commands.append(until if first.expires > LASTS else ("PERSIST", name))
    return commands


def _pair(add: str, name: bytes, value: bytes) -> tuple[bytes, bytes]:
    return (value, name) if add == "ZADD" else (name, value)


def _difference(was: object, became: object, held: object) -> object:
    """Take off a number what a run has added to it; give what is held where it is no number."""
    texts = [cast("bytes", one) for one in (held, was or b"0", became or b"0")]
    for number, form in ((int, b"%d"), (float, b"%.17g")):
        with suppress(TypeError, ValueError):
            first, second, third = map(number, texts)
            return form % (first + second - third)
    return held


def _row(now: tuple[bytes, ...], left: tuple[bytes, ...], before: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """Take out of a list what was put into it, and put back what was taken, at the end where that happened."""
    row, taken = list(now), Counter(before) - Counter(left)
    appended = left[: len(before)] == before
    for item in (Counter(left) - Counter(before)).elements():
        if item in row:
            del row[len(row) - 1 - row[::-1].index(item) if appended else row.index(item)]
    back = []
    for item in before:
        if taken[item]:
            taken[item] -= 1
            back.append(item)
    return (*back, *row) if before[len(before) - len(left) :] == left else (*row, *back)
