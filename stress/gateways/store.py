"""What a deduplication protocol sees: a small store, a signal, and the outcome that it owes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from contextlib import AbstractAsyncContextManager

TTL_SECONDS = "300"

Reply = None | int | str | list["Reply"]


class Script(NamedTuple):
    """A script that the store runs as one step: its Lua text, and the same in Python for the store in memory.

    ``python`` is given what ``redis.call``, ``KEYS`` and ``ARGV`` are in Lua.
    """

    lua: str
    python: Callable[[Callable[..., Reply], Sequence[str], Sequence[str]], Reply]


@dataclass(frozen=True, slots=True)
class Incoming:
    """A signal as the Gateway understood it."""

    fingerprint: str
    alertname: str
    namespace: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a signal: a new record or one more hit; ``count`` includes this hit.

    ``busy`` says that nothing did, as another request for the same is in flight.
    ``first_seen`` and ``last_seen`` are RFC 3339; the first is empty where the protocol does not read it.
    """

    created: bool
    record: str
    count: int
    first_seen: str = ""
    last_seen: str = ""
    busy: bool = False


class Session(Protocol):
    """A connection for one request alone: after WATCH its transaction fails if such a key was touched since."""

    def call(self, *command: str) -> Awaitable[Reply]:
        """Run one command at once."""

    def execute(self, *commands: tuple[str, ...]) -> Awaitable[Sequence[Reply] | None]:
        """Run commands as one transaction; None when a watched key was touched."""


class Store(Protocol):
    """The store of a protocol. Each call is one step."""

    def now(self) -> float:
        """Seconds since 1970."""

    def call(self, *command: str) -> Awaitable[Reply]:
        """Run one command."""

    def pipeline(self, *commands: tuple[str, ...]) -> Awaitable[Sequence[Reply]]:
        """Send commands in one write."""

    def script(self, script: Script, keys: Sequence[str], arguments: Sequence[str]) -> Awaitable[Reply]:
        """Run a script."""

    def session(self) -> AbstractAsyncContextManager[Session]:
        """Take a connection of its own."""

    def sleep(self, seconds: float) -> Awaitable[None]:
        """Wait."""


def listed(reply: Reply) -> list[Reply]:
    """Give a reply that is a list.

    Raises:
        TypeError: when it is none.

    """
    if not isinstance(reply, list):
        raise TypeError(f"a list was expected, not {reply!r}")
    return reply


def stamp(now: float) -> str:
    """Write a time as RFC 3339 with seconds."""
    return _stamp(int(now))


@lru_cache(maxsize=8)
def _stamp(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
