"""Requests one after another, before any search: they show what is normal for a target."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING

from stress.core.masking import mask_text
from stress.core.patterns import Patterns, counterparts, learn
from stress.core.step import Access, Move, Step
from stress.core.trace import Kind
from stress.executors.asked import Asked, Crossed, Probed, new_fresh
from stress.executors.live.drive import CROSSINGS, STORE_SECONDS
from stress.executors.live.isolated import Isolated
from stress.executors.live.record import plain
from stress.executors.live.request import Request, Signature
from stress.executors.live.workers import Working, pooled, ready, working_of
from stress.schedulers.base import is_request, is_worker
from stress.schedulers.interleaving import Interleaving

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from stress.core.patterns import Shown
    from stress.core.step import Touch
    from stress.core.trace import Snapshot, Trace
    from stress.executors.live.executor import LiveExecutor
    from stress.protocols.gate import Channel

_SAMPLES = 3
"""How many sequential runs a target that is not bundled has: what is common to three samples is no accident."""
_NO_MOVE = Move("", "", "")
_LEAST, _GENEROUS = 0.02, 0.1
"""The shortest settle time, and the shortest while it is being learned, in seconds: a sleep may vary.

A connection that is opened after the answer takes a moment too, in which the process sleeps.
"""


@dataclass(frozen=True, slots=True)
class Sample:
    """One sequential run: its trace, and the state before the first request and after each.

    ``before`` is whether a command came through the gate while the requests were sent that come before.
    ``shown`` are the commands of each actor with their words as they were, but for what we chose.
    """

    trace: Trace
    states: tuple[Snapshot, ...]
    before: bool = False
    shown: Mapping[str, Sequence[Shown]] = field(default_factory=dict)

    @property
    def objects(self) -> list[str]:
        """The words that named objects, as they were but for what we chose."""
        return [one.words[at] for several in self.shown.values() for one in several for at in one.objects]


@dataclass(frozen=True, slots=True)
class Learned:
    """What is normal for a target.

    ``settle`` is for how many seconds a request's next step is waited for after its answer (0: quiescence alone tells
    that there is none), ``longest`` how long one was waited for at most until it came. ``idle`` are commands, each with
    its objects, that come while no request is under way; those are ``passing`` that are no request's, and of them
    ``unsteered`` that conflict with what requests do. A ``worker`` that conflicts is an actor where it has a connection
    to itself. ``patterns`` say which values it makes up. ``turned`` is one more sample of a target with several
    replicas, in which each request goes to the next; it is not judged.
    """

    samples: tuple[Sample, ...] = ()
    settle: float = 0.0
    idle: frozenset[Signature] = frozenset()
    longest: float = 0.0
    passing: frozenset[Signature] = frozenset()
    unsteered: frozenset[Signature] = frozenset()
    worker: Working | None = None
    patterns: Patterns = field(default_factory=Patterns)
    turned: Sample | None = None

    @property
    def objects(self) -> list[str]:
        """The words that named objects, as they were but for what we chose."""
        return [word for sample in self.samples for word in sample.objects]

    def is_idle(self, move: Move) -> bool:
        """Tell whether a step is of a kind that comes while no request is under way."""
        return (move.command, plain(move.object)) in self.idle

    def passes(self, command: str, objects: str) -> bool:
        """Tell whether a command is no request's."""
        return (command, plain(objects)) in self.passing


