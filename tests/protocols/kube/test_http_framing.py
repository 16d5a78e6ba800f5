"""Framing of HTTP/1.1."""

from __future__ import annotations

import gzip
from itertools import pairwise

import h11
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kubewire import recorded

from stress.protocols.fault import ProtocolFault
from stress.protocols.kube.http import (
    Data,
    End,
    Head,
    Part,
    Request,
    RequestParser,
    ResponseParser,
    header,
    with_headers,
)

RECORDINGS = ("gateway-2026-01", "gateway-newest")

bodies = st.binary(max_size=40) | st.sampled_from(
    [b"0\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", gzip.compress(b"x", mtime=0)]
)
chunks = st.lists(st.binary(min_size=1, max_size=30), max_size=4)
statuses = st.sampled_from([200, 201, 204, 304, 404, 409, 503])


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    """Cut bytes at some places."""
    places = sorted({cut % (len(data) + 1) for cut in cuts} | {0, len(data)})
    return [data[begin:end] for begin, end in pairwise(places)]


def in_chunks(parts: list[bytes], trailer: bytes = b"") -> bytes:
    """Write a body as chunks."""
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n" + trailer + b"\r\n"


def requests(data: bytes, cuts: list[int]) -> list[Request]:
    """Frame what a client sends in pieces."""
    parser = RequestParser()
    found = [request for piece in pieces(data, cuts) for request in parser.feed(piece)]
    assert parser.partial == 0
    return found


def replies(data: bytes, methods: list[str], cuts: list[int], *, eof: bool = False) -> list[Part]:
    """Frame what a server replies in pieces; pieces of a body without chunks are joined."""
    parser = ResponseParser()
    for method in methods:
        parser.expect(method)
    found: list[Part] = []
    for part in [part for piece in pieces(data, cuts) for part in parser.feed(piece)] + (parser.eof() if eof else []):
        last = found[-1] if found else None
        if isinstance(part, Data) and isinstance(last, Data) and last.raw == last.payload and part.raw == part.payload:
            found[-1] = Data(last.raw + part.raw, last.payload + part.payload)
        else:
            found.append(part)
    return found


def seen_by_h11(data: bytes, methods: list[str]) -> list[tuple[int, bytes]]:
    """Give statuses and bodies as h11 reads them."""
    found = []
    client: h11.Connection | None = None
    for method in methods:
        rest = data if client is None else client.trailing_data[0]
        client = h11.Connection(h11.CLIENT)
        client.send(h11.Request(method=method, target="/", headers=[("Host", "x")]))
        client.send(h11.EndOfMessage())
        client.receive_data(rest)
        status, body = 0, b""
        while not isinstance(event := client.next_event(), h11.EndOfMessage):
            assert event not in (h11.NEED_DATA, h11.PAUSED)
            if isinstance(event, h11.Response):
                status = event.status_code
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
        found.append((status, body))
    return found


@st.composite
def asked(draw: st.DrawFn) -> tuple[bytes, str, bytes]:
    """Draw a request: its bytes, its method and its body."""
    method = draw(st.sampled_from(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]))
    head = b"%b /apis/kubernaut.ai/v1?a=%%3D HTTP/1.1\r\nHost: 127.0.0.1\r\n" % method.encode()
    form = draw(st.sampled_from(["none", "length", "chunks"]))
    if form == "none":
        return head + b"\r\n", method, b""
    if form == "length":
        body = draw(bodies)
        return head + b"content-LENGTH: \t%d \r\n\r\n%b" % (len(body), body), method, body
    parts = draw(chunks)
    trailer = draw(st.sampled_from([b"", b"Etag: x\r\n"]))
    return head + b"Transfer-Encoding: Chunked\r\n\r\n" + in_chunks(parts, trailer), method, b"".join(parts)


