"""One start of the command: its commands on the gated objects are parked, and a chooser says who goes next."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, NamedTuple

from stress.core.outcomes import How, Outcome
from stress.core.step import WHOLE, Access
from stress.core.symbols import Names
from stress.engine.wrap.actors import Actors
from stress.engine.wrap.choosers import WAIT
from stress.engine.wrap.command import Running
from stress.engine.wrap.schedule import CLOCK, FOREIGN, Turn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stress.core.patterns import Patterns, Shown
    from stress.core.step import Touch
    from stress.engine.wrap.choosers import Chooser
    from stress.engine.wrap.command import Command
    from stress.protocols.gate import Frame
    from stress.protocols.wrapped import Called, GatedStore

_STORE_SECONDS = 5.0
_LOOK_SECONDS, _IDLE_SECONDS = 0.0005, 0.05
_TURNS = 8
"""So many turns the event loop takes at most from a connection that has come to what was sent on it."""
_WHOLE_SECONDS = 0.2
_BUSY_SECONDS = 3.0
"""How long a tree may stay awake beside parked commands before one goes all the same: something in it polls."""
_KNOWN_AWAKE, _AWAKE_SECONDS = 2, 0.2
"""Once it has done so twice, it is waited for no longer than this."""
_BACKOFF_SECONDS = 0.1
_WAIT_SECONDS = 1.0
"""How long a step of a schedule is waited for that is not parked while everything sleeps."""
_REPEATED = 3
"""So often in a row an actor may ask the same and be replied the same before all others go first."""
_HALF, _PAST = 0.5, 0.003


class Known(NamedTuple):
    """What is known of the command: its generated values, and patterns of the objects to gate (none: all)."""

    patterns: Patterns
    objects: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Taken:
    """A step that was taken: its turn, what came of it, and who else could have gone (their names)."""

    turn: Turn
    outcome: Outcome = field(default_factory=Outcome)
    touches: tuple[Touch, ...] = ()
    others: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()

    @property
    def writes(self) -> bool:
        """Whether it may change anything."""
        return any(touch.access is not Access.READ for touch in self.touches)


@dataclass(slots=True)
class Ended:
    """How a start ended.

    ``code`` is the exit code of the command (None: its time ran out), ``fault`` why nothing follows from the start,
    ``diverged`` where it left its schedule. ``seen`` counts all commands at the gate, ``together`` is how many actors
    waited at once at most, ``callers`` how many there were, ``awake`` how often one went although not all slept.
    ``shown`` are the words of each actor, ``crossed`` tells whether a second began unasked between two choices.
    """

    code: int | None = None
    seconds: float = 0.0
    taken: list[Taken] = field(default_factory=list)
    output: str = ""
    fault: str = ""
    diverged: str = ""
    seen: int = 0
    together: int = 0
    callers: int = 0
    awake: int = 0
    crossed: bool = False
    shown: dict[str, list[Shown]] = field(default_factory=dict)

    @property
    def failed(self) -> bool:
        """Whether the command said that something is wrong."""
        return self.code not in (0, None) and not self.fault

    @property
    def passed(self) -> bool:
        """Whether the command said that all is well."""
        return self.code == 0 and not self.fault

    @property
    def turns(self) -> tuple[Turn, ...]:
        """The schedule that was followed."""
        return tuple(one.turn for one in self.taken)

    @property
    def choices(self) -> int:
        """How often there were several to choose from."""
        return sum(1 for one in self.taken if one.others)


def gated(touches: Sequence[Touch], patterns: Sequence[str]) -> bool:
    """Tell whether a command accesses a gated object; without patterns every object is gated."""
    return not patterns or any(
        touch.object == WHOLE
        or any(fnmatchcase(touch.object, pattern) or touch.object.startswith(f"{pattern}/") for pattern in patterns)
        for touch in touches
    )


async def free(store: GatedStore, command: Command, limit: float) -> Ended:
    """Start the command with the gate open, at most ``limit`` seconds long."""
    store.gate.reopen()
    await store.begin()
    running = Running(command, store.gate.signal.notify)
    ended = Ended()
    try:
        while running.code is None and time.perf_counter() - running.begun < limit:
            await store.gate.signal.wait(store.gate.signal.count, _IDLE_SECONDS)
    finally:
        ended.code, ended.seconds = running.code, time.perf_counter() - running.begun
        ended.output = running.end()
        await store.reset()
    ended.fault = store.gate.fault or store.death
    store.gate.fault = ""
    return ended


class Start:
    """One start with the gate closed. ``record`` lets everything go at once, and notes it."""

    def __init__(
        self,
        store: GatedStore,
        chooser: Chooser,
        known: Known,
        *,
        record: bool = False,
    ) -> None:
        """Take who chooses, and what is known of the command."""
        self._store, self._gate, self._chooser = store, store.gate, chooser
        self._objects, self._record = known.objects, record
        self._names = Names("", "", time.time(), seconds=False, patterns=known.patterns)
        self._actors = Actors(pooled=store.pooled)
        self._called: dict[Frame, Called] = {}
        self._unnamed: list[Frame] = []
        self._flying: list[Frame] = []
        self._ended = Ended()
        self._partial = 0.0
        self._aligned, self._waiting, self._second = False, 0.0, 0

    async def run(self, command: Command, limit: float) -> Ended:
        """Start the command and let its steps go one by one, until it ends or ``limit`` seconds have passed."""
        self._gate.close()
        await self._store.begin()
        self._running = Running(command, self._gate.signal.notify)
        ended = self._ended
        try:
            while self._running.code is None and not self._gate.fault:
                if time.perf_counter() - self._running.begun > limit:
                    break
                await self._look()
        finally:
            ended.code, ended.seconds = self._running.code, time.perf_counter() - self._running.begun
            ended.output = self._running.end()
            ended.fault = self._gate.fault or self._store.death
            self._gate.reopen()
            await self._store.reset()
        ended.diverged = self._chooser.diverged or ended.diverged
        return ended

    async def _look(self) -> None:
        """Take in what has come; let one go if everything sleeps."""
        seen = self._gate.signal.count
        await self._take_in()
        able = self._able()
        if not able:
            await self._gate.signal.wait(seen, _LOOK_SECONDS if self._gate.unsettled(0) else _IDLE_SECONDS)
        elif await self._quiescent():
            await self._go()

    async def _take_in(self) -> None:
        """Park what has come, and let go at once what accesses no gated object."""
        if self._gate.unsettled(0) and self._whole():
            for frame in self._gate.settle(0):
                self._ended.seen += 1
                called = self._called[frame] = await self._store.call(frame, self._names)
                if not self._record and gated(called.touches, self._objects):
                    self._unnamed.append(frame)
        for frame in list(self._gate.heads()):
            if frame in self._called and not frame.actor and frame not in self._unnamed:
                if self._record:
                    await self._noted(frame)
                else:
                    frame.channel.forward(frame)
                    self._flying.append(frame)
        self._flying = [frame for frame in self._flying if frame.replied_at is None]

    def _whole(self) -> bool:
        """Tell whether all that was sent together is here; who does not read its replies is not waited for."""
        if not self._gate.busy(0):
            self._partial = 0.0
            return True
        now = time.perf_counter()
        self._partial = self._partial or now
        return now - self._partial > _WHOLE_SECONDS

    async def _noted(self, frame: Frame) -> None:
        """Let a command through that is only looked at."""
        called = self._called[frame]
        await self._store.release(frame, self._names, _STORE_SECONDS)
        turn = Turn("", called.command, called.objects, called.text)
        outcome = frame.outcome(self._names.replace)
        self._ended.taken.append(Taken(turn, outcome, called.touches, (), called.foreign))

    def _able(self) -> list[Frame]:
        """Give those that can go now."""
        return [frame for frame in self._gate.heads() if frame.actor or frame in self._unnamed]

    async def _quiescent(self) -> bool:
        """Wait until the whole tree sleeps; False if something came meanwhile that was not taken in."""
        until = time.perf_counter() + (_BUSY_SECONDS if self._ended.awake < _KNOWN_AWAKE else _AWAKE_SECONDS)
        seen = self._gate.signal.count
        while time.perf_counter() < until:
            if self._running.code is not None or self._gate.fault:
                return False
            if self._sleeps() is not None:
                for _ in range(_TURNS):
                    await asyncio.sleep(0)
                if self._gate.signal.count == seen and not self._gate.unsettled(0) and self._sleeps() is not None:
                    return True
            await asyncio.sleep(0)  # who else runs here, such as a connection that is made, must go on
            if self._gate.signal.count != seen or self._gate.unsettled(0):
                return False
            await asyncio.sleep(_LOOK_SECONDS)
        self._ended.awake += 1
        return True

    def _sleeps(self) -> object | None:
        """Prove that the tree sleeps, and that nothing is on its way to it or from it."""
        if self._gate.busy(0) or any(frame.replied_at is None for frame in self._flying):
            return None
        sleep = self._running.sleep()
        return sleep if sleep is not None and not self._gate.busy(0) else None

    def _name(self) -> None:
        """Give everything that is parked its actor."""
        parked = {frame.actor: frame.channel for frame in self._gate.heads() if frame.actor}
        fresh, self._unnamed = self._unnamed, []
        self._actors.name(fresh, parked, lambda frame: self._called[frame].text)
        for frame in fresh:
            self._ended.shown.setdefault(frame.actor, []).extend(self._called[frame].shown)

    async def _go(self) -> None:
        """Ask the chooser who goes, and let it go."""
        self._name()
        by_turn = {self._turn(frame): frame for frame in reversed(self._able())}
        able = self._fair(sorted(by_turn, key=lambda turn: (len(turn.actor), turn.actor)))
        self._ended.together = max(self._ended.together, len(able))
        self._ended.callers = self._actors.count
        if len(able) > 1 and self._chooser.clock and not self._aligned:
            self._aligned = True
            await self._align()
        if len(able) > 1:
            before, self._second = self._second, int(time.time())
            self._ended.crossed = self._ended.crossed or 0 < before < self._second
        chosen = self._chooser.choose(able, late=False)
        if chosen == WAIT:
            now = time.perf_counter()
            self._waiting = self._waiting or now
            if await self._more(self._waiting + _WAIT_SECONDS - now):
                return
            chosen = self._chooser.choose(able, late=True)
        self._waiting = 0.0
        others = tuple(turn.actor for turn in able if turn.actor != chosen.actor)
        if chosen.actor == CLOCK:
            await self._tick()
            self._second = int(time.time())
            self._ended.taken.append(Taken(chosen, others=others))
        elif chosen.actor == FOREIGN:
            said = await self._store.write(chosen.foreign)
            self._ended.taken.append(Taken(chosen, Outcome(value=self._names.replace(said)), others=others))
        else:
            await self._let(by_turn[chosen], chosen, others)

    def _fair(self, able: list[Turn]) -> list[Turn]:
        """Leave those out that ask the same again and again and are replied the same, where others can go.

        They make no progress (fair scheduling, Musuvathi and Qadeer, PLDI 2008).
        """

        def polls(turn: Turn) -> bool:
            last = [one for one in self._ended.taken if one.turn.actor == turn.actor][-_REPEATED:]
            same = {(one.turn.text, str(one.outcome.value)) for one in last}
            return len(last) == _REPEATED and len(same) == 1 and last[0].turn.text == turn.text

        return [turn for turn in able if not polls(turn)] or able

    def _turn(self, frame: Frame) -> Turn:
        called = self._called[frame]
        return Turn(frame.actor, called.command, called.objects, called.text)

    async def _let(self, frame: Frame, turn: Turn, others: tuple[str, ...]) -> None:
        self._actors.let_go = frame.actor
        replied = await self._store.release(frame, self._names, _STORE_SECONDS)
        called, outcome = self._called.pop(frame), frame.outcome(self._names.replace)
        if frame.seen is not None:
            self._called[frame] = called
            called = await self._store.call(frame, self._names)
            del self._called[frame]
        self._ended.taken.append(Taken(turn, outcome, called.touches, others, called.foreign))
        if not replied:
            self._gate.fail(f"the store did not reply to {turn.shown} within {_STORE_SECONDS:g} s")
        elif others and outcome.how is How.REFUSED:
            await self._more(_BACKOFF_SECONDS)  # who is refused comes again: that is one of the choices then

    async def _more(self, seconds: float) -> bool:
        """Wait until something new is parked, at most so long; tell whether there was anything."""
        until = time.perf_counter() + seconds
        while not self._gate.unsettled(0) and self._running.code is None:
            if (left := until - time.perf_counter()) <= 0:
                return False
            await self._gate.signal.wait(self._gate.signal.count, min(left, _IDLE_SECONDS))
        return True

    async def _align(self) -> None:
        """See that what comes before the clock step is in one second."""
        passed = time.time() % 1
        if passed > _HALF:
            await asyncio.sleep(1 - passed + _PAST)

    async def _tick(self) -> None:
        """Wait for the start of the next second."""
        await asyncio.sleep(1 - time.time() % 1 + _PAST)
