"""The well-known ways in which steps get into each other's way, by name.

A name is derived from what steps touch, what they came to, and what the environment did, never from the names of
scenarios and targets. The races of the Gateway contract (section 3) are what the patterns were chosen for.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Pattern(StrEnum):
    """A well-known way in which steps get into each other's way."""

    LOST_UPDATE = "lost update"
    CHECK_THEN_ACT = "check-then-act"
    NAME_COLLISION = "name collision"
    STALE_READ = "stale read"
    TORN_READ = "torn read"
    LOCK_EXPIRY = "lock expiry"
    LOCK_TAKEN = "lock taken over"
    REENTRANT_LOCK = "re-entrant lock"
    DELETE_UNDER_FOOT = "delete under foot"

    @property
    def meaning(self) -> str:
        """What happens, in one sentence."""
        return _MEANINGS[self]


_MEANINGS = {
    Pattern.LOST_UPDATE: "A value is read, changed and written back, while another write to it takes place.",
    Pattern.CHECK_THEN_ACT: "Something is looked at, and before it is acted upon another changes it.",
    Pattern.NAME_COLLISION: "Two make something of the same name, and who is refused goes on as if it were the maker.",
    Pattern.STALE_READ: "A request goes on although no watch event has yet delivered what was written before.",
    Pattern.TORN_READ: "What one request writes in several steps is read by another between them.",
    Pattern.LOCK_EXPIRY: "A lock runs out while its holder is still at work.",
    Pattern.LOCK_TAKEN: "A lock is taken by another before its holder gives it back.",
    Pattern.REENTRANT_LOCK: "A lock that one request holds lets another request in.",
    Pattern.DELETE_UNDER_FOOT: "What a request has seen is deleted before it is done with it.",
}


def titled(named: Pattern) -> str:
    """Give a name with a capital, as a sentence begins."""
    return named[:1].upper() + named[1:]


class Telling(NamedTuple):
    """What a story is about: the pattern (None: none is known), the indexes of the events that it names, in words.

    ``actors`` are whom it concerns; of those in ``refused`` it is said that they were answered all the same.
    """

    pattern: Pattern | None
    steps: tuple[int, ...] = ()
    cause: str = ""
    actors: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
