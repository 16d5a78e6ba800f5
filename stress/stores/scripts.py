"""Which commands a script really runs, read from MONITOR. That slows the server: only for one of our own."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from stress.gate.commands import Effect, is_script
from stress.gate.resp import split_inline

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

_LINE = re.compile(rb"\+\d+\.\d+ \[(?P<database>\d+) (?P<source>[^\]]*)\] (?P<words>.*)\r\n", re.DOTALL)
_LONGEST_LINE = 64 * 1024 * 1024

Released = TypeVar("Released")
Run = tuple[tuple[bytes, ...], list[Effect]]
"""A script's command as it was sent, and the commands that the script ran."""


class ScriptWatch:
    """Watches what scripts do while something is released."""

    def __init__(self, server: tuple[str, int], ask: Callable[..., Awaitable[object]]) -> None:
        """Take the server's address, and a way to run one command on it."""
        self._server = server
        self._ask = ask

    async def during(self, release: Callable[[], Awaitable[Released]]) -> tuple[Released, list[Run]]:
        """Run ``release`` and give what it gave, and the scripts that ran meanwhile (none if the server is gone)."""
        try:
            reader, writer = await asyncio.open_connection(*self._server, limit=_LONGEST_LINE)
        except OSError:
            return await release(), []
        lines: list[bytes] = []
        try:
            writer.write(b"MONITOR\r\n")
            await reader.readline()
            released = await release()
            end = f"end of {id(reader):x}"
            with suppress(Exception):  # whatever a lost server makes of it: who waits for the reply will tell
                await self._ask("ECHO", end)
                while not lines or (lines[-1] and end.encode() not in lines[-1]):
                    lines.append(await reader.readline())
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
        return released, runs(lines)


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
