"""Framing of the Redis protocol."""

from __future__ import annotations

import re
import sys
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stress.protocols.fault import ProtocolFault
from stress.protocols.redis.replies import ReplyError, ReplyParser
from stress.protocols.redis.requests import RequestParser, split_inline

arguments = st.binary(max_size=20) | st.sampled_from([b"", b"\r\n", b"$3\r\nabc\r\n", b"*1\r\n", b"x" * 5000])
quoted = st.binary(max_size=12).map(
    lambda arg: b'"' + b"".join(b"\\x%02x" % byte if byte in b'"\\\r\n' else bytes([byte]) for byte in arg) + b'"'
)
inline = st.lists(st.from_regex(rb"[a-z0-9]{1,9}", fullmatch=True) | quoted, max_size=4).map(
    lambda words: b" ".join(words) + b"\r\n"
)
"""What a person types: words and quoted words; with no word at all it is an empty line."""
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | arguments
    | st.floats(allow_nan=False)
    | st.builds(ReplyError, st.just("ERR"), st.from_regex(r"[a-z][a-z ]{0,9}[a-z]", fullmatch=True)),
    lambda inner: st.lists(inner, max_size=4) | st.lists(st.tuples(inner, inner), max_size=3).map(tuple),
    max_leaves=12,
)


def encode(args: list[bytes]) -> bytes:
    """Write a command as an array of bulk strings."""
    return b"*%d\r\n" % len(args) + b"".join(b"$%d\r\n%b\r\n" % (len(arg), arg) for arg in args)


def reply(value: object, form: int = 0) -> bytes:  # noqa: PLR0911 - one return a kind of value
    """Write a value as a RESP3 reply; of several forms for the same value, the one of that number."""
    if value is None:
        return (b"_\r\n", b"$-1\r\n", b"*-1\r\n")[form % 3]
    if isinstance(value, bool):
        return b"#t\r\n" if value else b"#f\r\n"
    if isinstance(value, float):
        return b",%b\r\n" % repr(value).encode()
    if isinstance(value, int):
        return (b":%d\r\n", b"(%d\r\n")[form % 2] % value
    if isinstance(value, ReplyError):
        return (b"-%b\r\n" % str(value).encode(), b"!%d\r\n%b\r\n" % (len(str(value)), str(value).encode()))[form % 2]
    if isinstance(value, bytes):
        half = len(value) // 2
        parts = b"".join(b";%d\r\n%b\r\n" % (len(part), part) for part in (value[:half], value[half:]) if part)
        return (
            b"$%d\r\n%b\r\n" % (len(value), value),
            b"=%d\r\ntxt:%b\r\n" % (len(value) + 4, value),
            b"$?\r\n" + parts + b";0\r\n",
            b"|1\r\n+ttl\r\n*1\r\n:9\r\n$%d\r\n%b\r\n" % (len(value), value),
        )[form % 4]
    assert isinstance(value, list | tuple)
    if isinstance(value, tuple):
        return b"%%%d\r\n" % len(value) + b"".join(reply(one, form) for pair in value for one in pair)
    inner = b"".join(reply(one, form) for one in value)
    return (b"*%d\r\n%b" % (len(value), inner), b"~%d\r\n%b" % (len(value), inner), b"*?\r\n%b.\r\n" % inner)[form % 3]


def chunks(data: bytes, cuts: list[int]) -> list[bytes]:
    """Cut bytes at some places."""
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[a:b] for a, b in pairwise(places)]


cuts = st.lists(st.integers(0, 1000), max_size=8)


@pytest.mark.unmeasured
@given(st.lists(st.lists(arguments, min_size=1, max_size=5), max_size=6), cuts)
def test_requests_come_out_whole_under_any_chunking(sent: list[list[bytes]], places: list[int]) -> None:
    """Any commands in any chunks come out as they went in, byte for byte."""
    parser = RequestParser()
    data = b"".join(map(encode, sent))
    found = [request for chunk in chunks(data, places) for request in parser.feed(chunk)]
    assert [list(request.args) for request in found] == sent
    assert b"".join(request.raw for request in found) == data
    assert parser.partial == 0


@pytest.mark.unmeasured
@given(st.lists(inline | st.lists(arguments, max_size=3).map(encode), max_size=6), cuts)
def test_inline_commands_mix_with_arrays_under_any_chunking(sent: list[bytes], places: list[int]) -> None:
    """Typed lines, empty ones and empty arrays between arrays are the same frames in any chunks as alone."""
    parser = RequestParser()
    found = [request for chunk in chunks(b"".join(sent), places) for request in parser.feed(chunk)]
    assert [request.raw for request in found] == sent
    assert found == [request for one in sent for request in RequestParser().feed(one)]


@pytest.mark.unmeasured
@given(st.lists(values, max_size=5), st.integers(0, 11), cuts)
def test_replies_come_out_whole_under_any_chunking(sent: list[object], form: int, places: list[int]) -> None:
    """Any replies in any form and chunks come out with their values, byte for byte."""
    parser = ReplyParser()
    data = b"".join(reply(one, form) for one in sent)
    found = [one for chunk in chunks(data, places) for one in parser.feed(chunk)]
    assert [one.value for one in found] == sent
    assert b"".join(one.raw for one in found) == data
    assert parser.partial == 0


