"""What a Redis command came to, by the replies of a real server."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from stress.core.outcomes import How, Outcome
from stress.protocols.redis.outcomes import of_command, of_transaction
from stress.protocols.redis.replies import Reply, ReplyParser
from stress.protocols.redis.server import Valkey

if TYPE_CHECKING:
    from collections.abc import Iterator

OK, REFUSED, ABSENT = How.OK, How.REFUSED, How.ABSENT


class Link:
    """One connection to a server."""

    def __init__(self, port: int) -> None:
        """Connect."""
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._parser = ReplyParser()

    def __call__(self, line: str) -> object:
        """Run one command; give its parsed reply."""
        self._socket.sendall(line.encode() + b"\r\n")
        found: list[Reply] = []
        while not found:
            found = self._parser.feed(self._socket.recv(65536))
        return found[0].value

    def close(self) -> None:
        """Disconnect."""
        self._socket.close()


@pytest.fixture(scope="module")
def valkey() -> Iterator[Valkey]:
    """Start one server for all of this file."""
    server = Valkey()
    yield server
    server.close()


@pytest.fixture
def link(valkey: Valkey) -> Iterator[Link]:
    """Connect to the server, which holds a string, a hash, a set, a list and a sorted set."""
    connected = Link(valkey.port)
    for line in ("FLUSHALL", "SET s old", "HSET h f 1", "SADD set a b", "RPUSH list x", "ZADD z 1 m", "SET n 5 EX 99"):
        connected(line)
    yield connected
    connected.close()


CAME_TO: dict[str, tuple[How, object]] = {
    "GET s": (OK, "old"),
    "GET none": (ABSENT, None),
    "SET s new": (OK, "OK"),
    "SET s new NX": (REFUSED, None),
    "SET none new XX": (REFUSED, None),
    "set none new nx": (OK, "OK"),
    "SET s new NX GET": (REFUSED, "old"),
    "SET none new NX GET": (OK, None),
    "SET none new XX GET": (REFUSED, None),
    "SETNX s new": (REFUSED, "0"),
    "SETNX none new": (OK, "1"),
    "MSETNX none 1 s 1": (REFUSED, "0"),
    "GETSET none 1": (OK, None),
    "GETDEL none": (ABSENT, None),
    "INCR none": (OK, "1"),
    "INCRBY n -5": (OK, "0"),
    "INCR s": (REFUSED, "ERR value is not an integer or out of range"),
    "HGET s f": (REFUSED, "WRONGTYPE Operation against a key holding the wrong kind of value"),
    "EXISTS s": (OK, "1"),
    "EXISTS none": (ABSENT, "0"),
    "DEL none": (ABSENT, "0"),
    "DEL s none": (OK, "1"),
    "TTL none": (ABSENT, "-2"),
    "TTL s": (OK, "-1"),
    "PTTL none": (ABSENT, "-2"),
    "EXPIRE none 9": (ABSENT, "0"),
    "EXPIRE s 9": (OK, "1"),
    "HGET h f": (OK, "1"),
    "HGET h g": (ABSENT, None),
    "HMGET h g e": (ABSENT, (None, None)),
    "HMGET h g f": (OK, (None, "1")),
    "HGETALL h": (OK, ("f", "1")),
    "HGETALL none": (ABSENT, ()),
    "HSET h f 2": (OK, "0"),
    "HSETNX h f 2": (REFUSED, "0"),
    "HSETNX h g 2": (OK, "1"),
    "HDEL h g": (ABSENT, "0"),
    "HEXISTS h g": (ABSENT, "0"),
    "SADD set a": (REFUSED, "0"),
    "SADD set c": (OK, "1"),
    "SREM set c": (ABSENT, "0"),
    "SISMEMBER set c": (ABSENT, "0"),
    "SMEMBERS none": (ABSENT, ()),
    "LPOP none": (ABSENT, None),
    "LRANGE list 0 -1": (OK, ("x",)),
    "LLEN none": (ABSENT, "0"),
    "LPUSHX none x": (ABSENT, "0"),
    "BLPOP none 0.01": (ABSENT, None),
    "BLPOP list 1": (OK, ("list", "x")),
    "ZADD z 2 m": (OK, "0"),
    "ZADD z NX 2 m": (REFUSED, "0"),
    "ZSCORE z n": (ABSENT, None),
    "RENAMENX s n": (REFUSED, "0"),
    "EVAL 'return 0' 0": (REFUSED, "0"),
    "EVAL 'return 1' 0": (OK, "1"),
    "PUBLISH channel text": (OK, "0"),
    "PING": (OK, "PONG"),
}


def test_a_reply_nested_deep_is_a_value_that_is_cut() -> None:
    """A value is nested 32 deep at most, whatever the reply is; one that is flat is kept whole."""
    deep: object = 1
    for _ in range(50_000):
        deep = [deep]
    value: object = of_command([b"EVAL", b"return 1", b"0"], deep).value
    depth = 0
    while isinstance(value, tuple):
        (value,), depth = value, depth + 1
    assert (value, depth) == ("[...]", 32)
    assert of_command([b"MGET", b"a", b"b"], [b"1", None]).value == ("1", None)


@pytest.mark.parametrize("line", CAME_TO)
def test_a_command_is_ok_refused_or_finds_nothing(link: Link, line: str) -> None:
    """It is told by the command, its options and the parsed reply; the value is what was seen or left."""
    args = tuple(word.encode() for word in line.split())
    came = of_command(args, link(line))
    assert (came.how, came.value) == CAME_TO[line]
    assert came.error == (isinstance(came.value, str) and came.value.startswith(("ERR ", "WRONGTYPE ")))


def test_a_transaction_is_refused_as_a_whole(valkey: Valkey, link: Link) -> None:
    """EXEC answers nil where a watched key was changed; else each of its commands has its own outcome."""
    several = [(b"SETNX", b"s", b"1"), (b"GET", b"none"), (b"SET", b"s", b"2")]
    other = Link(valkey.port)
    for changed, expected in ((True, None), (False, (How.REFUSED, How.ABSENT, How.OK))):
        for line in ("WATCH s", "MULTI", *(b" ".join(one).decode() for one in several)):
            link(line)
        if changed:
            other("SET s other")
        came = of_transaction(several, link("EXEC"))
        assert came.how is (How.REFUSED if expected is None else How.OK)
        assert tuple(part.how for part in came.parts) == (expected or ())
    other.close()
    assert came.kinds == ("ok", "refused", "absent", "ok")
    assert of_transaction([(b"GET", b"none")], [None]) == Outcome(How.ABSENT)
