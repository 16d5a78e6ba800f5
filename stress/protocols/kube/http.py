"""Framing of HTTP/1.1, sans I/O: bytes in, frames out, in any chunking and without changing a byte.

Source: RFC 9112, sections 2 to 7 and 9. A request is one frame. A reply is given piece by piece, as a watch never ends:
its head, its chunks as they were cut (or whatever came of a body that has no chunks), and its end. What is read
differently by different servers (a body with two lengths, folded headers) is a fault and not a guess.
"""

from __future__ import annotations

import re
from collections import deque
from typing import NamedTuple

from stress.protocols.fault import SPEAKS_TLS, TLS_HELLO, ProtocolFault

MAX_HEAD = 256 * 1024
MAX_BODY = 64 * 1024 * 1024
"""Bytes of a request's body, and of one chunk of a reply; an API server refuses more than 3 MB itself."""
_MAX_LINE = 16 * 1024
_SHOWN = 40
_OK, _NO_CONTENT, _NOT_MODIFIED, _SWITCHING = 200, 204, 304, 101

_REQUEST_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([^\x00-\x20\x7f]+) HTTP/1\.([01])")
_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) (\d{3})(?: [^\r\n]*)?")
_HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n\x00]*?)[ \t]*")
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]*)?")
_LENGTH = re.compile(rb"\d{1,15}")

Headers = tuple[tuple[bytes, bytes], ...]
"""Names in small letters, and values, in their order."""


class Request(NamedTuple):
    """One request: its bytes as they came, what its head says, and its body without the framing of chunks."""

    raw: bytes
    method: str
    target: str
    headers: Headers
    body: bytes


class Head(NamedTuple):
    """The head of a reply. An ``interim`` one (status 1xx) is followed by another head."""

    raw: bytes
    status: int
    headers: Headers
    interim: bool


class Data(NamedTuple):
    """A piece of a reply's body: its bytes as they came, and what they carry. With chunks, one whole chunk."""

    raw: bytes
    payload: bytes


class End(NamedTuple):
    """The end of a reply: the bytes that say so (last chunk and trailers), and whether the connection ends too."""

    raw: bytes
    close: bool


Part = Head | Data | End


def header(headers: Headers, name: bytes) -> bytes:
    """Give the value of a header, its values joined by commas; empty where there is none. ``name`` in small letters."""
    return b", ".join([value for key, value in headers if key == name])


def with_headers(request: Request, extra: Headers) -> bytes:
    """Give a request's bytes with headers added that it does not have; without any, the same bytes."""
    missing = [(name, value) for name, value in extra if not header(request.headers, name)]
    if not missing:
        return request.raw
    begin = len(request.raw) - len(request.raw.lstrip(b"\r\n"))
    after = request.raw.index(b"\r\n", begin) + 2
    lines = b"".join([b"%b: %b\r\n" % (name.title(), value) for name, value in missing])
    return request.raw[:after] + lines + request.raw[after:]