@st.composite
def replied(draw: st.DrawFn) -> tuple[bytes, str, int, bytes]:
    """Draw a reply: its bytes, the method of its request, its status and its body."""
    method = draw(st.sampled_from(["GET", "HEAD", "POST"]))
    status = draw(statuses)
    early = b"HTTP/1.1 100 Continue\r\n\r\n" if draw(st.booleans()) else b""
    head = early + b"HTTP/1.1 %d Some Thing\r\nServer: x\r\n" % status
    if draw(st.booleans()):
        parts = draw(chunks)
        head, body, written = head + b"Transfer-Encoding: chunked\r\n\r\n", b"".join(parts), in_chunks(parts)
    else:
        body = written = draw(bodies)
        head += b"Content-Length: %d\r\n\r\n" % len(body)
    if method == "HEAD" or status in (204, 304):
        body = written = b""
    return head + written, method, status, body


@pytest.mark.unmeasured
@given(st.lists(asked(), max_size=4), st.lists(st.integers(0, 10_000), max_size=12))
def test_requests_are_the_same_in_any_chunking(sent: list[tuple[bytes, str, bytes]], cuts: list[int]) -> None:
    """Requests cut anywhere come out with their own bytes, method and body, one by one."""
    found = requests(b"".join(raw for raw, _, _ in sent), cuts)
    assert [(one.raw, one.method, one.body) for one in found] == sent
    assert {one.target for one in found} <= {"/apis/kubernaut.ai/v1?a=%3D"}


@pytest.mark.unmeasured
@given(st.lists(replied(), max_size=4), st.lists(st.integers(0, 10_000), max_size=12))
def test_replies_are_the_same_in_any_chunking(sent: list[tuple[bytes, str, int, bytes]], cuts: list[int]) -> None:
    """Replies cut anywhere give the same parts, whose bytes are the bytes that came and whose bodies h11 reads too."""
    data = b"".join(raw for raw, _, _, _ in sent)
    methods = [method for _, method, _, _ in sent]
    parts = replies(data, methods, cuts)
    assert parts == replies(data, methods, [])
    assert b"".join(part.raw for part in parts) == data
    reported: list[tuple[int, bytes]] = []
    for part in parts:
        if isinstance(part, Head) and not part.interim:
            reported.append((part.status, b""))
        elif isinstance(part, Data):
            reported[-1] = (reported[-1][0], reported[-1][1] + part.payload)
    assert reported == [(status, body) for _, _, status, body in sent] == seen_by_h11(data, methods)
    assert sum(isinstance(part, End) for part in parts) == len(sent)


@pytest.mark.unmeasured
@pytest.mark.parametrize("name", RECORDINGS)
@settings(max_examples=15, deadline=None)
@given(st.randoms(use_true_random=False))
def test_recordings_pass_in_any_chunking(name: str, random: object) -> None:
    """What unmodified Gateways and a real API server said comes out byte by byte, however it is cut."""
    for sent, answered in recorded(name).values():
        cuts = [random.randrange(2**30) for _ in range(random.choice([0, 3, 60]))]  # type: ignore[attr-defined]
        asked_for = requests(sent, cuts)
        assert b"".join(request.raw for request in asked_for) == sent
        parts = replies(answered, [request.method for request in asked_for], cuts)
        assert b"".join(part.raw for part in parts) == answered


@pytest.mark.unmeasured
def test_recordings_byte_by_byte() -> None:
    """A recorded connection that is fed one byte at a time gives the frames that it gives as a whole."""
    sent, answered = recorded("gateway-2026-01")[3]
    methods = [request.method for request in requests(sent, [])]
    assert methods == ["GET", "GET", "POST", "PUT", "PUT", "PUT", "PUT"]
    assert requests(sent, list(range(len(sent)))) == requests(sent, [])
    parts = replies(answered, methods, [])
    assert replies(answered, methods, list(range(len(answered)))) == parts
    assert [part.status for part in parts if isinstance(part, Head)] == [200, 200, 201, 200, 200, 409, 200]


def test_watch_chunks_come_one_by_one() -> None:
    """A reply without end gives each chunk when it is whole, as it was cut."""
    parser = ResponseParser()
    parser.expect("GET")
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    (begun,) = parser.feed(head)
    assert isinstance(begun, Head)
    assert parser.feed(b"4;x=y\r\nab") == []
    assert parser.feed(b"cd\r\n2\r") == [Data(b"4;x=y\r\nabcd\r\n", b"abcd")]
    assert parser.feed(b"\nef\r\n0\r\n\r\n") == [Data(b"2\r\nef\r\n", b"ef"), End(b"0\r\n\r\n", close=False)]


