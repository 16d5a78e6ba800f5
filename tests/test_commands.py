"""What a stream of commands means for a gate."""

from __future__ import annotations

import pytest

from stress.gate.commands import (
    ConnectionState,
    background,
    creates_if_absent,
    is_blocking,
    replies_expected,
    whole_database,
)
from stress.gate.resp import Request, RequestParser

RULES = ("PING", "SCRIPT LOAD")


def requests(*lines: str) -> list[Request]:
    """Write commands as a client would."""
    return RequestParser().feed("".join(line + "\r\n" for line in lines).encode())


def units(state: ConnectionState, *lines: str) -> list[tuple[str, bool, list[str], list[str]]]:
    """Give the units of commands that arrive together, readable."""
    return [
        (
            " ".join(request.args[0].decode() for request in unit.requests),
            unit.parked,
            [b" ".join(effect).decode() for effect in unit.effects],
            [b" ".join(watch).decode() for watch in unit.watched],
        )
        for unit in state.units(requests(*lines), RULES)
    ]


def test_a_pipeline_is_one_unit_behind_its_background() -> None:
    """Leading background passes; the commands that came together are one step."""
    assert units(ConnectionState(), "PING", "SET a 1", "PING", "GET a") == [
        ("PING", False, [], []),
        ("SET PING GET", True, ["SET a 1", "GET a"], []),
    ]


def test_a_transaction_in_one_write_is_one_unit() -> None:
    """MULTI to EXEC sent at once has the effects of what it queued."""
    assert units(ConnectionState(), "MULTI", "SET a 1", "INCR b", "EXEC") == [
        ("MULTI SET INCR", False, [], []),
        ("EXEC", True, ["SET a 1", "INCR b"], []),
    ]


def test_an_interactive_transaction_takes_effect_at_exec() -> None:
    """MULTI and what it queues pass; EXEC carries their effects and reads what was watched."""
    state = ConnectionState()
    assert units(state, "WATCH w") == [("WATCH", True, ["WATCH w"], [])]
    assert units(state, "MULTI") == [("MULTI", False, [], [])]
    assert units(state, "SET a 1") == [("SET", False, [], [])]
    assert units(state, "EXEC") == [("EXEC", True, ["SET a 1"], ["WATCH w"])]
    assert units(state, "GET a") == [("GET", True, ["GET a"], [])]


def test_discard_drops_what_was_queued() -> None:
    """After DISCARD nothing of the transaction is left, and UNWATCH forgets what was watched."""
    state = ConnectionState()
    units(state, "WATCH w")
    units(state, "UNWATCH")
    assert units(state, "MULTI", "SET a 1", "DISCARD") == [("MULTI SET DISCARD", False, [], [])]
    units(state, "MULTI")
    assert units(state, "EXEC") == [("EXEC", True, [], [])]


def test_select_moves_the_connection_to_another_database() -> None:
    """The number of the database is followed."""
    state = ConnectionState()
    units(state, "SELECT 3")
    assert state.database == 3


@pytest.mark.parametrize(
    ("line", "blocking", "whole", "creates", "replies"),
    [
        ("GET a", False, False, False, 1),
        ("BLPOP a 0", True, False, False, 1),
        ("XREAD BLOCK 0 STREAMS s 0", True, False, False, 1),
        ("XREAD STREAMS s 0", False, False, False, 1),
        ("SCAN 0", False, True, False, 1),
        ("SORT a BY w_*", False, True, False, 1),
        ("SORT a", False, False, False, 1),
        ("EVAL script 0", False, True, False, 1),
        ("EVAL script 1 k", False, False, False, 1),
        ("SET a 1 NX", False, False, True, 1),
        ("SET NX 1", False, False, False, 1),
        ("SETNX a 1", False, False, True, 1),
        ("SUBSCRIBE a b c", False, False, False, 3),
        ("CLIENT REPLY OFF", False, False, False, 0),
    ],
)
def test_commands_are_known_for_what_they_do(
    line: str, *, blocking: bool, whole: bool, creates: bool, replies: int
) -> None:
    """Blocking, touching the whole database, creating if absent, and the number of replies."""
    (request,) = requests(line)
    assert is_blocking(request.args) is blocking
    assert whole_database(request.args) is whole
    assert creates_if_absent(request.args) is creates
    assert replies_expected(request) == replies


def test_background_rules_are_one_word_or_two() -> None:
    """A rule names a command, or a command and its first argument; case does not matter."""
    assert background((b"ping",), RULES)
    assert background((b"script", b"load", b"x"), RULES)
    assert not background((b"SCRIPT", b"FLUSH"), RULES)
    assert background((), RULES)
    assert replies_expected(Request(b"\r\n", ())) == 0