class RequestParser:
    """What a client sends. What is not whole yet is kept, and looked at once, so that small pieces stay linear."""

    def __init__(self) -> None:
        """Begin at byte 0."""
        self._rest = bytearray()
        self._begun = 0
        self._looked = 0
        self._head: tuple[str, str, Headers] | None = None
        self._need = 0
        self._chunked = False
        self._payload: list[bytes] = []
        self._size = 0
        self._fault: ProtocolFault | None = None

    @property
    def partial(self) -> int:
        """How many bytes are kept because their request is not whole yet."""
        return len(self._rest)

    @property
    def asks_to_go_on(self) -> bool:
        """Whether a client waits to be asked for the body (``Expect: 100-continue``)."""
        return self._head is not None and header(self._head[2], b"expect").lower() == b"100-continue"

    def feed(self, data: bytes) -> list[Request]:
        """Take in more bytes; give the requests that are complete now.

        Raises:
            ProtocolFault: at the first bytes that are no request, once the requests before them were given.

        """
        if self._fault is not None:
            raise self._fault
        self._rest += data
        found: list[Request] = []
        try:
            while (request := self._take()) is not None:
                found.append(request)
        except ProtocolFault as fault:
            self._fault = fault
            if not found:
                raise
        return found

    def _take(self) -> Request | None:
        if self._head is None and not self._begin():
            return None
        assert self._head is not None  # noqa: S101 - it was just read
        if not (self._cut_chunks() if self._chunked else len(self._rest) >= self._need):
            return None
        raw = bytes(self._rest[: self._need])
        body = b"".join(self._payload) if self._chunked else raw[self._looked :]
        request = Request(raw, *self._head, body)
        del self._rest[: self._need]
        self._begun += self._need
        self._head, self._looked, self._payload, self._size = None, 0, [], 0
        return request

    def _begin(self) -> bool:
        """Read a head if it is whole."""
        rest = self._rest
        begin = len(rest) - len(rest.lstrip(b"\r\n"))
        line_end = rest.find(b"\r\n", begin)
        if line_end < 0:
            self._foreign(rest[begin : begin + 1])
        else:
            self._line(bytes(rest[begin:line_end]))
        end = rest.find(b"\r\n\r\n", max(self._looked - 3, begin))
        if end < 0:
            self._looked = len(rest)
            if len(rest) > MAX_HEAD:
                raise _wrong(self._begun, f"a head longer than {MAX_HEAD} bytes", rest)
            return False
        method, target, minor = self._line(bytes(rest[begin:line_end]))
        headers = _headers(bytes(rest[line_end + 2 : end + 2]), self._begun)
        self._chunked, length = _length(headers, self._begun, minor)
        if length is not None and length > MAX_BODY:
            raise _wrong(self._begun, f"a body longer than {MAX_BODY} bytes", rest)
        self._head = (method.decode("ascii"), target.decode("latin-1"), headers)
        self._looked = end + 4
        self._need = end + 4 + (length or 0)
        return True

    def _line(self, line: bytes) -> tuple[bytes, bytes, int]:
        read = _REQUEST_LINE.fullmatch(line)
        if read is None:
            if line == b"PRI * HTTP/2.0":
                message = "HTTP/2 on a port that speaks HTTP/1.1 (turn HTTP/2 off in the Gateway's client)"
                raise _wrong(self._begun, message, line)
            self._foreign(line)
            raise _wrong(self._begun, "no request line of HTTP/1.1", line)
        return read[1], read[2], int(read[3])

    def _foreign(self, first: bytes | bytearray) -> None:
        if first and first[0] == TLS_HELLO:
            message = f"{SPEAKS_TLS} (write http:// where the Gateway is given the server)"
            raise _wrong(self._begun, message, first)

    def _cut_chunks(self) -> bool:
        """Go over the chunks that are whole; tell whether the last one is among them."""
        while True:
            found = _chunk(self._rest, self._need, self._begun)
            if found is None:
                return False
            begin, end, after = found
            self._need = after
            if begin == end:
                return True
            self._size += end - begin
            if self._size > MAX_BODY:
                raise _wrong(self._begun, f"a body longer than {MAX_BODY} bytes", self._rest[begin:])
            self._payload.append(bytes(self._rest[begin:end]))


class ResponseParser:
    """What a server replies. It must be given each request before its reply comes: the length depends on the method."""

    def __init__(self) -> None:
        """Begin at byte 0, with nothing asked."""
        self._rest = bytearray()
        self._begun = 0
        self._methods: deque[str] = deque()
        self._inside = False
        self._chunked = False
        self._left: int | None = 0
        self._close = False
        self._fault: ProtocolFault | None = None

    def expect(self, method: str) -> None:
        """Note that a request of this method was sent."""
        self._methods.append(method)

    def feed(self, data: bytes) -> list[Part]:
        """Take in more bytes; give the parts that are complete now.

        Raises:
            ProtocolFault: at the first bytes that are no reply, once the parts before them were given.

        """
        if self._fault is not None:
            raise self._fault
        self._rest += data
        found: list[Part] = []
        try:
            while self._take(found):
                pass
        except ProtocolFault as fault:
            self._fault = fault
            if not found:
                raise
        return found

    def eof(self) -> list[Part]:
        """Take in that the server hung up; give the end of a reply that ends so.

        Raises:
            ProtocolFault: in the middle of a reply.

        """
        if self._inside and not self._chunked and self._left is None:
            self._inside = False
            return [End(b"", close=True)]
        if self._inside or self._rest:
            raise _wrong(self._begun, "the connection ended inside a reply", self._rest)
        return []

    def _take(self, found: list[Part]) -> bool:
        """Add the next part to ``found``; tell whether there may be more."""
        if not self._inside:
            return self._head(found)
        if self._chunked:
            chunk = _chunk(self._rest, 0, self._begun)
            if chunk is None:
                return False
            begin, end, after = chunk
            payload = bytes(self._rest[begin:end])
            raw = self._cut(after)
            found.append(Data(raw, payload) if payload else self._end(raw))
            return True
        if self._left == 0:
            found.append(self._end(b""))
            return True
        raw = self._cut(len(self._rest) if self._left is None else min(self._left, len(self._rest)))
        if raw:
            self._left = None if self._left is None else self._left - len(raw)
            found.append(Data(raw, raw))
        return bool(raw)

    def _head(self, found: list[Part]) -> bool:
        end = self._rest.find(b"\r\n\r\n")
        if end < 0:
            if len(self._rest) > MAX_HEAD:
                raise _wrong(self._begun, f"a head longer than {MAX_HEAD} bytes", self._rest)
            return False
        line, _, lines = bytes(self._rest[: end + 2]).partition(b"\r\n")
        read = _STATUS_LINE.fullmatch(line)
        if read is None:
            raise _wrong(self._begun, "no status line of HTTP/1.1", line)
        if not self._methods:
            raise _wrong(self._begun, "a reply that nothing asked for", line)
        minor, status = int(read[1]), int(read[2])
        headers = _headers(lines, self._begun)
        if status == _SWITCHING:
            raise _wrong(self._begun, "the server changes to another protocol", line)
        interim = status < _OK
        if not interim:
            self._body(self._methods.popleft(), status, minor, headers)
        found.append(Head(self._cut(end + 4), status, headers, interim))
        return True

    def _body(self, method: str, status: int, minor: int, headers: Headers) -> None:
        """Find how the body ends (RFC 9112, section 6.3)."""
        self._inside = True
        said = header(headers, b"connection").lower()
        self._close = b"close" in said or (not minor and b"keep-alive" not in said)
        if method == "HEAD" or status in (_NO_CONTENT, _NOT_MODIFIED):
            self._chunked, self._left = False, 0
            return
        self._chunked, self._left = _length(headers, self._begun, minor)
        self._close = self._close or (not self._chunked and self._left is None)

    def _cut(self, length: int) -> bytes:
        raw = bytes(self._rest[:length])
        del self._rest[:length]
        self._begun += length
        return raw

    def _end(self, raw: bytes) -> End:
        self._inside = False
        return End(raw, self._close)


