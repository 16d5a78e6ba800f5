"""Work of no request that conflicts with what requests do: an actor, where it has a connection to itself.

Such a worker goes round: it looks for work, does it, and sleeps. A run begins when it is about to look: its first
command, the ``head``, is held from then on, and the steps of that turn are steps as any other, which need not be taken.
What it shows at another time, as once it has slept, is held too, but is taken only where nobody else can go: when it
comes is a question of time, and a schedule must be possible again. After the last answer it ends the turn that it has
begun. Where it works on what requests leave behind it looks again until it finds nothing.
"""

from __future__ import annotations

import time
from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from stress.core.trace import Kind
from stress.executors.live.record import plain
from stress.schedulers.base import is_request, is_worker

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence

    from stress.core.step import Move, Step
    from stress.core.trace import Trace
    from stress.executors.live.attribution import Attribution
    from stress.executors.live.request import Signature
    from stress.protocols.gate import Frame, Gate

_HELD_SECONDS = 1.0
"""How long a worker is held from run to run: its client may have a timeout."""
_MOST_TURNS, _MOST_STEPS = 5, 100
"""How many turns a worker has at most after the last answer, and how many steps."""


class Working(NamedTuple):
    """What is known of the worker of each replica of a target.

    ``head`` is the command, with its objects, that it looks for work with; of its ``steps`` are all that it does though
    no request is under way; it looks again after so many ``seconds`` at most. Where it ``follows`` it works on what
    requests leave behind. What requests do while it is held are the steps ``beside`` it.
    """

    head: Signature
    steps: frozenset[Signature]
    seconds: float
    follows: bool = False
    beside: tuple[Signature, ...] = ()

    @property
    def patience(self) -> float:
        """For how many seconds it is waited for."""
        return 2 * self.seconds + 0.2


class Workers:
    """The workers of one run. ``moved`` are the replicas in which one was let go."""

    def __init__(
        self,
        known: Working | None,
        gate: Gate,
        names: Attribution,
        let: Callable[[Frame], Awaitable[None]],
        replicas: Collection[int],
    ) -> None:
        """Take what is ``known`` of them, if there are any, and how to ``let`` a command go; none was let go yet."""
        self._known, self._gate, self._names, self._let, self._replicas = known, gate, names, let, replicas
        self._turn: set[Frame] = set()
        self.moved: set[int] = set()
        self.holding = False

    def offered(self, frames: Iterable[Frame]) -> list[Frame]:
        """Leave out what workers show that is not of the turn that a run begins with."""
        return [one for one in frames if not is_worker(one.actor) or (one in self._turn and not self.holding)]

    def or_any(self, moves: list[Move], frames: Iterable[Frame]) -> list[Move]:
        """Add whatever a worker shows where nobody else can go."""
        if self.holding or any(is_request(one.actor) or one.actor.startswith(("watch:", "worker:")) for one in moves):
            return moves
        return [*(step.move for _, step in ready(frames)), *moves]

    def went_on(self, shown: Iterable[Frame]) -> None:
        """Take in what a worker showed right after it was let go: its turn goes on with it."""
        self._turn |= {one for one in shown if is_worker(one.actor)}

    async def home(self, own: Callable[[Frame], Awaitable[None]], kept: Collection[Frame]) -> None:
        """Let all pass until each worker is about to look for work, which is then its first step.

        What is ``kept`` stays. A replica whose worker does not come has none, as the one that does not lead.
        """
        learned, gate = self._known, self._gate
        if learned is None or self.holding:
            return
        there: dict[int, Frame] = {}
        wanted = set(self._replicas) - gate.workless
        until = time.perf_counter() + learned.patience
        while time.perf_counter() < until:
            seen = gate.signal.count
            for number in self._replicas:
                gate.settle(number)
            for frame in list(gate.heads()):
                if frame in kept or frame.pushed or frame.waiting:
                    continue
                if await self._names.signature(frame) == learned.head and not self._is_old(frame, there):
                    gate.working.add(frame.channel)
                    there[frame.channel.replica] = frame
                else:
                    await self._names.note(frame)
                    await self._let(frame)
            if there.keys() >= wanted:
                break
            await gate.signal.wait(seen, max(0.0, until - time.perf_counter()))
        gate.workless |= wanted - there.keys()
        for frame in there.values():
            frame.actor, frame.step = "", None
            await own(frame)
            self.went_on([frame])

    def _is_old(self, frame: Frame, there: dict[int, Frame]) -> bool:
        """Tell whether a command is held for so long that it is let go; one of each replica is held."""
        known = there.get(frame.channel.replica)
        return (known is not None and known is not frame) or time.perf_counter() > frame.parked_at + _HELD_SECONDS

    async def finish(
        self, frames: Sequence[Frame], news: Callable[[], Awaitable[bool]], go: Callable[[Frame], Awaitable[None]]
    ) -> None:
        """Let each worker end its turn, as all requests are over; ``frames`` are what is parked.

        ``news`` takes in what has come, ``go`` lets a command go.
        """
        learned = self._known
        if learned is None:
            return
        for replica in set(self._replicas) - self._gate.workless:
            if replica in self.moved or learned.follows:
                await self._end(replica, learned, frames, news, go)

    async def _end(
        self,
        replica: int,
        learned: Working,
        frames: Sequence[Frame],
        news: Callable[[], Awaitable[bool]],
        go: Callable[[Frame], Awaitable[None]],
    ) -> None:
        turns, found, signal, over = 0, True, self._gate.signal, time.perf_counter()
        until = over + learned.patience
        for _ in range(_MOST_STEPS):
            while not (shown := [one for one in ready(frames, also=is_request) if one[0].channel.replica == replica]):
                seen = signal.count
                if time.perf_counter() > until:
                    return
                if not await news():
                    await signal.wait(seen, max(0.0, until - time.perf_counter()))
            frame, step = shown[0]
            signature = step.move.command, plain(step.move.object)
            if signature == learned.head:
                if not (learned.follows and found) or turns == _MOST_TURNS:
                    return
                turns, found = turns + 1, frame.parked_at < over  # it may look for what was there when it was sent
            found = found or signature not in learned.steps
            await go(frame)
            until = time.perf_counter() + learned.patience


