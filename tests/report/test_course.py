"""What the watched keys held after each step, as far as the steps and their replies tell."""

from __future__ import annotations

import pytest
from made import came_to, hand_made
from test_pattern import trace_of

from stress.core.step import WHOLE, Access, Touch
from stress.core.trace import Event, Kind
from stress.report.explain.values import course


def held(*steps: str) -> list[str]:
    """Give what the key k held after each step: ``SET k 1 -> OK``, ``r`` before a read, ``c`` before a creation."""
    kinds = {"r": Access.READ, "w": Access.WRITE, "c": Access.CREATE, "d": Access.DELETE}
    events = []
    for index, line in enumerate(steps):
        access, _, rest = line.partition(" ")
        text, _, reply = rest.partition(" -> ")
        command = text.split(" ")[0]
        text = text.removeprefix(command) if "+" in command or "(" in command else text
        text = f"{command.removeprefix('EXEC(').split('+')[0]}{text}" if text.startswith(" ") else text
        touches, came = (Touch("k", kinds[access]),), came_to(command, text, reply)
        events.append(Event(index, Kind.STEP, "A", command, "k", text, reply, touches, outcome=came))
    return [after["k"] for after in course(hand_made(events)).after.values()]


COMMANDS = {
    "a value is read, set and deleted": (
        ("r GET k -> nil", "w SET k a b EX 5 -> OK", "w INCR k -> 3", "d DEL k -> 1", "r EXISTS k -> 0"),
        ["nothing", "a b", "3", "nothing", "nothing"],
    ),
    "a creation that is refused changes nothing": (
        ("c SET k 1 NX -> nil", "r GET k -> 7", "c SET k 1 NX -> nil", "c SETNX k 2 -> 0", "r EXISTS k -> 1"),
        ["…", "7", "7", "7", "7"],
    ),
    "a creation that is not refused": (
        ("c SET k v EX 5 NX -> OK", "w SET k x XX -> nil", "c SETNX k a b -> 1", "w SET k x NX GET -> nil"),
        ["v", "nothing", "a b", "?"],
    ),
    "SET with GET tells the old value and sets the new": (("w SET k new GET -> old",), ["new"]),
    "fields of a hash become known one by one": (
        ("r HGET k a -> 1", "w HINCRBY k b 1 -> 5", "r HGET k a -> nil", "r HMGET k a b -> [7 8]", "w HDEL k a b -> 2"),
        ["a 1, …", "a 1, b 5, …", "b 5, …", "b 8, a 7, …", "…"],
    ),
    "a hash that was made here is known whole": (
        ("r EXISTS k -> 0", "w HSET k a 1 -> 1", "w HSETNX k a 2 -> 0", "w HSETNX k b 2 -> 1", "w HDEL k a b -> 2"),
        ["nothing", "a 1", "a 1", "a 1, b 2", "nothing"],
    ),
    "a hash that is read whole": (
        ("r HGETALL k -> [a 1 b 2]", "r HGETALL k -> []", "r HGETALL k -> [a 1 2]"),
        ["a 1, b 2", "nothing", "nothing"],
    ),
    "words that are no pairs are not guessed": (("r HMGET k a b -> [1 2 3]", "w HSET k a 1 2 -> 1"), ["…", "…"]),
    "a set": (
        ("w SADD k x -> 1", "r SMEMBERS k -> [x y]", "w SADD k z x -> 1", "w SREM k x y -> 2", "r SMEMBERS k -> []"),
        ["?", "x y", "x y z", "z", "nothing"],
    ),
    "a set of which nothing is known": (("r EXISTS k -> 1", "w SADD k x -> 1", "w SREM k x -> 1"), ["…", "?", "?"]),
    "fields of what is no hash": (("r GET k -> 1", "w HDEL k a -> 0"), ["1", "?"]),
    "its time to live is no value": (("r GET k -> 1", "w EXPIRE k 5 -> 1"), ["1", "1"]),
    "a script may have written anything": (("r GET k -> 1", "w EVAL k -> 1", "r GET k -> 2"), ["1", "?", "2"]),
    "an error changed nothing": (
        ("r GET k -> a", "w INCR k -> ERR value is not an integer", "w EVAL k -> ERR x"),
        ["a", "a", "a"],
    ),
    "a read that is not known changes nothing": (("r GET k -> a", "r STRLEN k -> 1", "r WATCH k -> OK"), ["a"] * 3),
    "of several commands in one step the first counts, if the others write no value": (
        ("w HSET+EXPIRE k a 1 -> [1 1]", "w EXEC(HSET+EXPIRE) k a 2 -> nil", "w HSET+HSET k a 3 -> [0 0]"),
        ["a 1, …", "a 1, …", "?"],
    ),
    "a reply that can not be told apart": (("w INCR+EXPIRE k -> [1 2 3]",), ["?"]),
}


@pytest.mark.parametrize("case", COMMANDS)
def test_a_key_is_followed_through_the_commands(case: str) -> None:
    """What a reply told or a write put there is known; what nobody told is a question mark."""
    steps, expected = COMMANDS[case]
    assert held(*steps) == expected


def test_objects_of_kubernetes_are_followed() -> None:
    """What an answer says of an object is known until it changes; a list is known until the collection changes."""
    reported = course(
        trace_of(
            "A list rr/p/* 200 []",
            "A create rr/p/r1 201 r1",
            "A create rr/p/r1 409 AlreadyExists r1",
            "A get rr/p/r1 200 r1 count=1",
            "A update/status rr/p/r1 200",
            "A list rr/p/* 200 [r1, r2]",
            "A list rr/p/* 500 InternalError",
            "A delete rr/p/r1 200",
            "A get rr/p/r1 404 NotFound r1",
        )
    )
    assert reported.watched == ("rr/p/*", "rr/p/r1")
    assert [list(after.values()) for after in reported.after.values()] == [
        ["nothing", "?"],
        ["?", "r1"],
        ["?", "r1"],
        ["?", "r1 count=1"],
        ["?", "…"],
        ["r1, r2", "…"],
        ["r1, r2", "…"],
        ["?", "nothing"],
        ["?", "nothing"],
    ]
    assert reported.seen[3] == (("rr/p/r1", Access.READ, "r1 count=1", "r1 count=1"),)
    assert reported.seen[1][0] == ("rr/p/r1", Access.CREATE, "?", "r1")


def test_after_the_environment_nothing_is_known() -> None:
    """Who deletes or rewrites past the gate leaves question marks; the clock changes nothing."""
    reported = course(
        trace_of(
            "A GET k read 1", "clock clock", "A start", "cleanup cleanup", "A GET k read 1", "A FLUSHALL * write OK"
        )
    )
    assert [after["k"] for after in reported.after.values()] == ["1", "1", "?", "1", "?"]
    assert reported.watched == ("k",)
    whole = Event(0, Kind.STEP, "A", "KEYS", WHOLE, "KEYS *", "k", (Touch(WHOLE, Access.READ),))
    assert course(hand_made([whole])).after == {0: {}}
