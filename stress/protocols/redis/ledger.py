"""What the keys of a lent store held before we wrote them, and what we left in them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from stress.protocols.redis.changes import Key

LASTS = -1
_EXACT_MS = 5
"""How far two readings of one time may be apart, in ms: servers before version 7 tell what is left of it alone."""


class Held(NamedTuple):
    """What a key holds: its DUMP (None: it is not there), and when it runs out, in ms of the epoch."""

    dump: bytes | None
    expires: int = LASTS

    def same(self, other: Held, now: int) -> bool:
        """Tell whether a key that held this has been left alone, and holds the other now."""
        if other.dump is None and LASTS < self.expires <= now:
            return True  # it has run out
        return self.dump == other.dump and abs(self.expires - other.expires) <= _EXACT_MS


@dataclass(slots=True)
class Stretch:
    """A time in which nobody else wrote a key: what it held before, and after (None: it is not known yet).

    ``counted`` tells that we only added to numbers in it; ``flying`` counts commands that have no reply yet.
    """

    before: Held
    after: Held | None = None
    counted: bool = True
    flying: int = 0


class Ledger:
    """Every key that was written, with its stretches."""

    def __init__(self) -> None:
        """Begin with no key."""
        self.kept: dict[Key, list[Stretch]] = {}

    def begin(self, key: Key, held: Held, now: int, *, counts: bool = False) -> None:
        """Note that a key is about to be written, and what it holds until then."""
        stretches = self.kept.setdefault(key, [])
        last = stretches[-1] if stretches else None
        if last is None or (last.after is not None and not last.after.same(held, now)):
            last = Stretch(held)
            stretches.append(last)
        last.after = None
        last.counted = last.counted and counts
        last.flying += 1

    def end(self, key: Key, held: Held) -> None:
        """Note what a key holds now that a command that wrote it has its reply."""
        if stretches := self.kept.get(key):
            last = stretches[-1]
            last.flying = max(0, last.flying - 1)
            last.after = None if last.flying else held


def restoring(name: bytes, before: Held, now: Held) -> list[tuple[str | bytes, ...]]:
    """Give the commands by which a key holds again what it held, for as long as it would have."""
    if before.dump is None or LASTS < before.expires <= now_ms():
        return [] if now.dump is None else [("DEL", name)]
    if before.same(now, now_ms()):
        return []
    ends = str(max(before.expires, 0))
    return [("RESTORE", name, ends, before.dump, "REPLACE", "ABSTTL")]


def now_ms() -> int:
    """Give the time in ms of the epoch."""
    return int(time.time() * 1000)