def test_body_until_the_end_of_the_connection() -> None:
    """A reply that names no length ends with the connection, and says that it does."""
    parts = replies(b"HTTP/1.0 200 OK\r\n\r\nabc", ["GET"], [21], eof=True)
    assert parts[1:] == [Data(b"abc", b"abc"), End(b"", close=True)]


@pytest.mark.parametrize(("said", "close"), [(b"close", True), (b"keep-alive", False)])
def test_reply_says_whether_the_connection_ends(said: bytes, close: bool) -> None:  # noqa: FBT001 - a parameter
    """The end of a reply tells whether the server closes the connection."""
    parts = replies(b"HTTP/1.1 204 No Content\r\nConnection: %b\r\n\r\n" % said, ["GET"], [])
    assert parts[-1] == End(b"", close=close)


def test_connection_that_ends_inside_a_reply() -> None:
    """A reply that is cut off is a fault."""
    with pytest.raises(ProtocolFault, match="the connection ended inside a reply at byte 38"):
        replies(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab"[:38] + b"", ["GET"], [], eof=True)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP/2 on a port that speaks HTTP/1.1"),
        (b"\x16\x03\x01", "TLS on a plain port"),
        (b"hello\r\n", "no request line of HTTP/1.1"),
        (b"GET / HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n", "no header"),
        (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", "no length of a body"),
        (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", "no length of a body"),
        (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "in two ways"),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "in two ways"),
        (b"POST / HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n", "a body longer than 67108864 bytes"),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", "no size of a chunk"),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc", "no end of a chunk"),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nfffffffff\r\n", "a chunk longer than"),
        (b"GET / HTTP/1.1\r\nx: " + b"a" * 262144, "a head longer than 262144 bytes"),
    ],
)
def test_what_is_no_request_is_a_fault(data: bytes, message: str) -> None:
    """Bytes that are no request of HTTP/1.1, or could be read in two ways, are told as such, and again each time."""
    parser = RequestParser()
    for _ in range(2):
        with pytest.raises(ProtocolFault, match=message):
            parser.feed(data)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"+OK\r\n\r\n\r\n", "no status line of HTTP/1.1"),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", "the server changes to another protocol"),
        (b"HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 408 Too Late\r\n\r\n", "a reply that nothing asked for"),
    ],
)
def test_what_is_no_reply_is_a_fault(data: bytes, message: str) -> None:
    """Bytes that are no reply to what was asked are told as such, after the parts before them."""
    parser = ResponseParser()
    parser.expect("GET")
    with pytest.raises(ProtocolFault, match=message):
        parser.feed(data) and parser.feed(b"")


def test_requests_before_a_fault_are_given() -> None:
    """A request that was whole before bytes that are none is given; the fault comes next."""
    parser = RequestParser()
    (request,) = parser.feed(b"\r\nGET /a HTTP/1.1\r\n\r\n\x00\x01\r\n")
    assert (request.raw, request.target) == (b"\r\nGET /a HTTP/1.1\r\n\r\n", "/a")
    with pytest.raises(ProtocolFault, match=r"no request line of HTTP/1\.1 at byte 21"):
        parser.feed(b"")


def test_client_that_waits_to_go_on() -> None:
    """A client that asks whether to send its body is seen to wait until the body is here."""
    parser = RequestParser()
    parser.feed(b"POST / HTTP/1.1\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\n")
    assert parser.asks_to_go_on
    (request,) = parser.feed(b"x")
    assert (request.body, parser.asks_to_go_on) == (b"x", False)


def test_headers_are_added_where_they_are_missing() -> None:
    """A header is added to a request that has none of that name, and nothing else changes."""
    (plain, known) = requests(b"GET / HTTP/1.1\r\nA: 1\r\n\r\nGET / HTTP/1.1\r\nAuthorization: mine\r\n\r\n", [])
    extra = ((b"authorization", b"Bearer x"),)
    assert with_headers(plain, extra) == b"GET / HTTP/1.1\r\nAuthorization: Bearer x\r\nA: 1\r\n\r\n"
    assert with_headers(known, extra) == known.raw
    assert header(known.headers, b"authorization") == b"mine"
