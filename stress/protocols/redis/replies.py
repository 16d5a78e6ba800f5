"""Framing of what a Redis server sends, RESP2 and RESP3, sans I/O: bytes in, replies out, without changing a byte.

Source: the Redis serialization protocol specification.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from stress.protocols.fault import ProtocolFault

_ARRAY, _BULK, _PUSH, _ATTRIBUTE, _MAP = b"*$>|%"
_SIMPLE, _ERROR, _BOOLEAN, _DOUBLE, _NULL, _NUMBER, _BIG = b"+-#,_:("
_BULK_ERROR, _VERBATIM, _CHUNK, _END = b"!=;."
_LINES = frozenset(b"+-#,_:(")
_BULKS = frozenset(b"$!=")
_AGGREGATES = frozenset(b"*~>%|")
_LENGTHS = {b"%d" % length: length for length in range(4096)}
"""The lengths that most bulk strings have, as they are written."""
_NIL = frozenset([b"$-1\r\n", b"*-1\r\n", b"_\r\n"])
_SHOWN = 40

_MORE = object()
"""Stands for the value of what has begun but not ended."""


@dataclass(frozen=True, slots=True)
class ReplyError:
    """An error reply: its first word and the rest."""

    code: str
    message: str

    def __str__(self) -> str:
        """Give it as the server wrote it."""
        return f"{self.code} {self.message}".rstrip()


class Reply(NamedTuple):
    """One reply as it came: its bytes, its value, and whether the server pushed it unasked."""

    raw: bytes
    value: object
    push: bool


def _plain(source: bytes | bytearray, at: int, limit: int, values: list[object]) -> tuple[int, list[int]]:
    """Add up to ``limit`` plain values (strings, numbers) that stand whole at ``at``; give where they and each end."""
    ends: list[int] = []
    while len(ends) < limit:
        end = source.find(b"\r\n", at)
        if end < 0:
            break
        kind, line = source[at], bytes(source[at + 1 : end])
        if kind == _BULK:
            length = _LENGTHS.get(line)
            if length is None:
                break
            body, end = end + 2, end + 2 + length
            if source[end : end + 2] != b"\r\n":
                break
            values.append(bytes(source[body:end]))
        elif kind == _NUMBER and line.isdigit():
            values.append(int(line))
        elif kind == _SIMPLE:
            values.append(line)
        else:
            break
        at = end + 2
        ends.append(at)
    return at, ends


def _single(data: bytes) -> object:
    """Give the value of what is exactly one plain reply, as most of what arrives is; `_MORE` for anything else."""
    end = data.find(b"\r\n")
    if end < 0:
        return _MORE
    kind, line = data[0], data[1:end]
    if end == len(data) - 2:
        if kind == _SIMPLE:
            return line
        if kind == _NUMBER and line.isdigit():
            return int(line)
        return None if data in _NIL else _MORE
    if kind != _BULK:
        return _MORE
    length = _LENGTHS.get(line)
    whole = length is not None and len(data) == end + 4 + length and data.endswith(b"\r\n")
    return data[end + 2 : -2] if whole else _MORE


class _Open:
    """An aggregate that is being read: its kind, its items so far, and how many it will have (-1: until a ``.``)."""

    __slots__ = ("count", "items", "kind")

    def __init__(self, kind: int, count: int) -> None:
        self.kind, self.count = kind, count
        self.items: list[object] = []


class ReplyParser:
    """What a server sends, RESP2 and RESP3. Like `RequestParser` it goes on where it was when bytes were missing."""

    def __init__(self) -> None:
        """Begin at byte 0."""
        self._rest = bytearray()
        self._begun = 0
        self._need = 1
        self._at = 0
        self._open: list[_Open] = []
        self._fault: ProtocolFault | None = None

    @property
    def partial(self) -> int:
        """How many bytes are kept because their frame is not whole yet."""
        return len(self._rest)

    def feed(self, data: bytes) -> list[Reply]:
        """Take in more bytes; give the replies that are complete now.

        Raises:
            ProtocolFault: at the first bytes that are no reply, once the replies before them were given.

        """
        if self._fault is not None:
            raise self._fault
        source: bytes | bytearray = data
        if self._rest:
            self._rest += data
            source = self._rest
            if len(source) < self._need:
                return []
        elif (value := _single(data)) is not _MORE:
            return [Reply(data, value, push=False)]
        found: list[Reply] = []
        start = 0
        try:
            start = self._all(source, found)
        except ProtocolFault as fault:
            self._fault = fault
            if not found:
                raise
            start = sum(len(reply.raw) for reply in found)
        self._begun += start
        self._at -= start
        self._need -= start
        if source is self._rest:
            del self._rest[:start]
        elif start < len(data):
            self._rest += data[start:]
        return found

    def _all(self, source: bytes | bytearray, found: list[Reply]) -> int:
        """Add every whole reply to ``found`` and give where the last of them ends."""
        start, size = 0, len(source)
        at = self._at if source is self._rest else 0
        push = bool(self._open) and source[0] == _PUSH
        while at < size:
            if at == start:
                start = at = self._whole(source, at, found)
            elif self._open and self._open[-1].kind != _CHUNK:
                at = self._fill(source, at)
            end = source.find(b"\r\n", at)
            if end < 0:
                self._need = size + 1
                break
            kind = source[at]
            if not self._open:
                push = kind == _PUSH
            try:
                value, after = self._element(source, kind, bytes(source[at + 1 : end]), end + 2)
            except ValueError:
                raise ProtocolFault(self._begun + at, "not a reply", bytes(source[at : at + _SHOWN])) from None
            if after > size:
                self._need = after
                break
            at = after
            while value is not _MORE:
                if not self._open:
                    found.append(Reply(bytes(source[start:at]), value, push))
                    start = at
                    break
                value = self._add(value)
        self._at = at
        return start

    def _whole(self, source: bytes | bytearray, at: int, found: list[Reply]) -> int:
        """Add the plain replies that come next; give where they end."""
        values: list[object] = []
        after, ends = _plain(source, at, len(source), values)
        for value, end in zip(values, ends, strict=True):
            found.append(Reply(bytes(source[at:end]), value, push=False))
            at = end
        return after

    def _fill(self, source: bytes | bytearray, at: int) -> int:
        """Add the plain values that come next to the open aggregate, all but its last; give where they end."""
        outer = self._open[-1]
        room = outer.count - len(outer.items) - 1 if outer.count > 0 else len(source)
        return _plain(source, at, room, outer.items)[0]

    def _element(self, source: bytes | bytearray, kind: int, line: bytes, body: int) -> tuple[object, int]:
        """Read what begins with a line; give its value and where it ends (perhaps later than the bytes at hand)."""
        outer = self._open[-1] if self._open else None
        if outer is not None and outer.kind == _CHUNK:
            if kind != _CHUNK:
                raise ValueError
            return (_ENDED, body) if line == b"0" else _bulk(source, _BULK, line, body)
        if kind in _LINES:
            return _simple(kind, line), body
        if kind in _AGGREGATES:
            return self._aggregate(kind, line), body
        if kind in _BULKS and line != b"?":
            return _bulk(source, kind, line, body)
        if kind == _BULK:
            self._open.append(_Open(_CHUNK, -1))
            return _MORE, body
        if kind == _END and not line and outer is not None and outer.count < 0:
            return _ENDED, body
        raise ValueError

    def _aggregate(self, kind: int, line: bytes) -> object:
        count = -1 if line == b"?" else int(line)
        if count < 0 and line != b"?":
            if line != b"-1" or kind != _ARRAY:
                raise ValueError
            return None
        if kind in (_MAP, _ATTRIBUTE):
            count *= 2 if count > 0 else 1
        self._open.append(_Open(kind, count))
        return _MORE if count else _ENDED

    def _add(self, value: object) -> object:
        """Put a value into the aggregate that it belongs to; give the aggregate's value if that ends it."""
        outer = self._open[-1]
        if value is not _ENDED:
            outer.items.append(value)
            if len(outer.items) != outer.count:
                return _MORE
        self._open.pop()
        if outer.kind == _CHUNK:
            return b"".join(item for item in outer.items if isinstance(item, bytes))
        if outer.kind == _ATTRIBUTE:  # attributes belong to the reply that follows
            return _MORE
        if outer.kind == _MAP:
            return tuple(zip(outer.items[::2], outer.items[1::2], strict=True))
        return outer.items


_ENDED = object()
"""Ends the aggregate that is being read."""


def _bulk(source: bytes | bytearray, kind: int, line: bytes, body: int) -> tuple[object, int]:
    length = int(line)
    if length < 0:
        if line != b"-1" or kind != _BULK:
            raise ValueError
        return None, body
    end = body + length
    if end + 2 <= len(source) and source[end : end + 2] != b"\r\n":
        raise ValueError
    if kind == _BULK_ERROR:
        return _error(bytes(source[body:end])), end + 2
    return bytes(source[body + 4 if kind == _VERBATIM else body : end]), end + 2


def _simple(kind: int, line: bytes) -> object:
    if kind == _SIMPLE:
        return line
    if kind == _ERROR:
        return _error(line)
    if kind == _BOOLEAN:
        return line == b"t"
    if kind == _DOUBLE:
        return math.nan if line == b"nan" else float(line)
    return None if kind == _NULL else int(line)


def _error(line: bytes) -> ReplyError:
    code, _, message = line.decode("utf-8", "replace").partition(" ")
    return ReplyError(code, message)