@pytest.mark.unmeasured
@given(st.binary(max_size=60) | st.from_regex(rb"([*$:+;|%>_.-]|-?[0-9?]|\r\n|ab){1,20}", fullmatch=True), cuts)
def test_garbage_is_the_same_in_any_chunking(data: bytes, places: list[int]) -> None:
    """What is no frame is never taken for one because of where it was cut, and no byte before it is lost."""
    for parser_of in (RequestParser, ReplyParser):
        whole, cut = parser_of(), parser_of()
        outcomes = []
        for parser, parts in ((whole, [data]), (cut, chunks(data, places))):
            raw, fault = b"", ""
            try:
                for part in [*parts, b""]:
                    raw += b"".join(one.raw for one in parser.feed(part))
            except ProtocolFault as error:
                fault = str(error).partition(":")[0]
            outcomes.append((raw, fault))
            assert data.startswith(raw)
        assert outcomes[0] == outcomes[1]


def test_big_frames_in_small_chunks_cost_what_they_are_long() -> None:
    """Each element is read once however many chunks it takes: the work for a frame does not depend on the chunks."""
    members = 20_000
    data = b"*%d\r\n" % members + b"$5\r\nhello\r\n" * members
    parser, calls = ReplyParser(), 0

    def count(_: object, event: str, __: object) -> None:
        nonlocal calls
        calls += event == "c_call"

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        found = [one for at in range(0, len(data), 1000) for one in parser.feed(data[at : at + 1000])]
    finally:
        sys.setprofile(before)
    assert [len(one.value) for one in found if isinstance(one.value, list)] == [members]
    assert calls < 10 * members


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b"+OK\r\n", b"OK"),
        (b"-ERR no such key\r\n", ReplyError("ERR", "no such key")),
        (b"$-1\r\n", None),
        (b"*-1\r\n", None),
        (b",1.5\r\n", 1.5),
        (b"(12345678901234567890\r\n", 12345678901234567890),
        (b"!9\r\nERR wrong\r\n", ReplyError("ERR", "wrong")),
        (b"=6\r\ntxt:ab\r\n", b"ab"),
        (b"%1\r\n+a\r\n:1\r\n", ((b"a", 1),)),
        (b"~2\r\n:1\r\n:2\r\n", [1, 2]),
        (b"|1\r\n+ttl\r\n:9\r\n:7\r\n", 7),
        (b"$?\r\n;2\r\nab\r\n;1\r\nc\r\n;0\r\n", b"abc"),
        (b"*?\r\n:1\r\n:2\r\n.\r\n", [1, 2]),
    ],
)
def test_each_kind_of_reply_has_its_value(raw: bytes, value: object) -> None:
    """Each type of RESP2 and RESP3, also in single bytes, has one value and keeps its bytes."""
    parser = ReplyParser()
    found = [one for at in range(len(raw)) for one in parser.feed(raw[at : at + 1])]
    assert [(one.raw, one.value, one.push) for one in found] == [(raw, value, False)]


def test_a_push_is_marked() -> None:
    """A message that the server sends unasked is told from a reply."""
    assert [one.push for one in ReplyParser().feed(b">2\r\n+message\r\n+x\r\n:1\r\n")] == [True, False]


@pytest.mark.parametrize(
    ("line", "args"),
    [
        (b"PING\r\n", (b"PING",)),
        (b"  SET a  b\n", (b"SET", b"a", b"b")),
        (b'SET a "x y\\n\\x41\\""\r\n', (b"SET", b"a", b'x y\nA"')),
        (b"SET a 'it\\'s'\r\n", (b"SET", b"a", b"it's")),
        (b"\r\n", ()),
        (b'SET a "open\r\n', None),
        (b"SET a 'open\r\n", None),
        (b'SET "a"b\r\n', None),
    ],
)
def test_inline_commands_are_split_as_the_server_does(line: bytes, args: tuple[bytes, ...] | None) -> None:
    """Words, both quotes and escapes of an inline command; unbalanced quotes are none."""
    assert split_inline(line) == args


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"*1\r\n:1\r\n", "expected '$' at byte 4"),
        (b"*x\r\n", "invalid length at byte 0"),
        (b"*1\r\n$-1\r\n", "invalid bulk length at byte 4"),
        (b"*9999999\r\n", "invalid length at byte 0"),
        (b"SET 'a\r\n", "unbalanced quotes at byte 0"),
        (b"x" * 70_000, "too big inline request at byte 0"),
        (b"*" + b"1" * 70_000, "too long a length line at byte 0"),
    ],
)
def test_bytes_that_are_no_command_are_named(data: bytes, message: str) -> None:
    """Malformed requests raise a fault that names the byte and the bytes, cut to forty."""
    with pytest.raises(ProtocolFault, match=re.escape(message)):
        RequestParser().feed(data)


def test_commands_before_a_fault_are_not_lost() -> None:
    """What was complete before a malformed frame comes out first; the fault comes with the next call."""
    parser = RequestParser()
    assert [one.args for one in parser.feed(b"*1\r\n$4\r\nPING\r\n*x\r\n")] == [(b"PING",)]
    with pytest.raises(ProtocolFault, match="at byte 14"):
        parser.feed(b"")


def test_bytes_that_are_no_reply_are_named() -> None:
    """A reply of no known type raises a fault; replies before it are not lost."""
    parser = ReplyParser()
    assert [one.value for one in parser.feed(b":1\r\nHTTP/1.1\r\n")] == [1]
    with pytest.raises(ProtocolFault, match="not a reply at byte 4"):
        parser.feed(b"")
    with pytest.raises(ProtocolFault, match="not a reply"):
        ReplyParser().feed(b"$?\r\n:1\r\n")
    for data in (b":one\r\n", b"$-2\r\n", b"*-2\r\n", b"$1\r\nabc\r\n", b"%-1\r\n", b".\r\n", b"*1\r\n.\r\n"):
        with pytest.raises(ProtocolFault, match="not a reply"):
            ReplyParser().feed(data)
