"""What requests did next after what they had observed: equal observations and different steps show hidden sharing.

A request that shares only the store with others is a function of its own commands and replies, with names that were
made up renumbered from its own side, and compared as they compare. Where the same observations are followed by
different steps, requests share more: a cache, a counter, a queue in the process. What watches sent its replica, before
it began too, and moves of the clock, belong to what a request has observed: caches are filled by them.

What the wire does not show ends the observations of a request: that it was blocked, tried the same again, read a time,
had several commands under way at once, or went on after its answer. So does a body that is not read in full (protobuf).
The time at which an object of Kubernetes was made is known by its age in seconds of the clock; all other times, and
with them leases that are held already, end the observations.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from stress.core.schedule import Schedule
from stress.core.step import REPLY, START
from stress.core.trace import Kind
from stress.schedulers.base import is_request

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from stress.core.step import Move
    from stress.core.trace import Event, Trace

_SYMBOL = re.compile(r"\{(?!fingerprint)(\w+):(\d+)\}|\{fresh\}-([A-Z])\b")
_LEFT_OUT = re.compile(r"\{(?:number|time)\}|\*\*\*|\[\.\.\.\]")
"""What stands for values that are not distinguished: times, made-up numbers, secrets, what is nested deeper."""
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


class _Numbering:
    """Numbers made-up names in the order in which one request meets them; ``symbols`` are what they stand for."""

    def __init__(self, actor: str, symbols: Mapping[str, str]) -> None:
        self._actor, self._symbols = actor, symbols
        self._numbers: dict[str, int] = {}
        self._values: dict[str, list[tuple[int, str]]] = {}

    def __call__(self, text: str) -> str:
        return _SYMBOL.sub(self._rename, text)

    def observed(self, text: str) -> str:
        """Rename in what was observed; add how the values in it compare with those met so far, as a request may ask."""
        kinds = dict.fromkeys(match[1] or "other" for match in _SYMBOL.finditer(text) if match[1] != "version")
        named = self(text)
        return " ".join([named, *(f"{kind} {schedule}" for kind in kinds if len(schedule := self._schedule(kind)) > 1)])

    def _schedule(self, kind: str) -> list[int]:
        """Give the numbers of values of a kind in the order of the values: numbers by size, others as texts."""
        values = self._values.get(kind, [])
        plain = all(value.isdecimal() for _, value in values)
        return [number for number, _ in sorted(values, key=lambda one: (int(one[1]) if plain else 0, one[1]))]

    def _rename(self, match: re.Match[str]) -> str:
        kind = match[1] or "other"
        if match[0] not in self._numbers:
            self._numbers[match[0]] = number = len(self._numbers) + 1
            self._values.setdefault(kind, []).append((number, self._symbols.get(match[0], match[3] or match[0])))
        return "{fresh}-own" if match[3] == self._actor else f"{{{kind}:{self._numbers[match[0]]}}}"


class Behaviour:
    """The table of one search. ``take`` each run; ``contradiction`` says what shows that requests share more.

    ``replicas`` is the replica of each request that is not on the first.
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
        replica = self._replicas.get(actor, 1)
        names, here = _Numbering(actor, trace.symbols), self._point(0, f"replica {replica}", "its beginning")
        done: set[str] = set()
        for short, full, following in _observed(actor, f"watch:{replica}", trace):
            if following is not None:
                known = self._points[here].nexts
                step = Next(names(following.command), names(following.object))
                if following.kind is Kind.ANSWER:
                    step = Next(START, following.command)
                seen = known.setdefault(step, _Seen(actor, trace.moves, self._runs))
                between = any(one.last > seen.last for other, one in known.items() if other != step)
                seen.returned, seen.last = seen.returned or between, self._runs
            observed = names.observed(f"{short} {full}".rstrip())
            if following is not None and observed in done:
                return  # it tries again, for how long may be a question of time
            done.add(observed)
            here = self._point(here, observed, names(short))

    def _point(self, before: int, observed: str, short: str) -> int:
        number = self._numbers.setdefault((before, observed), len(self._numbers) + 1)
        self._points.setdefault(number, _Point(short))
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
    return f"`{Schedule(tuple(seen.moves)).actors}`"


def _observed(actor: str, watch: str, trace: Trace) -> Iterator[tuple[str, str, Event | None]]:
    """Give what a request observed, in short and what else there is of it, one after another.

    Each comes with the event of its own that shows what it did, if it is one. ``watch`` is the actor that notifies its
    replica what happened.
    """
    last, answered = 0.0, False
    events = list(trace.events)
    if any(event.actor == actor and event.kind is Kind.STEP for event in _after_answer(actor, events)):
        return
    for event in events:
        if event.kind is Kind.BLOCKED or event.actor == f"client:{actor}" or answered:
            return
        if event.actor in ("clock", watch) or event.command.partition(" ")[0].upper() in _PUSHED:
            yield event.text, event.observed, None
        elif event.actor == actor and event.command == REPLY:
            last = event.replied or 0.0
            yield event.text, "", None
        elif event.actor == actor and event.kind is Kind.START:
            last = event.replied or 0.0
            yield "its start", "", None
        elif event.actor == actor and event.kind in (Kind.STEP, Kind.ANSWER):
            if event.kind is Kind.STEP and (event.parked or 0.0) < last:
                return  # it was there before: several are under way at once
            last, answered = event.replied or 0.0, event.kind is Kind.ANSWER
            yield f"{event.text} -> {event.reply}", event.observed, event
        if event.actor in (actor, watch) and _LEFT_OUT.search(event.reply + event.observed):
            return


def _after_answer(actor: str, events: Sequence[Event]) -> Sequence[Event]:
    at = next((e.index for e in events if e.actor == actor and e.kind is Kind.ANSWER), len(events))
    return [event for event in events if event.index > at]