def ready(frames: Iterable[Frame], also: Callable[[str], bool] = is_worker) -> list[tuple[Frame, Step]]:
    """Give the steps that can go of workers, and ``also`` of other actors."""
    shown = [one for one in frames if (is_worker(one.actor) or also(one.actor)) and not one.waiting]
    heads = [one for one in shown if any(one is head for head in one.channel.heads())]
    return [(one, one.step) for one in heads if one.step is not None]


def working_of(shown: Sequence[tuple[float, Signature]], conflicting: Collection[Signature]) -> Working | None:
    """Read from what a connection showed when what a worker does; None where nothing of it conflicts.

    It looks for work with what comes most often, and of that after the longest pause.
    """
    pauses: dict[Signature, list[float]] = {}
    for (before, _), (now, signature) in pairwise(shown):
        if signature in conflicting:
            pauses.setdefault(signature, []).append(now - before)
    if not pauses:
        return None
    often = max(map(len, pauses.values())) - 1
    head = max(pauses, key=lambda one: (len(pauses[one]) >= often, sum(pauses[one]) / len(pauses[one])))
    looks = [now for now, signature in shown if signature == head]
    seconds = max((later - now for now, later in pairwise(looks)), default=max(pauses[head]))
    return Working(head, frozenset(signature for _, signature in shown if signature in conflicting), seconds)


def pooled(worker: Working, traces: Iterable[Trace]) -> bool:
    """Tell whether the connection of a worker carried what a request did: then it is one of a pool."""
    for trace in traces:
        steps = [one for one in trace.events if one.kind is Kind.STEP]
        own = Counter((one.command, plain(one.object)) for one in steps if not is_worker(one.actor))
        missing = Counter(worker.beside) - own
        if any(is_worker(one.actor) and (one.command, plain(one.object)) in missing for one in steps):
            return True
    return False
