"""What goes to a server, in its order: it waits for the connection, and until what it may change is saved."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_EARLY_BYTES = 1024 * 1024


class Keeper(Protocol):
    """Saves what a store holds that is not ours to change; what is sent is of the kind that its protocol sends."""

    def changes(self, sent: Sequence[Any]) -> bool:
        """Tell whether anything that is sent may change what is stored; costs nothing to ask."""

    async def before(self, sent: Sequence[Any]) -> object | None:
        """Save what may be changed; give what `after` wants, or None where it must not be sent."""

    def after(self, saved: object) -> None:
        """Take in that the server has replied to them."""


class Owed(Protocol):
    """A reply that a server owes; ``saved`` is what was saved before that was sent which it is for."""

    saved: tuple[object, ...]


class Outbox:
    """The way of one connection to the server.

    Without a ``keeper`` nothing is saved. ``full`` is called when the Gateway should send no more for now, ``refused``
    when something must not be sent: then nothing that came after it is.
    """

    def __init__(self, keeper: Keeper | None, full: Callable[[], None], refused: Callable[[], None]) -> None:
        """Begin with nothing to send, before the connection is there."""
        self._keeper, self._full, self._refused = keeper, full, refused
        self._server: asyncio.Transport | None = None
        self._early: list[bytes] = []
        self._waiting: deque[tuple[bytes, Sequence[Any], Owed | None]] = deque()
        self._saving: asyncio.Task[None] | None = None
        self._ended = False

    @property
    def keeps(self) -> bool:
        """Whether something may have to be saved."""
        return self._keeper is not None

    def connected(self, server: asyncio.Transport) -> None:
        """Send what came before the connection was there."""
        self._server = server
        server.writelines(self._early)
        self._early.clear()
        self._end()

    def lost(self) -> None:
        """Keep what comes until there is another connection."""
        self._server = None

    @property
    def size(self) -> int:
        """How many bytes wait."""
        return sum(map(len, self._early)) + sum(len(raw) for raw, _, _ in self._waiting)

    def send(self, raw: bytes, sent: Sequence[Any], owed: Owed | None = None) -> None:
        """Send bytes, and say what they are; ``owed`` is the last reply to them, if one is awaited."""
        keeper = self._keeper
        if keeper is None or not (self._waiting or keeper.changes(sent)):
            self._write(raw)
            return
        self._waiting.append((raw, sent, owed))
        if self._saving is None or self._saving.done():
            self._saving = asyncio.get_running_loop().create_task(self._save(keeper))

    def end(self) -> None:
        """Tell the server that no more comes, once all was sent."""
        self._ended = True
        self._end()

    def replied(self, owed: Owed) -> None:
        """Take in that the server owes nothing more of this."""
        if self._keeper is not None:
            for saved in owed.saved:
                self._keeper.after(saved)

    async def emptied(self) -> None:
        """Wait until everything was sent."""
        if self._saving is not None:
            await asyncio.wait([self._saving])

    def close(self) -> None:
        """Drop what was not sent."""
        self._waiting.clear()
        if self._saving is not None:
            self._saving.cancel()

    async def _save(self, keeper: Keeper) -> None:
        while self._waiting:
            raw, sent, owed = self._waiting[0]
            saved = await keeper.before(sent) if keeper.changes(sent) else ()
            if saved is None:
                self._waiting.clear()
                self._refused()
                return
            if owed is not None and saved:
                owed.saved = (*owed.saved, saved)
            self._waiting.popleft()
            self._write(raw)
        self._end()

    def _write(self, raw: bytes) -> None:
        if self._server is not None:
            self._server.write(raw)
            return
        self._early.append(raw)
        if self.size > _EARLY_BYTES:
            self._full()

    def _end(self) -> None:
        server = self._server
        if server is None or server.is_closing() or self._waiting:  # uvloop has no end for what is closed already
            return
        if self._ended and server.can_write_eof():
            server.write_eof()
