"""What a deduplication protocol sees: a small store, a signal, and the outcome that it owes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable

TTL_SECONDS = "300"

Reply = None | int | str | list[str | None]


@dataclass(frozen=True, slots=True)
class Incoming:
    """A signal as the Gateway understood it."""

    fingerprint: str
    alertname: str
    namespace: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a signal: a new record or one more hit; ``count`` includes this hit."""

    created: bool
    record: str
    count: int
    first_seen: str = ""
    last_seen: str = ""


class Store(Protocol):
    """The store of a protocol. Each call is one step."""

    def now(self) -> float:
        """Seconds since 1970."""

    def call(self, *command: str) -> Awaitable[Reply]:
        """Run one command."""

    def pipeline(self, *commands: tuple[str, ...]) -> Awaitable[list[Reply]]:
        """Send commands in one write."""


def stamp(now: float) -> str:
    """Write a time as RFC 3339 with seconds."""
    return datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