class Sequential(Isolated):
    """Each request alone, every event of a watch delivered as soon as it is there, state read in quiescence.

    With ``watching`` the deployment is watched for one patience after the last answer. ``late`` are the store commands
    that came after an answer, each with how many seconds after it.
    """

    def __init__(self, executor: LiveExecutor, *, watching: bool = False, turned: Sequence[int] = ()) -> None:
        """Prepare a run with new values; ``turned`` are the replicas of the requests, where they are not their own."""
        super().__init__(executor, Asked(Interleaving(()), new_fresh()))
        self.states: list[Snapshot] = []
        self.sequential = True
        self.late: list[tuple[float, Signature]] = []
        self._watching = watching
        self.shown = self._attribution.shown = {}
        self._turned = executor.connected(places) if (places := [*turned]) else {}
        for place, (actor, client) in zip(places, self._turned.items(), strict=True):
            self._requests[actor] = Request(actor, place, client)

    async def run(self) -> Trace:
        """Send the requests and close what was opened for them."""
        try:
            return await super().run()
        finally:
            await asyncio.gather(*(client.close() for client in self._turned.values()))

    async def _loop(self) -> None:
        self.states.append(await self._observe())
        for request in self._requests.values():
            await self._isolated(request)
            if self._faulty():
                return
            self.states.append(await self._observe())
        if self._watching:
            await self._watch()
        while not self._faulty() and not await self._settled():
            pass

    def _endless(self, answered: float) -> bool:
        """Tell whether a request goes on for ever: the watch after the last answer sees it too."""
        return self._watching and time.perf_counter() > answered + self._executor.patience

    async def _go(self, move: Move) -> None:
        await super()._go(move)
        self._note_second()

    async def _watch(self) -> None:
        """See whether commands come after the last answer, and let them through."""
        answered = time.perf_counter()
        until = answered + self._executor.patience
        while time.perf_counter() < until and not self._faulty():
            if (move := self._next_sequential()) is not None:
                self._note_late(move, answered)
                await self._go(move)
                continue
            seen = self._signal.count
            for number, replica in self._executor.replicas.items():
                if self._gate.unsettled(number):
                    await self._take_in(replica)
            if self._next_sequential() is None:
                await self._signal.wait(seen, until - time.perf_counter())

    def mixed(self, idle: AbstractSet[Signature]) -> AbstractSet[Signature]:
        """Give the commands that went down connections on which others went too than those of no request."""
        ways = self._attribution.carried.values()
        return {one for way in ways if not way <= idle for one in way}

    def _note_late(self, move: Move, answered: float) -> None:
        """Note a command that came after an answer."""
        if not move.actor.startswith(("watch:", "worker:")):
            frame = next(one for one in self._frames if one.step is not None and one.step.move == move)
            self.late.append((max(0.0, frame.parked_at - answered), (move.command, plain(move.object))))


class Idle(Isolated):
    """No request at all, for two patiences: ``seen`` are the commands that come all the same.

    Those of them are in ``waits`` whose replies wait for another client. ``ways`` tells by connection what came when
    (`time.perf_counter`).
    """

    def __init__(self, executor: LiveExecutor) -> None:
        """Prepare to watch."""
        super().__init__(executor, Asked(Interleaving(()), new_fresh()))
        self.seen: dict[Signature, set[Touch]] = {}
        self.waits: set[Signature] = set()
        self.ways: dict[Channel, list[tuple[float, Signature]]] = {}

    async def _before(self) -> None:
        """Send nothing."""
        self._gate.close()

    async def _loop(self) -> None:
        until = time.perf_counter() + 2 * self._executor.patience
        while time.perf_counter() < until and not self._faulty():
            so_far = self._signal.count
            for number in self._executor.replicas:
                for frame in self._gate.settle(number):
                    found = await self._attribution.found(frame)
                    signature = frame.command, plain(mask_text(" ".join(found.objects)))
                    self.seen.setdefault(signature, set()).update(found.touches)
                    self.ways.setdefault(frame.channel, []).append((frame.parked_at, signature))
                    if frame.waiting:
                        self.waits.add(signature)
            for head in list(self._gate.heads()):
                await self._executor.deployment.let(head, self._attribution.named, STORE_SECONDS)
            await self._signal.wait(so_far, until - time.perf_counter())


class Held(Sequential):
    """Each request alone while all connections are held that commands of no request came by; then those for a while.

    So what is shown first is of requests: their ``steps``. What is shown later is of workers: ``after``. ``apart`` are
    the connections held on which nothing else came.
    """

    def __init__(self, executor: LiveExecutor, ways: Collection[Channel], seconds: float) -> None:
        """Prepare to hold these connections, and then to watch them for so many seconds."""
        super().__init__(executor)
        self._ways, self._longer = ways, seconds
        self._workers.holding = True
        self.apart: set[Channel] = set()
        self.steps: list[Step] = []
        self.after: list[Step] = []

    async def _loop(self) -> None:
        self._gate.working |= set(self._ways)
        await super()._loop()
        steps = [one for one in self._record.events if one.kind is Kind.STEP and one.actor in self._requests]
        self.steps = [Step(Move(one.actor, one.command, plain(one.object)), one.touches) for one in steps]
        behind = Counter(frame.channel for frame in self._frames)
        self.apart = {way for way in self._ways if way in self._gate.working and behind[way] <= 1}
        self._workers.holding = False
        until = time.perf_counter() + self._longer
        while time.perf_counter() < until and not self._faulty():
            seen, shown = self._signal.count, ready(self._frames, also=is_request)
            for frame, step in shown:
                self.after.append(step)
                await self._work_on(frame)
            if not shown and not await self._news():
                await self._signal.wait(seen, max(0.0, until - time.perf_counter()))


