"""One run that is looked at: each command that is parked, and each request that is blocked, has its caller's lines."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from stress.core.trace import Kind
from stress.processes.source_lines.looker import Looks

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from stress.executors.live.record import Record
    from stress.executors.live.request import Request
    from stress.processes.replicas import Replica
    from stress.processes.source_lines.looker import Looker
    from stress.protocols.gate import Frame


_MOST_BLIND = 2
"""After so many looks in a row in which nothing was seen although a command had come, none is taken any more."""


class Looking:
    """Looks at the replicas of a run, after each move of a request at its own."""

    def __init__(self, looker: Looker, replicas: Mapping[int, Replica], ports: Collection[int]) -> None:
        """Look at those replicas that were started here; ``ports`` are those of the gate."""
        self._looks = {
            number: Looks(looker, replica.process.pid, ports)
            for number, replica in replicas.items()
            if replica.process is not None
        }
        self._known: set[Frame] = set()
        self._looker, self._blind = looker, 0

    async def begin(self) -> None:
        """See how each replica sleeps while no request is under way."""
        for looks in self._looks.values():
            await looks.look()

    async def after(
        self, request: Request, frames: Sequence[Frame], requests: Mapping[str, Request], record: Record
    ) -> None:
        """Look at the replica of a request that was let go, and give what it has shown since the lines of its caller.

        A caller of several commands that are parked waits in one line, which shows nothing of the others: it has none.
        """
        looks = self._looks.get(request.replica)
        own = [frame for frame in frames if frame.actor in requests and frame.channel.replica == request.replica]
        fresh = [frame for frame in own if frame not in self._known]
        self._known |= {*fresh}
        if looks is None or not await looks.look():
            return
        self._blind = self._blind + 1 if fresh and looks.blind else 0
        if self._blind == _MOST_BLIND:
            self._looker.give_up()
        parked = Counter(frame.actor for frame in own)
        isolated = {frame.actor for frame in fresh} <= {request.actor}
        for frame in fresh:
            if parked[frame.actor] == 1:
                frame.lines = looks.lines(requests[frame.actor].sent_as, isolated=isolated)
        last = record.events[-1]
        if not fresh and request.blocked and (last.kind, last.actor) == (Kind.BLOCKED, request.actor):
            record.events[-1] = replace(last, lines=looks.lines(request.sent_as, isolated=True))
