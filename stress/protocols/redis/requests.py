"""Framing of what a Redis client sends, sans I/O: bytes in, frames out, in any chunking and without changing a byte.

Source: the Redis serialization protocol specification, and the server's own limits on requests. What the server sends
is framed in `stress.protocols.redis.replies`.
"""

from __future__ import annotations

from typing import NamedTuple

from stress.protocols.fault import SPEAKS_TLS, TLS_HELLO, ProtocolFault

MAX_ARGUMENTS = 1024 * 1024
MAX_BULK = 512 * 1024 * 1024
MAX_INLINE = 64 * 1024
_SHOWN = 40

_ARRAY, _BULK = b"*$"
_LENGTHS = {b"%d" % length: length for length in range(4096)}
_COUNTS = {b"*%d" % count: count for count in range(1, 256)}
_BULK_LINES = {length: b"$%d" % length for length in range(4096)}
"""The lengths that most frames are made of, as they are written."""


class Request(NamedTuple):
    """One command as it came: its bytes and its arguments (none for an empty line)."""

    raw: bytes
    args: tuple[bytes, ...]


class RequestParser:
    """What a client sends: arrays of bulk strings, and inline commands.

    A frame that is not whole yet is remembered with its arguments so far, so that big frames in small chunks stay
    linear. ``partial`` is the number of its bytes.
    """

    def __init__(self) -> None:
        """Begin at byte 0."""
        self._rest = bytearray()
        self._begun = 0
        self._need = 1
        self._args: list[bytes] | None = None
        self._count = 0
        self._at = 0
        self._fault: ProtocolFault | None = None

    @property
    def partial(self) -> int:
        """How many bytes are kept because their frame is not whole yet."""
        return len(self._rest)

    def feed(self, data: bytes) -> list[Request]:
        """Take in more bytes; give the commands that are complete now.

        Raises:
            ProtocolFault: at the first bytes that are no command, once the commands before them were given.

        """
        if self._fault is not None:
            raise self._fault
        source: bytes | bytearray = data
        if self._rest:
            self._rest += data
            source = self._rest
            if len(source) < self._need:
                return []
        found: list[Request] = []
        start = 0 if source is self._rest else _quick_requests(data, found)
        try:
            while start < len(source):
                after = self._one(source, start, found)
                if not after:
                    break
                start = after
        except ProtocolFault as fault:
            self._fault = fault
            if not found:
                raise
        self._begun += start
        if source is self._rest:
            del self._rest[:start]
        elif start < len(data):
            self._rest += data[start:]
        return found

    def _one(self, source: bytes | bytearray, start: int, found: list[Request]) -> int:
        """Add the frame that begins at ``start`` to ``found`` and give where it ends, or 0 if it is not whole."""
        if self._args is None:
            if source[start] != _ARRAY:
                return self._inline(source, start, found)
            read = self._length(source, start, start, MAX_ARGUMENTS)
            if read is None:
                return 0
            self._args, self._count, self._at = [], read[0], read[1] - start
        args, at = self._args, start + self._at
        while len(args) < self._count:
            after = self._argument(source, start, at, args)
            if not after:
                self._at = at - start
                return 0
            at = after
        found.append(Request(bytes(source[start:at]), tuple(args)))
        self._args = None
        return at

    def _argument(self, source: bytes | bytearray, start: int, at: int, args: list[bytes]) -> int:
        if at >= len(source):
            self._need = at + 1 - start
            return 0
        if source[at] != _BULK:
            raise self._wrong("expected '$'", source, at)
        read = self._length(source, start, at, MAX_BULK)
        if read is None:
            return 0
        length, body = read
        if length < 0:
            raise self._wrong("invalid bulk length", source, at)
        after = body + length + 2
        if after > len(source):
            self._need = after - start
            return 0
        args.append(bytes(source[body : body + length]))
        return after

    def _wrong(self, message: str, source: bytes | bytearray, at: int) -> ProtocolFault:
        return ProtocolFault(self._begun + at, message, bytes(source[at : at + _SHOWN]))

    def _length(self, source: bytes | bytearray, start: int, at: int, limit: int) -> tuple[int, int] | None:
        """Read the length line at ``at`` of the frame that begins at ``start``, and where the line ends."""
        end = source.find(b"\n", at)
        if end < 0:
            if len(source) - at > MAX_INLINE:
                raise self._wrong("too long a length line", source, at)
            self._need = len(source) - start + 1
            return None
        line = bytes(source[at + 1 : end - 1])
        value = _LENGTHS.get(line)
        if value is None:
            digits = line.removeprefix(b"-")
            if source[end - 1 : end] != b"\r" or not digits.isdigit() or int(line) > limit:
                raise self._wrong("invalid length", source, at)
            value = int(line)
        return value, end + 1

    def _inline(self, source: bytes | bytearray, start: int, found: list[Request]) -> int:
        if source[start] == TLS_HELLO and not self._begun and not start:
            raise self._wrong(SPEAKS_TLS, source, start)
        end = source.find(b"\n", start)
        if (end if end >= 0 else len(source)) - start > MAX_INLINE:
            raise self._wrong("too big inline request", source, start)
        if end < 0:
            self._need = len(source) - start + 1
            return 0
        raw = bytes(source[start : end + 1])
        args = split_inline(raw)
        if args is None:
            raise self._wrong("unbalanced quotes", source, start)
        found.append(Request(raw, args))
        return end + 1


def _quick_requests(data: bytes, found: list[Request]) -> int:
    """Add the plain commands at the beginning of ``data``, those without a line break in an argument; where they end.

    This is what nearly all traffic is made of, and splitting it at line breaks is several times faster.
    """
    parts = data.split(b"\r\n")
    start, at, last = 0, 0, len(parts) - 1
    while at < last:
        count = _COUNTS.get(parts[at])
        if count is None:
            break
        after = at + 1 + 2 * count
        if after > last:
            break
        args, lines = parts[at + 2 : after : 2], parts[at + 1 : after : 2]
        if list(map(_BULK_LINES.get, map(len, args))) != lines:
            break
        size = len(parts[at]) + sum(map(len, lines)) + sum(map(len, args)) + 4 * count + 2
        found.append(Request(data[start : start + size], tuple(args)))
        start += size
        at = after
    return start


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