async def _worker(executor: LiveExecutor, idle: Idle) -> Working | None:
    """See whether one connection, of each replica at most, is a worker's whose commands conflict with requests."""
    ways = {
        way: shown for way, shown in idle.ways.items() if len(shown) > 1 and idle.waits.isdisjoint(dict(shown).values())
    }
    if not ways:
        return None
    executor.expected.clear()  # it may be wrong about whose the commands were
    executor.learned = Learned()
    longest = max(later[0] - now[0] for shown in ways.values() for now, later in pairwise(shown))
    drive = executor.begun(Held(executor, ways.keys(), min(2 * executor.patience, 4 * longest + _GENEROUS)))
    try:
        trace = await drive.run()
    except (Crossed, Probed):
        return None
    finally:
        executor.gate.let_go()
        await executor.forget(drive.written)
    conflicting = {
        signature
        for signature, touches in idle.seen.items()
        if any(Step(_NO_MOVE, tuple(touches)).conflicts(one) for one in drive.steps)
    }
    working = {way: found for way, shown in ways.items() if (found := working_of(shown, conflicting)) is not None}
    one_each = len({way.replica for way in working}) == len(working)
    if trace.fault or not working or not one_each or not working.keys() <= drive.apart:
        return None
    first, *others = working.values()
    if any(one.head != first.head for one in others):
        return None
    for way in working:
        executor.carriers.discard(way)
    writes = [one for one in drive.after if any(touch.access is not Access.READ for touch in one.touches)]
    follows = any((one.move.command, plain(one.move.object)) not in idle.seen for one in writes)
    beside = tuple((one.move.command, one.move.object) for one in drive.steps)
    return first._replace(follows=follows, seconds=max(one.seconds for one in working.values()), beside=beside)


async def preflight(executor: LiveExecutor) -> Learned:
    """Send what the scenario would send, one request after another, and learn from it."""
    learned = await _learned(executor)
    if learned.worker is not None and pooled(learned.worker, [one.trace for one in learned.samples]):
        executor.gate.let_go()
        executor.expected.clear()
        executor.learned = Learned()
        learned = await _learned(executor, workers=False)
    patterns = learn([sample.shown for sample in learned.samples], time.time())
    return replace(learned, patterns=patterns, turned=await _turned(executor, learned))


async def _turned(executor: LiveExecutor, learned: Learned) -> Sample | None:
    """Send the requests to other replicas than their own, to distinguish what is a replica's from what is a request's.

    A bundled Gateway is known, and where requests failed nothing more is learned.
    """
    number, target = executor.target.replicas, executor.target
    if target.protocol is not None or number == 1 or any(sample.trace.fault for sample in learned.samples):
        return None
    executor.learned = learned
    return (await _sample(executor, turned=[place % number + 1 for place in executor.scenario.places]))[1]


async def renamed(executor: LiveExecutor) -> dict[str, str]:
    """Give what a process made up at its start, and what stands there in the one that ``executor.learned`` is of."""
    executor.renamed, learned = {}, executor.learned
    if not learned.patterns.kept:
        return {}
    own = (await _sample(executor))[1]
    return counterparts(learned.objects, own.objects, learned.patterns.kept)


