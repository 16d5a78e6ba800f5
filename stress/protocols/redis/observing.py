"""Where a Redis holds the records that answers name, found by what it held after requests one after another."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from stress.core.values import number
from stress.protocols.looked import Observing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stress.protocols.looked import Content, Looked

_COMMANDS = {
    "set": ("SMEMBERS", ()),
    "list": ("LRANGE", (0, -1)),
    "zset": ("ZRANGE", (0, -1)),
    "hash": ("HKEYS", ()),
}
"""How the members of a value of each type are read."""
_OWN_KEY = re.compile(r"[^*?\[\]\\]*\{(?:fresh|fingerprint)\}[^*?\[\]\\]*")
"""A key that each request has for itself, and that is no pattern of other keys."""
_BY_KEY = "KEYS"
"""The command that reads records which no answer names: the key is the record."""


def observing(looked: Looked) -> Observing | None:
    """Find the records that answers name, and the hits of each.

    Where answers name nothing that the service has made, the key that holds the hits is the record.
    """
    records, hits = next(_records(looked), None), next(_hits(looked), None)
    if records is None and hits is not None and not looked.telling and _OWN_KEY.fullmatch(str(hits[1])):
        records = [_BY_KEY, hits[1]]
    found = {"records": records, "hits": hits if records is not None else None}
    observe: dict[str, object] = {name: {"redis": how} for name, how in found.items() if how is not None}
    return Observing(observe, records is not None and records[0] == _BY_KEY) if observe else None


def _records(looked: Looked) -> Iterator[list[object]]:
    if None in looked.records:
        return
    keys = dict.fromkeys(name[:2] for name in looked.common() if "{record}" not in name[1])
    for kind, key in keys:
        if kind in _COMMANDS and all(
            _members(state, kind, key) == [_record_in(looked, kind, at)]
            for at, made in enumerate(looked.made)
            for state in made
        ):
            command, rest = _COMMANDS[kind]
            yield [command, key, *rest]
    for name in looked.common():
        own = name[0] in ("string", "hash") and "{record}" not in "".join(name) and _OWN_KEY.fullmatch(name[1])
        if own and all(state[name] == looked.records[at] for at, made in enumerate(looked.made) for state in made):
            yield ["GET", name[1]] if name[0] == "string" else ["HGET", name[1], name[2]]


def _record_in(looked: Looked, kind: str, at: int) -> object:
    return looked.records[at] if kind == "list" else looked.alike(at, (str(looked.records[at]),))[0]


def _members(state: Content, kind: str, key: str) -> list[object]:
    """Give the members of a value, as `_record_in` writes the record."""
    return [value if kind == "list" else name[2] for name, value in state.items() if name[:2] == (kind, key)]


def _hits(looked: Looked) -> Iterator[list[object]]:
    for name in looked.common():
        rows = [[number(state[name]) for state in made] for made in looked.made]
        if name[0] in ("string", "hash") and all(row == [*range(1, len(row) + 1)] for row in rows):
            yield ["GET", name[1]] if name[0] == "string" else ["HGET", name[1], name[2]]
    for key in dict.fromkeys(name[1] for name in looked.common() if name[0] == "list"):
        sizes = [[len(_members(state, "list", key)) for state in made] for made in looked.made]
        if "{" in key and all(row == [*range(1, len(row) + 1)] for row in sizes):
            yield ["LRANGE", key, 0, -1]
