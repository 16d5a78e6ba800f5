"""A run in which who asks the same again and again lets others go first, and the repetitions are one step."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from stress.executors.asked import Probed
from stress.executors.live.drive import Drive
from stress.executors.live.polling import POLL_SECONDS, Ends, asked, ending, same
from stress.executors.live.record import Try, plain

if TYPE_CHECKING:
    from stress.core.step import Move
    from stress.core.trace import Trace
    from stress.executors.live.polling import Loop
    from stress.executors.live.request import Request
    from stress.protocols.gate import Frame

_GENEROUS = 4
"""How many times as long as it may take to give up soon a request may take that did so before."""


class Fair(Drive):
    """What `polling` says, done: see there.

    How a loop ends is found out once: the request is let go alone, and then that run begins again.
    """

    async def run(self) -> Trace:
        """Follow the scheduler to the end.

        Raises:
            Crossed: see there.
            Probed: when the run was spent; one that left requests without an answer has a fault instead.

        """
        try:
            return await super().run()
        except Probed:
            if not self._fault:
                raise
            return self._trace()

    def moves(self) -> list[Move]:
        """List what is possible now; who asks in vain waits until nobody else can go."""
        return self._polling.fair(super().moves(), self._frames, self._requests)

    async def _apply(self, move: Move) -> None:
        await super()._apply(move)
        for frame, loop in () if self._faulty() else self._polling.unknown(self._frames, self._requests):
            if not self._behind(frame.actor):
                await self._probe(frame, loop)
                return

    async def _probe(self, frame: Frame, loop: Loop) -> None:
        """Find out how a loop ends while nobody else is let go.

        Raises:
            Probed: when it is known; the run begins again.

        """
        assert frame.step is not None  # noqa: S101 - it is asked
        begun = time.perf_counter()
        await super()._release(self._requests[frame.actor], frame.step.move)
        times, more = await self._repeat(frame.actor, loop, POLL_SECONDS)
        seconds = time.perf_counter() - begun
        changed = not same(loop.at(times - 1), self._requests[frame.actor].tries[-1].frame)
        if not self._faulty():
            self._polling.learn(loop, ending(times, seconds, loop, more=more, changed=changed))
            raise Probed

    async def _release(self, request: Request, move: Move) -> None:
        frame = next(one for one in self._frames if one.step is not None and one.step.move == move)
        loop = self._polling.loop(request, frame)
        idle = loop is not None and not self._polling.changed(loop, move.actor)
        await super()._release(request, move)
        if loop is None:
            return
        left, times, more = self._polling.left(loop), 1, False
        ends = Ends.STEPS if left == 0 else self._polling.known(loop).how
        event = self._requests[move.actor].tries[-1].event
        if idle and ends is not Ends.STEPS:
            forced = ends is Ends.LATE
            seconds = self._executor.patience if forced else _GENEROUS * POLL_SECONDS
            times, more = await self._repeat(move.actor, loop, seconds, forced=forced, most=left)
            if more and not forced and not self._behind(move.actor):
                self._fault = (
                    self._fault or f"{asked_repeatedly(loop, move.actor)} for {seconds:g} s, not less as before"
                )
            if not more and times > 1:
                self._polling.gave_up(loop, move.actor)
        request = self._requests[move.actor]
        if same(loop.at(times - 1), request.tries[-1].frame):
            self._polling.unchanged.add(event)
        if more:
            request.tries.pop()  # it stands where it stood
            self._polling.stuck[move.actor] = self._polling.progress
        if len(loop.tries) > 1 and ends is not Ends.STEPS:
            self._widen(event, loop)

    async def _repeat(
        self, actor: str, loop: Loop, seconds: float, *, forced: bool = False, most: int | None = None
    ) -> tuple[int, bool]:
        """Let a request that was let go ask the same again until it sees a change or gives up.

        It ends too where another's command must go first on its connection, and at the end of a repetition after so
        many ``seconds``, or, where it was let go because nobody else could (``forced``), once another can; and after
        ``most`` steps. Give how many steps it took, and whether it asks the same still and is to stand where it stood.
        """
        begun, times = time.perf_counter(), 1
        until = begun + seconds
        others = sum(one.actor != actor for one in self._frames)
        more = False
        while times != most and not self._faulty():
            request = self._requests[actor]
            own = [one for one in self._frames if one.actor == actor and one.step is not None]
            last = request.tries[-1]
            if not same(loop.at(times - 1), last.frame) or len(own) != 1 or (request.answered and not request.left):
                break
            frame = own[0]
            if asked(frame) != asked(loop.at(times)):
                break
            if self._behind(actor):
                more = True
                break
            late = time.perf_counter() > until or (forced and sum(one.actor != actor for one in self._frames) > others)
            if times % len(loop.tries) == 0 and late:
                more = True
                break
            self._frames.remove(frame)
            self._attribution.repeat(frame)
            request.showing.clear()
            await self._let(frame)
            times += 1
            request.tries[-1] = Try(frame, last.event, last.times + 1)
            text, reply = self._record.repeat(last.event, frame, times)
            request.done[-1] = plain(f"{text} -> {reply}")
            await self._until_shown(request)
        self.taken.blocked(time.perf_counter() - begun, actor)
        return times, more

    def _behind(self, actor: str) -> bool:
        """Tell whether a command of a request waits behind another's on the same connection."""
        parked = [one for one in self._frames if one.actor == actor and one.step is not None]
        return any(all(head is not one for head in one.channel.heads()) for one in parked)

    def _widen(self, event: int, loop: Loop) -> None:
        """Let a step touch all that its loop does: who writes any of it decides whether the loop is one step."""
        touched = dict.fromkeys(self._record.events[event].touches)
        for one in loop.tries:
            touched |= dict.fromkeys(one.frame.step.touches if one.frame.step else ())
        self._record.events[event] = replace(self._record.events[event], touches=tuple(touched))

    def _stuck(self) -> str:
        asks = [
            asked_repeatedly(loop, frame.actor) for frame, loop in self._polling.waiting(self._frames, self._requests)
        ]
        return f"{'; '.join(asks)}, and nobody is left who could change the reply," if asks else super()._stuck()


def asked_repeatedly(loop: Loop, actor: str) -> str:
    """Say what a request asks again and again: ``B asks SET lock:{fingerprint} again and again``."""
    return f"{actor} asks {', '.join(' '.join(asked(one.frame)[:2]) for one in loop.tries)} again and again"
