"""Which commands a script really runs, read from MONITOR. That slows a server down."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING, TypeVar

from stress.protocols.redis.commands import Effect, is_script
from stress.protocols.redis.requests import split_inline

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence
    from ssl import SSLContext

_LINE = re.compile(rb"\+\d+\.\d+ \[(?P<database>\d+) (?P<source>[^\]]*)\] (?P<words>.*)\r\n", re.DOTALL)
_LONGEST_LINE = 64 * 1024 * 1024
_OPEN_SECONDS = 5.0
_END = "gateway-stress has seen enough: "

Released = TypeVar("Released")
Run = tuple[tuple[bytes, ...], list[Effect]]
"""A script's command as it was sent, and the commands that the script ran."""


class ScriptWatch:
    """Watches what scripts do while something is released.

    With ``stays`` its connection stays open from the first script on, for a server of our own; else it lasts for one
    release.
    """

    def __init__(
        self,
        server: tuple[str, int],
        ask: Callable[..., Awaitable[object]],
        login: Sequence[str] = (),
        *,
        stays: bool = True,
        tls: SSLContext | None = None,
    ) -> None:
        """Take the server's address and its TLS, a way to run one command on it, and the words of AUTH, if any."""
        self._server, self._ask, self._stays, self._tls = server, ask, stays, tls
        self._opening = [*([("AUTH", *login)] if login else []), ("MONITOR",)]
        self._numbers = count(1)
        self._windows: list[Window] = []
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None

    async def during(self, release: Callable[[], Awaitable[Released]]) -> tuple[Released, list[Run] | None]:
        """Run ``release`` and give what it gave, and the scripts that ran until then; None where that can't be known.

        With a connection that stays, scripts that ran shortly before may be among them, never after.
        """
        window = await self.begin()
        try:
            released = await release()
        except BaseException:
            await self._forget(window)
            raise
        return released, await self.end(window)

    async def begin(self) -> Window | None:
        """Watch from now on; None where the server does not let us."""
        if not await self._open():
            return None
        window = Window(f"{_END}{id(self):x} {next(self._numbers)}")
        self._windows.append(window)
        return window

    async def end(self, window: Window | None) -> list[Run] | None:
        """Give the scripts that ran since `begin`; None where that can't be known."""
        try:
            with suppress(Exception):  # whatever a lost server makes of it: who waits for the reply will tell
                if window is not None:
                    await self._ask("ECHO", window.end)
                    await window.closed.wait()
        finally:
            await self._forget(window)
        return runs(window.lines) if window is not None and window.complete else None

    async def _forget(self, window: Window | None) -> None:
        if window is not None:
            self._windows.remove(window)
        if not self._stays and not self._windows:
            await self.close()

    async def close(self) -> None:
        """Watch no longer, until something is released again."""
        writer, self._writer = self._writer, None
        reading, self._reading = self._reading, None
        if writer is not None:
            writer.close()
        if reading is not None:
            await reading

    async def _open(self) -> bool:
        """Watch from now on; tell whether the server lets us."""
        if self._writer is not None and self._reading is not None and not self._reading.done():
            return True
        await self.close()
        try:
            async with asyncio.timeout(_OPEN_SECONDS):
                reader, self._writer = await asyncio.open_connection(*self._server, limit=_LONGEST_LINE, ssl=self._tls)
                self._writer.write(b"".join(_packed(words) for words in self._opening))
                replies = [await reader.readline() for _ in self._opening]
        except OSError:
            replies = [b""]
        if any(reply != b"+OK\r\n" for reply in replies):
            await self.close()
            return False
        self._reading = asyncio.create_task(self._read(reader))
        return True

    async def _read(self, reader: asyncio.StreamReader) -> None:
        """Hand each line to who waits for it, until the connection ends."""
        with suppress(OSError, ValueError):  # a line that is too long: nothing is known of what it ends
            while line := await reader.readline():
                for window in self._windows:
                    window.take(line)
        for window in self._windows:
            window.closed.set()


class Window:
    """MONITOR's lines up to one that we asked for ourselves; ``complete`` once that is here."""

    def __init__(self, end: str) -> None:
        """Begin with no line; the last one will hold ``end``."""
        self.end = end
        self.lines: list[bytes] = []
        self.closed = asyncio.Event()
        self.complete = False

    def take(self, line: bytes) -> None:
        """Take in a line."""
        if self.closed.is_set():
            return
        self.lines.append(line)
        if self.end.encode() in line:
            self.complete = True
            self.closed.set()


def _packed(words: Sequence[str]) -> bytes:
    parts = [word.encode() for word in words]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)


def runs(lines: Iterable[bytes]) -> list[Run]:
    """Read the scripts that ran from MONITOR's lines: a script's own commands follow it, marked ``lua``."""
    found: list[Run] = []
    calls: list[Effect] = []
    for line in lines:
        match = _LINE.fullmatch(line)
        args = split_inline(match["words"]) if match is not None else None
        if match is None or args is None:
            continue
        if match["source"] == b"lua":
            calls.append(Effect(args, int(match["database"])))
            continue
        calls = []
        if is_script(args):
            found.append((args, calls))
    return found
