"""Requests one after another: each alone to its end, each event before the reply after it.

So come the requests before the concurrent ones, which begin on the same ground in each run, and those of the preflight.
"""

from __future__ import annotations

import time
from abc import abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING

from stress.core.step import START, Move
from stress.core.trace import Kind
from stress.executors.live.record import Record
from stress.executors.live.request import Request
from stress.executors.live.turns import Turns

if TYPE_CHECKING:
    from stress.executors.live.client import Client


class SequentialRun(Turns):
    """A run that can send requests one after another, each alone until it is over.

    While it is ``sequential`` no request begins by itself, and the environment does not act. ``gated`` is whether a
    request that comes before the concurrent ones sent a command through the gate. What is to come late is not
    delivered meanwhile: who tells it, its type and its resource (empty: each event is delivered).
    """

    sequential = gated = False
    _late = ""

    async def _before(self) -> None:
        """Send the requests that come before the concurrent ones; what they do is no part of the schedule."""
        await self._executor.deployment.state.prepare(self._values, self.written)
        if self._watched:
            await self._executor.at_rest()
        self._gate.close()
        await self._earlier()
        await self._workers.home(self._own, self._frames)

    async def _earlier(self) -> None:
        earlier, requests, record = self._executor.scenario.earlier, self._requests, self._record
        if earlier is None:
            return
        first = next(iter(requests.values()))
        was, self.sequential = self.sequential, True
        self._late = f"watch:{first.replica} {earlier.late}/" if earlier.late and not was else ""
        for number in range(1, earlier.requests + 1):
            if not self._faulty():
                await self._one_before(f"before{number}", first.replica, first.client, record)
        self._requests, self._record, self.sequential = requests, record, was
        self._polling = self._new_polling()
        self._leave_before()

    async def _one_before(self, actor: str, replica: int, client: Client, record: Record) -> None:
        """Send one request and follow it to its end; only its start and its answer are written down, in a record."""
        request = Request(actor, replica, client)
        self._requests, self._record = {actor: request}, Record(self._attribution.named, self._attribution.in_full)
        self._polling = self._new_polling()
        started = record.event(Kind.START, actor, START)
        await self._isolated(request)
        self.gated = self.gated or any(one.kind is Kind.STEP and one.actor == actor for one in self._record.events)
        for answer in self._record.answers:
            ended = record.event(Kind.ANSWER, actor, str(answer.status))
            record.answers.append(replace(answer, started=started, ended=ended))

    def _leave_before(self) -> None:
        """Let nothing be parked of the requests that came before but the event that is to come late."""
        late = [one for one in self._frames if one.step is not None and self._is_late(one.step.move)]
        behind = {id(one.channel) for one in late}
        for frame in self._frames:
            if id(frame.channel) not in behind:
                frame.channel.flush()
        self._frames = [one for one in self._frames if id(one.channel) in behind]
        self._attribution.count_repeat(self._frames)
        self._late = ""

    def _is_late(self, move: Move) -> bool:
        return bool(self._late) and f"{move.actor} {move.command} {move.object}".startswith(self._late)

    async def _isolated(self, request: Request) -> None:
        """Send one request and follow it until the target has no work left."""
        await self._go(Move(request.actor, START, ""))
        answered = time.perf_counter()
        while not self._done_with(request) and not self._faulty():
            answered = answered if request.answered else time.perf_counter()
            if self._endless(answered):
                break
            if (move := self._next_sequential()) is not None:
                if request.answered:
                    self._note_late(move, answered)
                await self._go(move)
            elif not await self._wake():
                self._fault = "the Gateway hangs: " + self._stuck() + f" for {self._executor.patience:g} s"
        await self._until_quiescent()
        while not self._faulty() and not await self._settled():
            await self._until_quiescent()

    def _endless(self, answered: float) -> bool:  # noqa: ARG002 - for who watches
        """Tell whether a request that was answered so long ago is left alone although it goes on."""
        return False

    @abstractmethod
    def _shows(self, request: Request) -> bool:
        """Tell whether a step of a request is there."""

    def _note_late(self, move: Move, answered: float) -> None:
        """Note a step that came after an answer."""

    async def _until_quiescent(self) -> None:
        """Let through what is there after an answer: events, and what its Gateway does then; not for ever."""
        until = time.perf_counter() + self._executor.patience
        while not self._faulty() and time.perf_counter() < until and (move := self._next_sequential()) is not None:
            await self._go(move)

    async def _go(self, move: Move) -> None:
        await self._apply(move)

    def _done_with(self, request: Request) -> bool:
        """Tell whether a request is over: answered, with no step left, and known to the caches before the next one."""
        held = any(move.actor.startswith("watch:") for move in self.moves())
        return request.answered and not self._shows(request) and not held

    def possible(self) -> list[Move]:
        """List what is possible now, of what is there already while it is ``sequential``."""
        found = super().possible()
        if not self.sequential:
            return found
        requests = (*self._requests, "watch", "worker")
        there = [one for one in found if one.command != START and one.actor.partition(":")[0] in requests]
        return [one for one in there if not self._is_late(one)]

    def _next_sequential(self) -> Move | None:
        """Choose what is there, events of watches first, and last who was answered; None where nothing is."""

        def late(move: Move) -> tuple[bool, bool]:
            request = self._requests.get(move.actor)
            return request is not None, request is not None and request.answered

        return min(self.moves(), key=late, default=None)