def _headers(lines: bytes, offset: int) -> Headers:
    found = []
    for line in lines.split(b"\r\n")[:-1]:
        read = _HEADER.fullmatch(line)
        if read is None:
            raise _wrong(offset, "no header", line)
        found.append((read[1].lower(), read[2]))
    return tuple(found)


def _length(headers: Headers, offset: int, minor: int) -> tuple[bool, int | None]:
    """Tell whether a body has chunks, and else how long it is, if that is said."""
    coding, length = header(headers, b"transfer-encoding"), header(headers, b"content-length")
    if coding:
        if coding.lower() != b"chunked" or length or not minor:
            raise _wrong(offset, "a body whose length can be read in two ways", coding)
        return True, None
    if not length:
        return False, None
    if not _LENGTH.fullmatch(length):
        raise _wrong(offset, "no length of a body", length)
    return False, int(length)


def _chunk(rest: bytearray, at: int, offset: int) -> tuple[int, int, int] | None:
    """Find the chunk that begins at ``at``: where its data begins and ends, and where the next one begins.

    Of the last chunk, which has no data, the trailers are part. None while it is not whole.
    """
    line_end = rest.find(b"\r\n", at, at + _MAX_LINE)
    if line_end < 0:
        if len(rest) - at >= _MAX_LINE:
            raise _wrong(offset + at, "no size of a chunk", rest[at:])
        return None
    read = _SIZE.fullmatch(rest[at:line_end])
    if read is None:
        raise _wrong(offset + at, "no size of a chunk", rest[at:line_end])
    size, begin = int(read[1], 16), line_end + 2
    if size > MAX_BODY:
        raise _wrong(offset + at, f"a chunk longer than {MAX_BODY} bytes", rest[at:line_end])
    if not size:
        return _trailers(rest, line_end, offset)
    if len(rest) < begin + size + 2:
        return None
    if rest[begin + size : begin + size + 2] != b"\r\n":
        raise _wrong(offset + begin + size, "no end of a chunk", rest[begin + size :])
    return begin, begin + size, begin + size + 2


def _trailers(rest: bytearray, line_end: int, offset: int) -> tuple[int, int, int] | None:
    end = rest.find(b"\r\n\r\n", line_end)
    if end < 0:
        if len(rest) - line_end > MAX_HEAD:
            raise _wrong(offset + line_end, f"trailers longer than {MAX_HEAD} bytes", rest[line_end:])
        return None
    _headers(bytes(rest[line_end + 2 : end + 2]), offset + line_end)
    return end + 4, end + 4, end + 4


def _wrong(offset: int, message: str, data: bytes | bytearray) -> ProtocolFault:
    return ProtocolFault(offset, message, bytes(data[:_SHOWN]))
