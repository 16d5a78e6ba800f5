"""Framing of the Redis protocol, sans I/O: bytes in, frames out, in any chunking and without changing a byte.

Source: the Redis serialization protocol specification, RESP2 and RESP3, and the server's limits on requests.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

MAX_ARGUMENTS = 1024 * 1024
MAX_BULK = 512 * 1024 * 1024
MAX_INLINE = 64 * 1024
_SHOWN = 40

_ARRAY = ord("*")
_BULK = ord("$")
_PUSH = ord(">")
_BULK_ERROR = ord("!")
_VERBATIM = ord("=")
_CHUNK = ord(";")
_ATTRIBUTE = ord("|")
_MAP = ord("%")
_SIMPLE = ord("+")
_ERROR = ord("-")
_BOOLEAN = ord("#")
_DOUBLE = ord(",")
_NULL = ord("_")


class ProtocolFault(Exception):
    """Bytes that are not of the protocol. ``offset`` counts the bytes of the stream before them."""

    def __init__(self, offset: int, message: str, data: bytes) -> None:
        """Say where, what and show the bytes."""
        self.offset = offset
        super().__init__(f"{message} at byte {offset}: {data[:_SHOWN]!r}")


class Request(NamedTuple):
    """One command as it came: its bytes and its arguments (none for an empty line)."""

    raw: bytes
    args: tuple[bytes, ...]


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


class _Buffer:
    """Bytes that are not a whole frame yet; ``start`` counts the bytes of the stream before them.

    ``need`` is the length below which another look is useless, so that big frames in small chunks stay linear.
    """

    def __init__(self) -> None:
        self.data = bytearray()
        self.start = 0
        self.need = 1
        self.fault: ProtocolFault | None = None

    def drop(self, count: int) -> None:
        del self.data[:count]
        self.start += count
        self.need = 1


class RequestParser:
    """What a client sends: arrays of bulk strings, and inline commands."""

    def __init__(self) -> None:
        """Begin at byte 0."""
        self._buffer = _Buffer()

    def feed(self, data: bytes) -> list[Request]:
        """Take in more bytes; give the commands that are complete now.

        Raises:
            ProtocolFault: at the first bytes that are no command, once the commands before them were given.

        """
        buffer = self._buffer
        buffer.data += data
        found: list[Request] = []
        position = 0
        while buffer.fault is None and len(buffer.data) - position >= buffer.need:
            try:
                request, after = self._one(position)
            except _Incomplete as more:
                buffer.need = more.need - position
                break
            except ProtocolFault as fault:
                buffer.fault = fault
                break
            found.append(request)
            position, buffer.need = after, 1
        need = buffer.need
        if position:
            buffer.drop(position)
        buffer.need = need
        if buffer.fault is not None and not found:
            raise buffer.fault
        return found

    def _one(self, position: int) -> tuple[Request, int]:
        data = self._buffer.data
        if data[position] != _ARRAY:
            return self._inline(position)
        count, at = self._length(position, MAX_ARGUMENTS)
        args: list[bytes] = []
        for _ in range(max(count, 0)):
            if at >= len(data):
                raise _Incomplete(at + 1)
            if data[at] != _BULK:
                raise ProtocolFault(self._buffer.start + at, "expected '$'", bytes(data[at : at + _SHOWN]))
            length, body = self._length(at, MAX_BULK)
            if length < 0:
                raise ProtocolFault(self._buffer.start + at, "invalid bulk length", bytes(data[at : at + _SHOWN]))
            at = body + length + 2
            if at > len(data):
                raise _Incomplete(at)
            args.append(bytes(data[body : body + length]))
        return Request(bytes(data[position:at]), tuple(args)), at

    def _length(self, position: int, limit: int) -> tuple[int, int]:
        data = self._buffer.data
        end = data.find(b"\n", position)
        if end < 0:
            if len(data) - position > MAX_INLINE:
                raise ProtocolFault(
                    self._buffer.start + position,
                    "too long a length line",
                    bytes(data[position : position + _SHOWN]),
                )
            raise _Incomplete(len(data) + 1)
        try:
            value = int(data[position + 1 : end])
        except ValueError:
            value = limit + 1
        if value > limit:
            raise ProtocolFault(self._buffer.start + position, "invalid length", bytes(data[position:end]))
        return value, end + 1

    def _inline(self, position: int) -> tuple[Request, int]:
        data = self._buffer.data
        end = data.find(b"\n", position)
        if (end if end >= 0 else len(data)) - position > MAX_INLINE:
            raise ProtocolFault(
                self._buffer.start + position,
                "too big inline request",
                bytes(data[position : position + _SHOWN]),
            )
        if end < 0:
            raise _Incomplete(len(data) + 1)
        raw = bytes(data[position : end + 1])
        args = split_inline(raw)
        if args is None:
            raise ProtocolFault(self._buffer.start + position, "unbalanced quotes", raw)
        return Request(raw, args), end + 1


class _Incomplete(Exception):
    def __init__(self, need: int) -> None:
        self.need = need


_ESCAPES = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"a": b"\a"}


def split_inline(line: bytes) -> tuple[bytes, ...] | None:
    """Split an inline command as the server does, with "double" and 'single' quotes; None if unbalanced."""
    args: list[bytes] = []
    at = 0
    while True:
        while at < len(line) and line[at : at + 1].isspace():
            at += 1
        if at == len(line):
            return tuple(args)
        word = bytearray()
        while at < len(line) and not line[at : at + 1].isspace():
            quote = line[at : at + 1]
            if quote not in (b'"', b"'"):
                word += quote
                at += 1
                continue
            closed = _quoted(line, at + 1, quote, word)
            if closed is None or (closed < len(line) and not line[closed : closed + 1].isspace()):
                return None
            at = closed
        args.append(bytes(word))


def _quoted(line: bytes, at: int, quote: bytes, word: bytearray) -> int | None:
    while at < len(line):
        byte = line[at : at + 1]
        following = line[at + 1 : at + 2]
        if byte == quote:
            return at + 1
        if byte == b"\\" and quote == b'"' and following:
            digits = line[at + 2 : at + 4]
            if following == b"x" and len(digits) == 2 and all(digit in b"0123456789abcdefABCDEF" for digit in digits):  # noqa: PLR2004
                word.append(int(digits, 16))
                at += 4
                continue
            word += _ESCAPES.get(following, following)
            at += 2
            continue
        if byte == b"\\" and quote == b"'" and following == b"'":
            word += b"'"
            at += 2
            continue
        word += byte
        at += 1
    return None


class ReplyParser:
    """What a server sends, RESP2 and RESP3."""

    def __init__(self) -> None:
        """Begin at byte 0."""
        self._buffer = _Buffer()

    def feed(self, data: bytes) -> list[Reply]:
        """Take in more bytes; give the replies that are complete now.

        Raises:
            ProtocolFault: at the first bytes that are no reply, once the replies before them were given.

        """
        buffer = self._buffer
        buffer.data += data
        found: list[Reply] = []
        position = 0
        need = buffer.need
        while buffer.fault is None and len(buffer.data) - position >= need:
            try:
                value, after = self._value(position)
                push = buffer.data[position] == _PUSH
            except _Incomplete as more:
                need = more.need - position
                break
            except ProtocolFault as fault:
                buffer.fault = fault
                break
            found.append(Reply(bytes(buffer.data[position:after]), value, push))
            position, need = after, 1
        if position:
            buffer.drop(position)
        buffer.need = need
        if buffer.fault is not None and not found:
            raise buffer.fault
        return found

    def _value(self, at: int) -> tuple[object, int]:
        data = self._buffer.data
        end = data.find(b"\r\n", at)
        if end < 0:
            raise _Incomplete(max(len(data), at) + 1)
        kind, line, body = data[at], bytes(data[at + 1 : end]), end + 2
        try:
            if kind in b"+-:#,(_":
                return _simple(kind, line), body
            if kind in b"$=!":
                return self._bulk(kind, line, body)
            if kind in b"*~>%|":
                return self._aggregate(kind, line, body)
        except ValueError:
            pass
        raise ProtocolFault(self._buffer.start + at, "not a reply", bytes(data[at : at + _SHOWN]))

    def _bulk(self, kind: int, line: bytes, body: int) -> tuple[object, int]:
        data = self._buffer.data
        if line == b"?":
            return self._streamed(body)
        length = int(line)
        if length < 0:
            return None, body
        after = body + length + 2
        if after > len(data):
            raise _Incomplete(after)
        value = bytes(data[body : body + length])
        if kind == _BULK_ERROR:
            return _error(value), after
        return value[4:] if kind == _VERBATIM else value, after

    def _streamed(self, at: int) -> tuple[object, int]:
        parts = bytearray()
        while True:
            end = self._buffer.data.find(b"\r\n", at)
            if end < 0:
                raise _Incomplete(max(len(self._buffer.data), at) + 1)
            if self._buffer.data[at] != _CHUNK:
                raise ValueError
            length = int(self._buffer.data[at + 1 : end])
            at = end + 2
            if length == 0:
                return bytes(parts), at
            if at + length + 2 > len(self._buffer.data):
                raise _Incomplete(at + length + 2)
            parts += self._buffer.data[at : at + length]
            at += length + 2

    def _aggregate(self, kind: int, line: bytes, at: int) -> tuple[object, int]:
        data = self._buffer.data
        endless = line == b"?"
        count = -1 if endless else int(line)
        if count < 0 and not endless:
            return None, at
        if kind in b"%|":
            count *= 2
        items: list[object] = []
        while endless or len(items) < count:
            if at >= len(data):
                raise _Incomplete(at + 1)
            if endless and data[at : at + 3] == b".\r\n":
                at += 3
                break
            item, at = self._value(at)
            items.append(item)
        if kind == _ATTRIBUTE:  # attributes belong to the reply that follows
            return self._value(at)
        if kind == _MAP:
            return tuple(zip(items[::2], items[1::2], strict=True)), at
        return items, at


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
