"""Looks at the processes of a service again and again: which stack is new since the last look."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from stress.processes.child import connected
from stress.processes.quiescence import descendants
from stress.processes.source_lines.stacks import Session, Unseen, tool_for

if TYPE_CHECKING:
    from collections.abc import Collection

    from stress.processes.source_lines.sources import Sources
    from stress.processes.source_lines.stacks import Stack, Tool

_LOOK_SECONDS = 5.0
"""How long one look may take."""

Thread = tuple[int, str]
"""A process, and what its tool calls a thread of it."""


class Looker:
    """Takes stacks for so many ``seconds`` in all. After the first failure it takes none: ``why`` says what it was."""

    def __init__(self, sources: Sources, seconds: float) -> None:
        """Look for the lines of these sources."""
        self.sources, self._left, self.why = sources, seconds, ""
        self._tools: dict[int, Tool | None] = {}
        self._sessions: dict[Tool, Session] = {}

    def tools(self, pid: int, ports: Collection[int]) -> dict[int, Tool]:
        """Give those of a process and its descendants whose stacks can be taken: of several, who uses the ``ports``."""
        family = descendants(pid)
        for one in family:
            if one not in self._tools:
                self._tools[one] = tool_for(one)
        found = {one: tool for one in family if (tool := self._tools[one]) is not None}
        using = connected(found, ports) if len(found) > 1 else ()
        return {one: found[one] for one in using} or found

    async def look(self, pid: int, ports: Collection[int]) -> dict[Thread, Stack] | None:
        """Take the stacks of a process and its descendants; None where that fails."""
        begun = time.monotonic()
        found: dict[Thread, Stack] = {}
        try:
            for one, tool in self.tools(pid, ports).items() if not self.why else ():
                session = self._sessions.setdefault(tool, Session(tool))
                stacks = await session.stacks(one, max(0.1, min(_LOOK_SECONDS, self._left)))
                found |= {(one, thread): stack for thread, stack in stacks.items()}
        except Unseen as error:
            self.why = self.why or str(error)
        self._left -= time.monotonic() - begun
        if self._left < 0 and not self.why:
            self.why = "it takes too long"
        return None if self.why else found

    def give_up(self) -> None:
        """Take no more stacks, as none tells anything."""
        sees = "; ".join(f"{tool.program} sees {tool.sees}" for tool in self._sessions)
        self.why = self.why or f"no stack stood out: {sees}"

    async def close(self) -> None:
        """End what still runs."""
        for session in self._sessions.values():
            await session.close()


class Looks:
    """The looks at one replica in one run: which thread is at work for whom.

    Only who was let go has run since the last look. So the thread whose stack differs from what it was then, and from
    what it was at rest, is at work for that one, if it is alone.
    """

    def __init__(self, looker: Looker, pid: int, ports: Collection[int]) -> None:
        """Look at a process and its descendants; ``ports`` are those of the gate."""
        self._looker, self._pid, self._ports = looker, pid, ports
        self._at_rest: dict[Thread, Stack] | None = None
        self._last: dict[Thread, Stack] = {}
        self._changed: list[Thread] = []
        self._at_work: dict[str, Thread] = {}

    async def look(self) -> bool:
        """Look now, for the first time while no request is under way; tell whether something could be seen."""
        found = await self._looker.look(self._pid, self._ports)
        if found is None:
            return False
        if self._at_rest is None:
            self._at_rest = found
        at_rest, last = self._at_rest, self._last
        new = [one for one, stack in found.items() if stack not in (at_rest.get(one), last.get(one))]
        self._last = found
        self._changed = [one for one in new if self._lines(one)]
        return True

    @property
    def blind(self) -> bool:
        """Whether no stack in the code of the service has changed up to now, as where requests are coroutines."""
        return not self._changed and not self._at_work

    def lines(self, who: str, *, alone: bool) -> tuple[str, ...]:
        """Give the own lines of the stack of the thread that is at work for someone; none where no stack stands out.

        ``alone`` tells that by the last look nobody else could have gone on.
        """
        known, changed = self._at_work.get(who), self._changed
        if known in changed or (known is not None and alone and not changed):
            return self._lines(known)
        if len(changed) != 1 or not alone or (known is not None and self._lines(known)):
            return ()
        self._at_work[who] = changed[0]
        return self._lines(changed[0])

    def _lines(self, thread: Thread | None) -> tuple[str, ...]:
        stack = self._last.get(thread) if thread is not None else None
        return self._looker.sources.lines(stack) if stack is not None else ()
