"""A step: one effect that an actor is about to have on shared state, and the move that lets it happen."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

START = "start"
"""The command of the move that sends a request to the Gateway; it touches no object."""

REPLY = "reply"
"""The command of a step that lets the reply to a write reach its actor."""

NEXT = ""
"""The command of a move that stands for whatever step its actor shows next."""

ENVIRONMENT = ("clock", "expiry", "cleanup", "writer")
"""Actors that are not requests: they may act, and need not."""
FOREIGN = ("watch", "client", "worker")
"""The same, one for each replica or request: ``watch:1`` notifies replica 1 of a change, ``client:A`` hangs up.

``worker:1`` is what works in replica 1 for no request.
"""

WHOLE = "*"
"""The object of a step that may touch anything in its store (a scan, a flush, an unknown command)."""


class Access(StrEnum):
    """How a step touches an object."""

    READ = "read"
    WRITE = "write"
    DELETE = "delete"
    CREATE = "create-if-absent"


class Touch(NamedTuple):
    """One object that a step touches, and how.

    ``object`` is a key (``gw:dedup:{fingerprint}``, or ``db3:key`` outside database 0) with names that the
    Gateway makes up replaced by placeholders, so that it compares between runs.
    """

    object: str
    access: Access


class Move(NamedTuple):
    """What a schedule is made of: let this actor have this step.

    ``occurrence`` counts from 1 the steps of the same actor with the same command and object.
    """

    actor: str
    command: str
    object: str
    occurrence: int = 1

    def __str__(self) -> str:
        """Give the line of a schedule file: ``A HGET gw:dedup:{fingerprint} #2``."""
        words = [word for word in (self.actor, self.command, self.object) if word]
        if self.occurrence > 1:
            words.append(f"#{self.occurrence}")
        return " ".join(words)


@dataclass(frozen=True, slots=True)
class Step:
    """One effect that ``move.actor`` is about to have.

    ``text`` is the whole command with made-up names replaced, for people to read. ``varies`` says that it touches
    what its command does not name, as a script may: in another state it may touch more.
    """

    move: Move
    touches: tuple[Touch, ...] = ()
    text: str = ""
    varies: bool = False

    @property
    def actor(self) -> str:
        """The actor whose step it is: ``A``, ``B``, … or ``clock``, ``expiry``, ``cleanup``."""
        return self.move.actor

    def conflicts(self, other: Step) -> bool:
        """Return whether swapping the two steps can change what either sees or leaves behind.

        Two steps conflict when they touch a common object and one of them changes it (Flanagan and
        Godefroid, POPL 2005, section 2).
        """
        return any(
            (mine.object == theirs.object or WHOLE in (mine.object, theirs.object))
            and not (mine.access is Access.READ and theirs.access is Access.READ)
            for mine in self.touches
            for theirs in other.touches
        )


def letters(count: int) -> tuple[str, ...]:
    """Name ``count`` concurrent requests: A, B, C, … (at most 26)."""
    return tuple(chr(ord("A") + index) for index in range(count))
