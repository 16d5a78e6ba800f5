"""What a stream of commands means for a gate."""

from __future__ import annotations

import pytest

from stress.protocols.redis.commands import (
    Awaited,
    ConnectionState,
    background,
    changes_all,
    creates_if_absent,
    is_blocking,
    is_script,
    pushed,
    scans,
)
from stress.protocols.redis.replies import Reply, ReplyError, ReplyParser
from stress.protocols.redis.requests import Request, RequestParser

RULES = ("PING", "SCRIPT LOAD")


def requests(*lines: str) -> list[Request]:
    """Write commands as a client would."""
    return RequestParser().feed("".join(line + "\r\n" for line in lines).encode())


def units(state: ConnectionState, *lines: str) -> list[tuple[str, bool, list[str], list[str]]]:
    """Give the units of commands that arrive together, readable."""
    return [
        (
            " ".join(command.request.args[0].decode() for command in unit.commands),
            unit.parked,
            [b" ".join(effect.args).decode() for effect in unit.effects],
            [b" ".join(watch.args).decode() for watch in unit.watched],
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


def test_what_the_server_refuses_inside_a_transaction_is_not_queued() -> None:
    """A MULTI or WATCH inside a transaction changes nothing; EXEC without one takes effect on nothing."""
    state = ConnectionState()
    units(state, "MULTI", "SET a 1", "MULTI", "WATCH b")
    assert units(state, "EXEC") == [("EXEC", True, ["SET a 1"], [])]
    assert units(state, "EXEC") == [("EXEC", True, [], [])]


def test_reset_makes_a_new_connection() -> None:
    """RESET passes, ends an open transaction and a CLIENT REPLY OFF, and leads back to database 0."""
    state = ConnectionState()
    units(state, "SELECT 3", "WATCH w", "CLIENT REPLY OFF", "MULTI", "SET a 1")
    (reset,) = state.units(requests("RESET"), RULES)
    assert (reset.parked, reset.commands[0].awaited, state.database) == (False, Awaited(1, b"RESET"), 0)
    assert units(state, "EXEC") == [("EXEC", True, [], [])]
    assert awaited(state, "GET a") == [1]


def test_each_effect_knows_its_database() -> None:
    """A SELECT between two commands of a pipeline or of a transaction moves the second one only."""
    state = ConnectionState()
    (_, unit) = state.units(requests("SELECT 3", "SET a 1", "SELECT 4", "SET b 1"), ("SELECT",))
    assert [(effect.args[0], effect.database) for effect in unit.effects] == [(b"SET", 3), (b"SET", 4)]
    units(state, "WATCH w", "MULTI", "SELECT 5", "SET c 1")
    (unit,) = state.units(requests("EXEC"), RULES)
    assert [(effect.args[-1], effect.database) for effect in unit.effects[1:]] == [(b"1", 5)]
    assert [effect.database for effect in unit.watched] == [4]
    assert state.database == 5


def test_a_database_that_the_server_refuses_is_left_again() -> None:
    """An error to SELECT, or an EXEC that did not run, leaves the connection where it was."""
    state = ConnectionState()
    for lines in (["SELECT 99"], ["MULTI", "SELECT 3", "EXEC"]):
        state.units(requests(*lines[:-1]), RULES)
        (unit,) = state.units(requests(lines[-1]), RULES)
        assert state.database != 0
        last = unit.commands[-1].awaited
        assert last is not None
        state.replied(last, ReplyError("ERR", "DB index is out of range") if lines[-1] != "EXEC" else None)
        assert state.database == 0


def awaited(state: ConnectionState, *lines: str) -> list[int]:
    """Give how many replies the server owes to each command."""
    commands = [command for unit in state.units(requests(*lines), RULES) for command in unit.commands]
    return [command.awaited.replies if command.awaited else 0 for command in commands]


@pytest.mark.parametrize(
    ("lines", "replies"),
    [
        (["CLIENT REPLY OFF", "SET a 1 NX", "GET a", "CLIENT REPLY ON", "GET a"], [0, 0, 0, 1, 1]),
        (["CLIENT REPLY SKIP", "SET a 1 EX 9", "GET a"], [0, 0, 1]),
        (["CLIENT REPLY SKIP", "CLIENT REPLY SKIP", "GET a", "GET a"], [0, 0, 0, 1]),
        (["CLIENT REPLY SKIP", "CLIENT REPLY ON", "GET a"], [0, 1, 1]),
        (["CLIENT REPLY OFF", "CLIENT REPLY SKIP", "GET a", "RESET", "GET a"], [0, 0, 0, 1, 1]),
        (["MULTI", "CLIENT REPLY SKIP", "GET a"], [1, 1, 1]),
        (["CLIENT REPLY OFF yes", "GET a"], [1, 1]),
        (["SUBSCRIBE a b c", "UNSUBSCRIBE a", "UNSUBSCRIBE", "UNSUBSCRIBE"], [3, 1, 2, 1]),
        (["PSUBSCRIBE a", "SUBSCRIBE b c", "SUNSUBSCRIBE", "PUNSUBSCRIBE x"], [1, 2, 1, 1]),
        (["MULTI", "SUBSCRIBE a b", "EXEC"], [1, 1, 1]),
        (["SUBSCRIBE"], [1]),
    ],
)
def test_the_number_of_replies_is_known(lines: list[str], replies: list[int]) -> None:
    """CLIENT REPLY silences what follows, as far as the server does; subscriptions are confirmed one by one."""
    assert awaited(ConnectionState(), *lines) == replies


def test_a_blocking_command_is_a_unit_by_itself() -> None:
    """A pipeline is cut before and after a command that may wait; inside a transaction the server does not wait."""
    found = units(ConnectionState(), "SET a 1", "BLPOP q 0", "GET a", "GET b")
    assert [names for names, *_ in found] == ["SET", "BLPOP", "GET GET"]
    state = ConnectionState()
    (passing, step) = state.units(requests("MULTI", "BLPOP q 0", "EXEC"), RULES)
    assert (passing.parked, step.blocking, step.name) == (False, False, "EXEC(BLPOP)")


def test_a_pipeline_can_be_taken_apart() -> None:
    """Each step comes with what passes before it, a transaction stays whole, what passes last is kept."""
    state = ConnectionState()
    (unit,) = state.units(requests("GET a", "MULTI", "SET b 1", "EXEC", "PING", "GET c", "PING"), RULES)
    parts = unit.split()
    assert [part.name for part in parts] == ["GET", "EXEC(SET)", "PING+GET+PING"]
    assert b"".join(part.raw for part in parts) == unit.raw
    assert unit.name == "EXEC(GET+SET+GET)"


@pytest.mark.parametrize(
    ("line", "kinds"),
    [
        ("GET a", ""),
        ("BLPOP a 0", "blocks"),
        ("XREAD BLOCK 0 STREAMS s 0", "blocks"),
        ("XREAD STREAMS block 0", ""),
        ("SCAN 0", "scans"),
        ("SORT a BY w_*", "scans"),
        ("SORT a", ""),
        ("FLUSHDB", "changes-all"),
        ("COPY a b DB 2", "changes-all"),
        ("COPY a b", ""),
        ("EVAL script 1 k", "script"),
        ("FCALL_RO f 0", "script"),
        ("SET a 1 NX", "creates"),
        ("SET NX 1", ""),
        ("SETNX a 1", "creates"),
    ],
)
def test_commands_are_known_for_what_they_do(line: str, kinds: str) -> None:
    """Blocking, scanning, changing everything, running a script, creating if absent."""
    (request,) = requests(line)
    tests = {
        "blocks": is_blocking,
        "scans": scans,
        "changes-all": changes_all,
        "script": is_script,
        "creates": creates_if_absent,
    }
    assert " ".join(kind for kind, test in tests.items() if test(request.args)) == kinds


def replies(data: bytes) -> list[Reply]:
    """Read what a server sent."""
    return ReplyParser().feed(data)


@pytest.mark.parametrize(
    ("before", "reply", "owed", "unasked"),
    [
        ([], b"*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nx\r\n", Awaited(1), False),
        (["SUBSCRIBE a"], b"*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nx\r\n", Awaited(1), True),
        (["SUBSCRIBE a"], b"*2\r\n$4\r\npong\r\n$0\r\n\r\n", Awaited(1), False),
        (["SUBSCRIBE a"], b"*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n", Awaited(1, b"SUBSCRIBE"), False),
        (["SUBSCRIBE a"], b"*0\r\n", Awaited(1), False),
        (["HELLO 3"], b">3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nx\r\n", Awaited(1), True),
        (["HELLO 3", "SUBSCRIBE a"], b"*2\r\n$7\r\nmessage\r\n$1\r\na\r\n", Awaited(1), False),
        (["HELLO 3"], b">3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n", Awaited(1, b"SUBSCRIBE"), False),
        (["HELLO 3"], b">3\r\n$12\r\nsunsubscribe\r\n$1\r\na\r\n:0\r\n", Awaited(1), True),
        (["MONITOR"], b'+17.5 [0 127.0.0.1:1] "PING"\r\n', Awaited(1), True),
        (["MONITOR"], b"+PONG\r\n", Awaited(1), False),
        ([], b'+17.5 [0 127.0.0.1:1] "PING"\r\n', Awaited(1), False),
        ([], b"+PONG\r\n", None, True),
    ],
)
def test_what_the_server_says_unasked_is_reported_from_replies(
    before: list[str], reply: bytes, owed: Awaited | None, *, unasked: bool
) -> None:
    """Messages, in RESP3 as pushes and in RESP2 on a subscribed connection only, and MONITOR's lines are no replies."""
    state = ConnectionState()
    for unit in state.units(requests(*before), RULES):
        for command in unit.commands:
            if command.awaited is not None and command.awaited.name:
                state.replied(command.awaited, b"OK")
    (one,) = replies(reply)
    assert state.unasked(one, owed) is unasked


def test_a_connection_listens_until_its_last_unsubscription_is_confirmed() -> None:
    """A message may still come between UNSUBSCRIBE and its confirmation; RESET ends everything."""
    state = ConnectionState()
    subscribed, unsubscribed, reset = (Awaited(1, name) for name in (b"SUBSCRIBE", b"UNSUBSCRIBE", b"RESET"))
    units(state, "SUBSCRIBE a")
    state.replied(subscribed, [b"subscribe", b"a", 1])
    units(state, "UNSUBSCRIBE")
    assert state.listens
    state.replied(unsubscribed, [b"unsubscribe", b"a", 0])
    assert not state.listens
    units(state, "CLIENT TRACKING ON")
    assert state.listens
    state.replied(reset, b"RESET")
    assert not state.listens


@pytest.mark.parametrize(
    ("reply", "effect"),
    [
        (b">3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nx\r\n", b"MESSAGE a x"),
        (b"*4\r\n$8\r\npmessage\r\n$1\r\n*\r\n$1\r\na\r\n$1\r\nx\r\n", b"PMESSAGE * a x"),
        (b">2\r\n$10\r\ninvalidate\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n", b"INVALIDATE a b"),
        (b">2\r\n$10\r\ninvalidate\r\n_\r\n", b"INVALIDATE"),
        (b">3\r\n$11\r\nunsubscribe\r\n$1\r\na\r\n:0\r\n", None),
        (b"+OK\r\n", None),
    ],
)
def test_a_message_reads_like_a_command(reply: bytes, effect: bytes | None) -> None:
    """What is pushed has a name in capitals and its words; confirmations and status lines are no messages."""
    (one,) = replies(reply)
    found = pushed(one)
    assert (b" ".join(found.args) if found else None) == effect


def test_background_rules_are_one_word_or_two() -> None:
    """A rule names a command, or a command and its first argument; case does not matter."""
    assert background((b"ping",), RULES)
    assert background((b"script", b"load", b"x"), RULES)
    assert not background((b"SCRIPT", b"FLUSH"), RULES)
    assert background((), RULES)
    (unit,) = ConnectionState().units([Request(b"\r\n", ())], RULES)
    assert (unit.parked, unit.commands[0].awaited) == (False, None)