async def _learned(executor: LiveExecutor, *, workers: bool = True) -> Learned:
    """Take the samples and see what comes after the answers; unless ``workers`` none of that is an actor.

    A bundled Gateway is known: it is asked once, and not watched. One that goes on after its last answer is asked once
    more, with time enough for what is late to be seen as the step of its request.
    """
    bundled, wanted = executor.target.protocol is not None, executor.target.settle
    if bundled or wanted is not None:
        executor.learned = Learned(settle=wanted if isinstance(wanted, float) else 0.0)
        await asyncio.sleep(executor.learned.settle)  # what the requests that warmed it up caused
        return replace(executor.learned, samples=await _samples(executor, 1 if bundled else _SAMPLES))
    drive, first = await _sample(executor, watching=True)
    if not drive.late:
        return Learned((first, *await _samples(executor, _SAMPLES - 1)))
    idling = await _idle(executor) if any(delay > _LEAST for delay, _ in drive.late) else Idle(executor)
    worker, waits = await _worker(executor, idling) if workers else None, idling.waits
    seen = {one: touches for one, touches in idling.seen.items() if worker is None or one not in worker.steps}
    executor.learned = Learned(idle=frozenset(seen), worker=worker)
    if worker is not None:
        drive, first = await _sample(executor, watching=True)
    own, left = _own(first.trace) & seen.keys() & drive.mixed(seen.keys()), _SAMPLES - 1
    while own and left:  # what comes at any time comes during a request by chance; what is a request's, in each run
        own &= _own((await _sample(executor))[1].trace)
        left -= 1
    idle, passing = frozenset(seen), frozenset(seen.keys() - own - waits)
    unsteered = passing - frozenset(_apart({one: seen[one] for one in passing}, first.trace))
    delays = [delay for delay, signature in drive.late if signature not in idle]
    if not delays:
        executor.learned = Learned(idle=idle, passing=passing, unsteered=unsteered, worker=worker)
        return replace(executor.learned, samples=(first, *await _samples(executor, _SAMPLES - 1)))
    executor.expected.clear()  # it may be wrong about whose the late commands were
    settle = max(4 * max(delays), _GENEROUS)
    executor.learned = Learned(settle=settle, idle=idle, passing=passing, unsteered=unsteered, worker=worker)
    samples = await _samples(executor, _SAMPLES)
    settle = max(2 * executor.learned.longest, 2 * max(delays), _LEAST)
    return replace(executor.learned, samples=samples, settle=settle, longest=0.0)


def _own(trace: Trace) -> frozenset[Signature]:
    """Give what requests did before they were answered."""
    found, answered = set[Signature](), set[str]()
    for event in trace.events:
        if event.kind is Kind.ANSWER:
            answered.add(event.actor)
        elif event.kind is Kind.STEP and event.actor not in answered and not is_worker(event.actor):
            found.add((event.command, plain(event.object)))
    return frozenset(found)


def _apart(idle: Mapping[Signature, Collection[Touch]], trace: Trace) -> Iterator[Signature]:
    """Give what comes while no request is under way and conflicts with nothing that the requests of a run do."""
    steps = [one for one in trace.events if one.kind is Kind.STEP and not is_worker(one.actor)]
    own = [Step(_NO_MOVE, one.touches) for one in steps if (one.command, plain(one.object)) not in idle]
    for signature, touches in idle.items():
        if not any(Step(_NO_MOVE, tuple(touches)).conflicts(one) for one in own):
            yield signature


async def _samples(executor: LiveExecutor, number: int) -> tuple[Sample, ...]:
    samples: list[Sample] = []
    while len(samples) < number and not any(sample.trace.fault for sample in samples):
        samples.append((await _sample(executor))[1])
    return tuple(samples)


async def _idle(executor: LiveExecutor) -> Idle:
    drive = executor.begun(Idle(executor))
    try:
        await drive.run()
    finally:
        await executor.forget(drive.written)
    return drive


async def _sample(
    executor: LiveExecutor, *, watching: bool = False, turned: Sequence[int] = ()
) -> tuple[Sequential, Sample]:
    crossed = 0
    while crossed < CROSSINGS:
        drive = executor.begun(Sequential(executor, watching=watching, turned=turned))
        try:
            return drive, Sample(await drive.run(), tuple(drive.states), drive.gated, drive.shown)
        except (Crossed, Probed) as repeat:
            crossed += isinstance(repeat, Crossed)
        finally:
            await executor.forget(drive.written)
    trace = drive.abandoned(f"the run crossed a second unasked {CROSSINGS} times")
    return drive, Sample(trace, tuple(drive.states))
