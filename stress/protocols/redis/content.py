"""All that a Redis holds, value by value."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from stress.protocols.looked import Content
    from stress.protocols.redis.store import Store

_READS = {
    "string": ("GET",),
    "hash": ("HGETALL",),
    "list": ("LRANGE", "0", "-1"),
    "set": ("SMEMBERS",),
    "zset": ("ZRANGE", "0", "-1"),
    "stream": ("XLEN",),
}
"""How a value of each type is read."""


async def content(store: Store) -> Content:
    """Read all keys of the target's database; a part of a value is called by the type, the key and its place there."""
    (keys,) = await store.ask([("KEYS", "*")])
    names = sorted(map(_text, cast("list[bytes]", keys)))
    types = await store.ask([("TYPE", name) for name in names]) if names else []
    kinds = [_text(kind) for kind in cast("list[bytes]", types)]
    known = [(kind, name) for name, kind in zip(names, kinds, strict=True) if kind in _READS]
    replies = await store.ask([(_READS[kind][0], name, *_READS[kind][1:]) for kind, name in known]) if known else []
    found: Content = {}
    for (kind, name), reply in zip(known, replies, strict=True):
        found |= {(kind, name, *inner): value for inner, value in _parts(kind, reply)}
    return found


def _parts(kind: str, reply: object) -> list[tuple[tuple[str, ...], object]]:
    """Give the parts of a value, each with what it is called there."""
    if kind == "stream":
        return [((str(at),), "") for at in range(cast("int", reply))]
    if kind == "string":
        return [((), _text(cast("bytes", reply)))]
    if isinstance(reply, dict):
        return [((_text(name),), _text(value)) for name, value in cast("dict[bytes, bytes]", reply).items()]
    texts = [_text(one) for one in cast("list[bytes]", reply)]
    if kind == "hash":
        return [((name,), value) for name, value in zip(texts[::2], texts[1::2], strict=True)]
    if kind == "list":
        return [((str(at),), text) for at, text in enumerate(texts)]
    return [((text,), text) for text in texts]


def _text(value: bytes) -> str:
    return value.decode("utf-8", "backslashreplace")
