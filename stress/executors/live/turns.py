"""A run in which workers have their turns: see `workers`."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from stress.core.trace import Kind
from stress.executors.live.fair import Fair
from stress.schedulers.base import is_worker

if TYPE_CHECKING:
    from stress.core.step import Move
    from stress.executors.live.workers import Workers
    from stress.protocols.gate import Frame


class Turns(Fair):
    """What `workers` says, done: see there."""

    _workers: Workers

    def moves(self) -> list[Move]:
        """List what is possible now; a worker that was to wait goes on where nobody else can."""
        return self._workers.or_any(super().moves(), self._frames)

    @property
    def _offered(self) -> list[Frame]:
        return self._workers.offered(self._frames)

    async def _apply(self, move: Move) -> None:
        if not is_worker(move.actor):
            await super()._apply(move)
            return
        self._record.moves.append(move)
        self._running = None
        await self._work_on(next(one for one in self._frames if one.step is not None and one.step.move == move))

    async def _work_on(self, frame: Frame) -> None:
        """Let a step of a worker take effect, and take in what it shows next."""
        assert frame.step is not None  # noqa: S101 - it has its actor
        self._frames.remove(frame)
        self._attribution.letting.add(frame.channel.replica)
        await self._let(frame)
        self._record.event(Kind.STEP, frame.actor, frame.step.move.command, frame)
        replica, before = self._executor.replicas[frame.channel.replica], list(self._frames)
        self._workers.moved.add(replica.number)
        await self._executor.waits.calm(replica, self._signal)
        await self._take_in(replica)
        self._attribution.letting.clear()
        self._workers.went_on(one for one in self._frames if one not in before)

    async def _wind_up(self) -> None:
        if self._fault:
            return
        with self.taken.apart():
            await self._workers.finish(self._frames, self._late_news, self._work_on)

    async def _late_news(self) -> bool:
        """Take in what has come though all requests are over: it is of workers."""
        self._attribution.letting |= self._executor.replicas.keys()
        return await self._news()

    @abstractmethod
    async def _news(self) -> bool:
        """Take in what one replica has shown since, or answered; tell whether any had."""
