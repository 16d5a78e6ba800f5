"""What only one request has tells whose a command is."""

from __future__ import annotations

import time

from stress.core.symbols import Names
from stress.executors.live.owning import Owning
from stress.protocols.gate import Frame

OURS, THEIRS, SHORT = "5d0f7c62a8b94a11", "9b1e4c7732fa4d05", "a1b2"


def frame(text: str, actor: str = "", reply: object = None) -> Frame:
    """Make a command of an actor, with what it was replied."""
    made = Frame(None, text.partition(" ")[0], text.encode(), actor=actor)  # type: ignore[arg-type]  # it goes nowhere
    made.replies = [] if reply is None else [reply]
    return made


def owning(*frames: Frame) -> Owning:
    """Take in commands, each of which has its owner, and name what is made up in them."""
    names = Names("", "fresh", time.time(), seconds=False)
    own = Owning(names)
    for one in frames:
        names.replace(one.raw.decode())
        own.note(one)
    return own


def test_a_value_that_one_request_alone_has_is_its_mark() -> None:
    """Be it sent or replied; a value that both have, that nobody has, or that is short tells nothing."""
    own = owning(
        frame(f"SET lock {OURS} {SHORT}", "A"), frame(f"SET lock {THEIRS}", "B"), frame("GET lock", "A", THEIRS)
    )
    assert own.only(frame(f"DEL {OURS}")) == "A"
    assert own.only(frame(f"DEL {THEIRS}")) is None
    assert own.only(frame(f"DEL {SHORT}")) is None
    assert own.only(frame("DEL 77aa77aa77aa77aa")) is None


def test_a_command_with_values_of_two_requests_is_nobodys() -> None:
    """Each alone has one of them."""
    own = owning(frame(f"SET lock {OURS}", "A"), frame(f"SET lock {THEIRS}", "B"))
    assert own.only(frame(f"SADD {OURS} {THEIRS}")) is None
    assert own.only(frame(f"SADD done {THEIRS}")) == "B"
