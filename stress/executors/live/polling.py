"""Who asks the same again and again: fair scheduling, so that a lock that is polled for is judged like any other.

A request that repeats its commands with the same replies makes no progress until another changes what it asks for. So
after one repetition every other actor that can go goes first (Musuvathi and Qadeer, Fair stateless model checking, PLDI
2008). A repetition has two ends: the change is seen, or the request gives up, which is explored where it comes soon.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from stress.core.outcomes import How
from stress.core.step import WHOLE, Access
from stress.core.trace import Kind
from stress.executors.live.record import Try, plain
from stress.schedulers.base import is_request

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from stress.core.step import Move, Touch
    from stress.core.trace import Event
    from stress.executors.live.record import Record
    from stress.executors.live.request import Request
    from stress.protocols.gate import Frame

POLL_SECONDS = 1.0
"""How soon a request that asks in vain must give up for that to be explored."""
_LONGEST = 8
"""How many commands a request repeats at most."""
_STEPS = 3
"""Who gives up after so many more repetitions is no loop but a few lines: then each of them is a step as any other."""
_QUICK_SECONDS = 0.008
"""How long a step takes at most of who does not sleep before it."""
_GIVES_UP = f"giving up after more than {POLL_SECONDS:g} s of polling"
_SCRIPTS = ("EVAL", "FCALL")
"""They may have written although their reply is that of a refusal."""

Key = frozenset[tuple[str, ...]]


class Ends(Enum):
    """How a request ends that asks in vain while nobody else is let go."""

    STEPS = "after a few steps"
    SOON = "soon"
    LATE = "late"


class Ending(NamedTuple):
    """How a loop ends, and after how many steps in all, counted from the first; 0 where that is a question of time.

    The number is ``sure`` once it was the same twice. A request that slept, or was only slow, was ``slow``.
    """

    how: Ends
    steps: int = 0
    sure: bool = True
    slow: bool = False

    def seen(self, repeat: Ending) -> Ending:
        """Give what is known of a loop of which this was not sure, and that was looked at again.

        A number is of two looks, of which one was not slow: a request that sleeps is slow in both.
        """
        if repeat.how is Ends.STEPS or (self.slow and repeat.how is Ends.LATE):
            return repeat
        if repeat.steps == self.steps and not (self.slow and repeat.slow):
            return Ending(self.how, self.steps)
        return Ending(self.how)


class Loop(NamedTuple):
    """What a request repeats: its last steps, the one that comes next first; and how many it has taken so far."""

    tries: tuple[Try, ...]
    taken: int

    @property
    def key(self) -> Key:
        """What tells the loop from others in any run."""
        return frozenset((one.frame.command, *map(plain, asked(one.frame)[1:])) for one in self.tries)

    def at(self, number: int) -> Frame:
        """Give what is asked as the ``number``-th, counted from 0."""
        return self.tries[number % len(self.tries)].frame


def asked(frame: Frame) -> tuple[str, ...]:
    """Give what a step asks for: its command, objects and words, but for the numbers of made-up values."""
    assert frame.step is not None  # noqa: S101 - it has its owner
    return frame.step.move.command, frame.step.move.object, plain(frame.step.text)


def same(one: Frame, other: Frame) -> bool:
    """Tell whether two steps ask the same with the same reply, or the second that less time is left of something."""
    return asked(one) == asked(other) and (one.said == other.said or _runs_out(one, other))


def _runs_out(one: Frame, other: Frame) -> bool:
    """Tell whether two steps that only read have a number for a reply that became smaller: for how long to wait."""
    touched = [touch for frame in (one, other) for touch in _touched(frame)]
    reads = all(touch.access is Access.READ for touch in touched)
    match one.replies, other.replies:
        case [int(before)], [int(after)]:
            return reads and after < before
    return False


def _touched(frame: Frame) -> Sequence[Touch]:
    """Give what a step touched; of a script what it was seen to touch, as it may declare more than it does."""
    return frame.seen if frame.seen is not None else frame.step.touches if frame.step is not None else ()


def loop_of(tries: Sequence[Try], shown: Frame) -> Loop | None:
    """Give what a request repeats that is about to begin it for the third time, or later."""
    for length in range(1, min(_LONGEST, len(tries) // 2) + 1):
        if asked(tries[-length].frame) != asked(shown):
            continue
        begun = len(tries) - length
        while begun and same(tries[begun - 1].frame, tries[begun - 1 + length].frame):
            begun -= 1
        repeated = len(tries) - begun
        if repeated >= 2 * length and repeated % length == 0:
            return Loop(tuple(tries[-length:]), sum(one.times for one in tries[begun:]))
    return None


def ending(times: int, seconds: float, loop: Loop, *, more: bool, changed: bool) -> Ending:
    """Tell how a loop ends that took ``times`` more steps, alone, and so many seconds.

    ``more`` says that it asks the same still, ``changed`` that it saw a change all the same. How often one asks that
    sleeps between may be a question of time, so that its steps are not counted; one look cannot tell it from one that
    a busy machine made slow.
    """
    if more or seconds > POLL_SECONDS:
        return Ending(Ends.LATE)
    if changed:
        return Ending(Ends.SOON)
    slow = seconds >= _QUICK_SECONDS * times
    if times <= _STEPS * len(loop.tries) and not slow:
        return Ending(Ends.STEPS)
    return Ending(Ends.SOON, loop.taken + times, sure=False, slow=slow)


class Polling:
    """Who asks in vain in one run. ``ends`` is what is known of the loops of a target, None where none is looked for.

    ``vain`` are the indexes of events with the reply that the request had before.
    """

    def __init__(self, ends: dict[Key, Ending] | None, record: Record) -> None:
        """Begin with nobody."""
        self.ends, self._record = ends, record
        self.unchanged: set[int] = set()
        self.stuck: dict[str, int] = {}

    @property
    def progress(self) -> int:
        """How much has happened that was not in vain."""
        return len(self._record.events) - len(self.unchanged)

    def loop(self, request: Request | None, frame: Frame) -> Loop | None:
        """Give what a request repeats with a step that it shows."""
        if self.ends is None or request is None or frame.pushed or frame.waiting:
            return None
        if request.answered and not request.left:
            return None
        if frame.step is None or frame.step.move.occurrence < 3:  # noqa: PLR2004 - once, and once more
            return None
        return loop_of(request.tries, frame)

    def idle(self, request: Request | None, frame: Frame) -> Loop | None:
        """Give what a request repeats where nobody has changed anything since it asked for all of it last."""
        loop = self.loop(request, frame)
        return None if loop is None or self.changed(loop, frame.actor) else loop

    def changed(self, loop: Loop, actor: str) -> bool:
        """Tell whether another has changed what a request asks for since it began to ask last."""
        objects = {touch.object for one in loop.tries if one.frame.step for touch in one.frame.step.touches}
        since = self._record.events[loop.tries[0].event :]
        return any(
            _changes(event, objects) for event in since if event.actor != actor and event.index not in self.unchanged
        )

    def unknown(self, frames: Sequence[Frame], requests: Mapping[str, Request]) -> Iterator[tuple[Frame, Loop]]:
        """Give the steps that are asked in vain of which it is not known how that ends."""
        for frame in frames:
            loop = self.idle(requests.get(frame.actor), frame)
            isolated = loop is not None and sum(one.actor == frame.actor for one in frames) == 1
            if loop is None or not isolated or self.ends is None:
                continue
            if loop.key not in self.ends or not self.ends[loop.key].sure:
                yield frame, loop

    def waiting(self, frames: Iterable[Frame], requests: Mapping[str, Request]) -> Iterator[tuple[Frame, Loop]]:
        """Give the steps that are asked in vain by who does not give up soon."""
        for frame in frames:
            loop = self.idle(requests.get(frame.actor), frame)
            if loop is not None and self.known(loop).how is Ends.LATE:
                yield frame, loop

    def fair(self, moves: list[Move], frames: Iterable[Frame], requests: Mapping[str, Request]) -> list[Move]:
        """Leave out who asks in vain and does not give up soon, as long as another can go."""
        late = {frame.step.move for frame, _ in self.waiting(frames, requests) if frame.step is not None}
        if not late:
            return moves
        others = [
            move
            for move in moves
            if move not in late and (is_request(move.actor) or move.actor.startswith(("watch:", "worker:")))
        ]
        if others:
            self._record.polling = self._record.polling or f"{min(move.actor for move in late)} {_GIVES_UP}"
        now = self.progress
        return [one for one in moves if one not in late or not (others or self.stuck.get(one.actor) == now)]

    def known(self, loop: Loop) -> Ending:
        """Tell how a loop ends; late where it is not known."""
        return (self.ends or {}).get(loop.key, Ending(Ends.LATE))

    def learn(self, loop: Loop, ending: Ending) -> None:
        """Take in how a loop ends; what was known first and for sure stays, so that schedules stay possible."""
        if self.ends is None:
            return
        known = self.ends.setdefault(loop.key, ending)
        if not known.sure and known is not ending:
            self.ends[loop.key] = known.seen(ending)

    def gave_up(self, loop: Loop, actor: str) -> None:
        """Note that a request gave up, or saw a change at last, after a number of steps that is a question of time.

        Which of them was its last try is not known: what it asks after that may be the same, and is then one of them.
        """
        known = self.known(loop)
        if known.how is Ends.SOON and not known.steps:
            self._record.polling = self._record.polling or f"another between the last two tries of {actor}"

    def left(self, loop: Loop) -> int | None:
        """Give how many steps of a loop are left before its last repetition, which is explored; None if not known.

        What a request asks after its last try may be the same once more (a poll that gives up, and a last look).
        """
        known = self.known(loop)
        if known.how is not Ends.SOON or known.slow or loop.taken >= known.steps:
            return None
        return max(0, known.steps - len(loop.tries) - loop.taken)


def _changes(event: Event, objects: set[str]) -> bool:
    """Tell whether an event may have changed one of the objects."""
    if event.kind is Kind.ENVIRONMENT or event.actor.startswith("watch:"):
        return True
    took_effect = event.outcome.how is How.OK or any(script in event.command for script in _SCRIPTS)
    if event.kind is not Kind.STEP or not took_effect:
        return False
    written = {touch.object for touch in event.touches if touch.access is not Access.READ}
    return bool(written & objects) or WHOLE in written or (bool(written) and WHOLE in objects)
