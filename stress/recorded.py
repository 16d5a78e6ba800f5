"""One run as a line of text: what was possible at each of its points, what was chosen, and its trace.

Runs of a search are much alike: each move and each event gets a number the first time it is seen, and the line that is
the first to need it says what it is. Times are kept to the microsecond.
"""

from __future__ import annotations

import json
from dataclasses import fields
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from stress.step import Access, Move, Touch
from stress.trace import Answer, Details, Event, Kind, Snapshot, Trace

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

_ANSWER = tuple(one.name for one in fields(Answer))
_EVENT = ("kind", "actor", "command", "object", "text", "reply", "touches", "incarnation")
_TIMES = ("parked", "released", "replied")
_DIGITS = 6

Entry = TypeVar("Entry", bound="Hashable")


class Point(NamedTuple):
    """One question to an explorer: the possible moves, whether all requests were answered, and its choice."""

    moves: tuple[Move, ...]
    done: bool
    chosen: Move | None


class Run(NamedTuple):
    """One run of the explorer ``name``, the ``part``-th of a search.

    ``answers`` are what the explorer was told about the time meanwhile.
    """

    part: int
    name: str
    points: Sequence[Point]
    answers: Sequence[bool]
    trace: Trace


class Book(Generic[Entry]):
    """Numbers for things, from 0."""

    def __init__(self, read: Callable[[list[Any]], Entry]) -> None:
        """Begin empty; ``read`` makes a thing of what a line says of it."""
        self._read = read
        self.entries: list[Entry] = []
        self._numbers: dict[Entry, int] = {}

    def number(self, entry: Entry) -> int:
        """Give the number of a thing; one that is new gets the next."""
        number = self._numbers.setdefault(entry, len(self.entries))
        if number == len(self.entries):
            self.entries.append(entry)
        return number

    def take(self, lines: list[list[Any]]) -> None:
        """Number the new things of a line."""
        for words in lines:
            self.number(self._read(words))

    def cut(self, length: int) -> None:
        """Forget all but the first."""
        for entry in self.entries[length:]:
            del self._numbers[entry]
        del self.entries[length:]


class Books:
    """The numbers of moves, and of events without their times."""

    def __init__(self) -> None:
        """Begin empty."""
        self._moves, self._events = Book(_move), Book(_event)

    def mark(self) -> tuple[int, int]:
        """Say how much is in them."""
        return len(self._moves.entries), len(self._events.entries)

    def cut(self, mark: tuple[int, int]) -> None:
        """Go back to what was in them."""
        self._moves.cut(mark[0])
        self._events.cut(mark[1])

    def write(self, run: Run) -> bytes:
        """Give the line of a run, with what is new in it."""
        trace, number, mark = run.trace, self._moves.number, self.mark()
        data = {
            "run": [run.part, run.name, list(run.answers)],
            "points": [
                [-1 if chosen is None else number(chosen), int(done), *map(number, moves)]
                for moves, done, chosen in run.points
            ],
            "trace": [trace.world, trace.fresh, trace.fingerprint, trace.requests, trace.fault, trace.seconds],
            "crossed": trace.crossed_second,
            "moves": [number(move) for move in trace.moves],
            "events": [[self._events.number(_what(event)), *_when(event)] for event in trace.events],
            "answers": [[getattr(answer, name) for name in _ANSWER] for answer in trace.answers],
            "states": [
                [state.records, None if state.hits is None else dict(state.hits), state.ended_by]
                for state in trace.incarnations
            ],
            "new": [self._moves.entries[mark[0] :], self._events.entries[mark[1] :]],
        }
        return json.dumps(data, separators=(",", ":")).encode() + b"\n"

    def read(self, line: bytes) -> Run:
        """Read a line that was written after those that were read before.

        Raises:
            ValueError: when it is none; the books are as they were then.

        """
        mark = self.mark()
        try:
            data = json.loads(line if line.endswith(b"\n") else b"")
            self._moves.take(data["new"][0])
            self._events.take(data["new"][1])
            moves = self._moves.entries
            points = [
                Point(tuple(moves[one] for one in able), bool(done), None if chosen < 0 else moves[chosen])
                for chosen, done, *able in data["points"]
            ]
            part, name, answers = data["run"]
            return Run(part, name, points, answers, self._trace(data))
        except (ValueError, TypeError, LookupError) as error:
            self.cut(mark)
            raise ValueError(f"not a run: {error}") from None

    def _trace(self, data: dict[str, Any]) -> Trace:
        world, fresh, fingerprint, requests, fault, seconds = data["trace"]
        events = tuple(
            Event(index, **dict(zip(_EVENT + _TIMES, (*self._events.entries[number], *times), strict=True)))
            for index, (number, *times) in enumerate(data["events"])
        )
        states = tuple(
            Snapshot(None if records is None else tuple(records), hits, ended_by)
            for records, hits, ended_by in data["states"]
        )
        details = Details(tuple(map(_answer, data["answers"])), states, events)
        moves = tuple(self._moves.entries[one] for one in data["moves"])
        return Trace(
            world, fresh, fingerprint, requests, moves, partial(_as_told, details), fault, seconds, data["crossed"]
        )


def _as_told(details: Details) -> Details:
    return details


def _move(words: list[Any]) -> Move:
    return Move(*words)


def _event(words: list[Any]) -> tuple[Any, ...]:
    kind, *texts, touches, incarnation = words
    return Kind(kind), *texts, tuple(Touch(name, Access(how)) for name, how in touches), incarnation


def _what(event: Event) -> tuple[Any, ...]:
    return tuple(getattr(event, name) for name in _EVENT)


def _when(event: Event) -> list[float | None]:
    return [None if at is None else round(at, _DIGITS) for at in (event.parked, event.released, event.replied)]


def _answer(words: list[Any]) -> Answer:
    told = dict(zip(_ANSWER, words, strict=True))
    return Answer(**{**told, "incarnations": tuple(told["incarnations"])})
