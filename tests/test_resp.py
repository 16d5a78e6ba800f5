"""Framing of the Redis protocol."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stress.gate.resp import ProtocolFault, ReplyError, ReplyParser, RequestParser, split_inline

commands = st.lists(st.lists(st.binary(max_size=20), min_size=1, max_size=5), max_size=6)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.binary(max_size=30),
    lambda inner: st.lists(inner, max_size=4),
    max_leaves=12,
)


def encode(args: list[bytes]) -> bytes:
    """Write a command as an array of bulk strings."""
    return b"*%d\r\n" % len(args) + b"".join(b"$%d\r\n%b\r\n" % (len(arg), arg) for arg in args)


def reply(value: object) -> bytes:
    """Write a value as a RESP3 reply."""
    if value is None:
        return b"_\r\n"
    if isinstance(value, bool):
        return b"#t\r\n" if value else b"#f\r\n"
    if isinstance(value, int):
        return b":%d\r\n" % value
    if isinstance(value, bytes):
        return b"$%d\r\n%b\r\n" % (len(value), value)
    assert isinstance(value, list)
    return b"*%d\r\n" % len(value) + b"".join(map(reply, value))


def chunks(data: bytes, cuts: list[int]) -> list[bytes]:
    """Cut bytes at some places."""
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[a:b] for a, b in pairwise(places)]


@given(commands, st.lists(st.integers(0, 1000), max_size=8))
def test_requests_come_out_whole_under_any_chunking(sent: list[list[bytes]], cuts: list[int]) -> None:
    """Any commands in any chunks come out as they went in, byte for byte."""
    parser = RequestParser()
    data = b"".join(map(encode, sent))
    found = [request for chunk in chunks(data, cuts) for request in parser.feed(chunk)]
    assert [list(request.args) for request in found] == sent
    assert b"".join(request.raw for request in found) == data


@given(st.lists(values, max_size=5), st.lists(st.integers(0, 1000), max_size=8))
def test_replies_come_out_whole_under_any_chunking(sent: list[object], cuts: list[int]) -> None:
    """Any replies in any chunks come out as they went in, byte for byte."""
    parser = ReplyParser()
    data = b"".join(map(reply, sent))
    found = [one for chunk in chunks(data, cuts) for one in parser.feed(chunk)]
    assert [one.value for one in found] == sent
    assert b"".join(one.raw for one in found) == data


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
    with pytest.raises(ProtocolFault, match="not a reply"):
        ReplyParser().feed(b":one\r\n")
