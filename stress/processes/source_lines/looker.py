"""Looks at the processes of a service again and again: which stack is new since the last look."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from stress.processes.child import connected
from stress.processes.quiescence import descendants
from stress.processes.source_lines.stacks import COROUTINE, Session, Unseen, tools_for

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from stress.processes.source_lines.sources import Sources
    from stress.processes.source_lines.stacks import Stack, Tool

Thread = tuple[int, str]
"""A process, and what its tool calls a thread of it."""


class Looker:
    """Takes stacks for so many ``seconds`` in all, of which some are ``left``.

    After the first failure it takes none: ``why`` says what it was. Once a request was seen ``in_threads``, coroutines
    are not looked at any more.
    """

    def __init__(self, sources: Sources, seconds: float) -> None:
        """Look for the lines of these sources."""
        self.sources, self.left, self.why, self.in_threads = sources, seconds, "", False
        self._tools: dict[int, tuple[Tool, ...]] = {}
        self._sessions: dict[Tool, Session] = {}

    def tools(self, pid: int, ports: Collection[int]) -> dict[int, tuple[Tool, ...]]:
        """Give those of a process and its descendants that run a language of the sources, with the tools for it.

        Of several it is those that use the ``ports``.
        """
        family = descendants(pid)
        for one in family:
            if one not in self._tools:
                self._tools[one] = tuple(tool for tool in tools_for(one) if self.sources.holds(tool.files))
        found = {one: tools for one in family if (tools := self._tools[one])}
        using = connected(found, ports) if len(found) > 1 else ()
        return {one: found[one] for one in using} or found

    async def look(self, pid: int, ports: Collection[int]) -> dict[Thread, Stack] | None:
        """Take the stacks of a process and its descendants; None where that fails."""
        begun = time.monotonic()
        found: dict[Thread, Stack] = {}
        try:
            for one, tools in self.tools(pid, ports).items() if not self.why else ():
                for tool in tools:
                    left_out = not tool.path or (tool.beside and self.in_threads)
                    stacks = {} if left_out else await self._stacks(tool, one, begun)
                    found |= {(one, thread): stack for thread, stack in stacks.items()}
        except Unseen as error:
            self.why = self.why or str(error)
        self.left -= time.monotonic() - begun
        if self.left < 0 and not self.why:
            self.why = "it takes too long"
        return None if self.why else found

    async def _stacks(self, tool: Tool, pid: int, begun: float) -> Mapping[str, Stack]:
        within = min(tool.within(first=tool not in self._sessions), self.left - time.monotonic() + begun)
        session = self._sessions.setdefault(tool, Session(tool))
        try:
            return await session.stacks(pid, max(0.1, within))
        except Unseen:
            if not tool.beside:
                raise
            return {}

    def give_up(self) -> None:
        """Take no more stacks, as none tells anything."""
        self.why = self.why or f"no stack stood out among {' and '.join(tool.sees for tool in self._sessions)}"

    async def close(self) -> None:
        """End what still runs."""
        for session in self._sessions.values():
            await session.close()


class Looks:
    """The looks at one replica in one run: which thread is at work for whom.

    Only who was let go has run since the last look. So the thread whose stack differs from what it was then, and from
    what it was at rest, is at work for that one, if it is alone. A thread that had nothing to do at rest goes before
    coroutines, which may wait for what it does.
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
        of_its_own = [
            one for one in self._changed if not one[1].startswith(COROUTINE) and not self._lines(one, at_rest)
        ]
        self._changed = of_its_own or self._changed
        return True

    @property
    def blind(self) -> bool:
        """Whether no stack in the code of the service has changed up to now, as where requests are coroutines."""
        return not self._changed and not self._at_work

    def lines(self, who: str, *, isolated: bool) -> tuple[str, ...]:
        """Give the own lines of the stack of the thread that is at work for someone; none where no stack stands out.

        ``isolated`` tells that by the last look nobody else could have gone on.
        """
        known, changed = self._at_work.get(who), self._changed
        if known in changed or (known is not None and isolated and not changed):
            return self._lines(known)
        if len(changed) != 1 or not isolated or (known is not None and self._lines(known)):
            return ()
        self._at_work[who] = changed[0]
        self._looker.in_threads = self._looker.in_threads or not changed[0][1].startswith(COROUTINE)
        return self._lines(changed[0])

    def _lines(self, thread: Thread | None, among: Mapping[Thread, Stack] | None = None) -> tuple[str, ...]:
        stack = (self._last if among is None else among).get(thread) if thread is not None else None
        return self._looker.sources.lines(stack) if stack is not None else ()
