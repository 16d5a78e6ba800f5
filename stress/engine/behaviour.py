"""What requests did next after what they had observed: equal observations and different steps show hidden sharing.

A request that shares only the store with others is a function of its own commands and replies, with names that were
made up renumbered from its own side. Where the same observations are followed by different steps, requests share more:
a cache, a counter, a queue in the process. What the wire does not show ends the observations of a request: that it was
blocked, tried the same again, read a time, had several commands under way at once, or went on after its answer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from stress.core.schedule import Order
from stress.core.step import START
from stress.core.trace import Kind
from stress.schedulers.base import is_request

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from stress.core.step import Move
    from stress.core.trace import Event, Trace

_SYMBOL = re.compile(r"\{(?!fingerprint)(\w+):(\d+)\}|\{fresh\}-([A-Z])\b")
_LEFT_OUT = re.compile(r"\{(?:number|time)\}|\*\*\*")
"""What stands for values that are not told apart: times, numbers that were made up, secrets."""
_PUSHED = ("MESSAGE", "PMESSAGE", "SMESSAGE", "INVALIDATE")
_BLOCKING = re.compile(r"\b(?:B[LRZ]\w*(?:POP|MOVE|PUSH)\w*|WAIT|WAITAOF|XREAD|XREADGROUP)\b")


class Next(NamedTuple):
    """What a request did next: a command and its objects, or an answer and its status."""

    command: str
    object: str

    def __str__(self) -> str:
        """Say it in words: ``has GET lock:{fingerprint}``, ``is answered 202``."""
        return f"is answered {self.object}" if self.command == START else f"has {self.command} {self.object}".rstrip()


@dataclass(slots=True)
class _Seen:
    """One way to go on: who went so first, in which schedule, and the number of the last run that did."""

    actor: str
    moves: Sequence[Move]
    last: int
    returned: bool = False


@dataclass(slots=True)
class _Point:
    """What was observed so far, and all that came next."""

    last: str
    nexts: dict[Next, _Seen] = field(default_factory=dict)


class _Names:
    """Numbers made-up names in the order in which one request meets them."""

    def __init__(self, actor: str) -> None:
        self._actor = actor
        self._numbers: dict[str, int] = {}

    def __call__(self, text: str) -> str:
        return _SYMBOL.sub(self._rename, text)

    def _rename(self, match: re.Match[str]) -> str:
        if match[3] == self._actor:
            return "{fresh}-own"
        return f"{{{match[1] or 'other'}:{self._numbers.setdefault(match[0], len(self._numbers) + 1)}}}"


class Behaviour:
    """The table of one search. ``take`` each run; ``contradiction`` says what shows that requests share more.

    ``replicas`` tells the replica of each request that is not on the first.
    """

    def __init__(self, replicas: Mapping[str, int] | None = None) -> None:
        """Begin with no run."""
        self._replicas = replicas or {}
        self._numbers: dict[tuple[int, str], int] = {}
        self._points: dict[int, _Point] = {}
        self._runs = 0
        self._off = False

    def take(self, trace: Trace) -> None:
        """Take in one run that was followed to its end."""
        if any(_BLOCKING.search(event.command) for event in trace.events):
            self._off = True  # who waits in the store is woken by others: whose a command is then is not sure
        if self._off or trace.fault or trace.crossed_second is not None:
            return
        self._runs += 1
        for actor in dict.fromkeys(move.actor for move in trace.moves if is_request(move.actor)):
            self._follow(actor, trace)

    def _follow(self, actor: str, trace: Trace) -> None:
        """Take in what one request did, as far as the wire shows all that it did it for."""
        names, here = _Names(actor), self._point(0, f"replica {self._replicas.get(actor, 1)}")
        done: set[str] = set()
        for observed, following in _observed(actor, trace):
            if following is not None:
                known = self._points[here].nexts
                step = Next(names(following.command), names(following.object))
                if following.kind is Kind.ANSWER:
                    step = Next(START, following.command)
                seen = known.setdefault(step, _Seen(actor, trace.moves, self._runs))
                between = any(one.last > seen.last for other, one in known.items() if other != step)
                seen.returned, seen.last = seen.returned or between, self._runs
            told = names(observed)
            if following is not None and told in done:
                return  # it tries again, for how long may be a question of time
            done.add(told)
            here = self._point(here, told)

    def _point(self, before: int, observed: str) -> int:
        number = self._numbers.setdefault((before, observed), len(self._numbers) + 1)
        self._points.setdefault(number, _Point(observed))
        return number

    @property
    def contradiction(self) -> str:
        """Say which step came after the same observations as another, and in which schedules; empty where none did."""
        for point in self._points.values() if not self._off else ():
            ways = list(point.nexts.items())
            for at, (step, seen) in enumerate(ways):
                for other, instead in ways[:at]:
                    if step.command != other.command or START in (step.command, other.command) or instead.returned:
                        return (
                            f"after {point.last}, {instead.actor} {other} in {_word(instead)}, "
                            f"but {seen.actor} {step} in {_word(seen)}"
                        )
        return ""


def _word(seen: _Seen) -> str:
    return f"`{Order(tuple(seen.moves)).actors}`"


def _observed(actor: str, trace: Trace) -> Iterator[tuple[str, Event | None]]:
    """Give what a request observed, one after another, each time with the event of its own that shows what it did."""
    last, answered = 0.0, False
    events = list(trace.events)
    if any(event.actor == actor and event.kind is Kind.STEP for event in _after_answer(actor, events)):
        return
    for event in events:
        if event.kind is Kind.BLOCKED or event.actor == f"client:{actor}" or answered:
            return
        if event.actor == "clock" or event.command.partition(" ")[0].upper() in _PUSHED:
            yield f"{event.command} {event.text}", None
        elif event.actor == actor and event.kind is Kind.START:
            last = event.replied or 0.0
            yield "its start", None
        elif event.actor == actor and event.kind in (Kind.STEP, Kind.ANSWER):
            if event.kind is Kind.STEP and (event.parked or 0.0) < last:
                return  # it was there before: several are under way at once
            last, answered = event.replied or 0.0, event.kind is Kind.ANSWER
            yield f"{event.text} -> {event.reply}", event
            if _LEFT_OUT.search(event.reply):
                return


def _after_answer(actor: str, events: Sequence[Event]) -> Sequence[Event]:
    at = next((e.index for e in events if e.actor == actor and e.kind is Kind.ANSWER), len(events))
    return [event for event in events if event.index > at]
