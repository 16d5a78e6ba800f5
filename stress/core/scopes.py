"""What each generated value is equal within: a request, a run, a replica, a second, or a reply of the store.

Pure functions over sequential runs. A value is the store's if the store sent it before any request showed it, else of
those that show it without having received it: what they have in common, and others lack, is what it is equal within.
"""

from __future__ import annotations

import re
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

from stress.core.patterns import COMPACT, SECOND, STAMP, UUID, second_of, shaped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from stress.core.patterns import Patterns, Shown

    Sample = Mapping[str, Sequence[Shown]]

SOMETIMES = "sometimes equal"
"""The scope of what is equal within nothing that is known: a nondeterministic input."""
_SHAPES = re.compile(rf"{UUID}|{STAMP}|{COMPACT}|{SECOND}")
_WORDS = re.compile(rf"{UUID}|{STAMP}|[0-9A-Za-z_-]+")
_APART = 2
"""So many seconds is a time at most from when it was shown, if it is read from the clock."""


class Made(NamedTuple):
    """A generated value: where it first stood, what it was in each sample, and what it is equal within.

    ``place`` is which word of the command it stood in, 0 where that is the reply. ``scope`` is ``request``, ``run``,
    ``replica``, ``second``, ``run or second``, ``store`` or `SOMETIMES`.
    """

    command: str
    place: int
    values: tuple[str, ...]
    scope: str


class _Place(NamedTuple):
    """Where a value stands: in the n-th command of a kind, in which word, as which of its symbols (-1: all of it)."""

    command: str
    nth: int
    word: int
    symbol: int


class _One(NamedTuple):
    """A value that one request showed in one sample; ``stored`` is whether the store had said it before."""

    sample: int
    actor: str
    replica: int
    second: int
    text: str
    stored: bool

    @property
    def is_clock(self) -> bool:
        """Return whether it is the time at which it was shown."""
        moment = second_of(self.text) if _SHAPES.fullmatch(self.text) else None
        return moment is not None and abs(moment - self.second) <= _APART


def made(samples: Sequence[Sample], patterns: Patterns, now: float, turned: Sequence[Sample] = ()) -> list[Made]:
    """Say what was generated in samples, each value once.

    ``turned`` are further samples, in which the same requests went to other replicas. ``now`` is the wall clock (unix
    seconds).
    """
    table: dict[_Place, list[_One]] = {}
    for number, sample in enumerate((*samples, *turned)):
        for place, one in _shown(number, sample, patterns, now):
            table.setdefault(place, []).append(one)
    found: dict[tuple[str, ...], Made] = {}
    everything = [one for place, several in table.items() if place.symbol >= 0 for one in several]
    for place, several in table.items():
        for actor in dict.fromkeys(one.actor for one in several):
            own = [one for one in several if one.actor == actor]
            values = tuple(one.text for one in own if one.sample < len(samples))
            scope = _scope(own, several, everything) if place.symbol >= 0 else _of_replica(several)
            if scope and len(values) == len(samples) > 1:
                found.setdefault(values, Made(place.command, place.word, values, scope))
    for reply in _replies(samples, [text for values in found for text in values]):
        found.setdefault(reply.values, reply)
    return list(found.values())


def _shown(number: int, sample: Sample, patterns: Patterns, now: float) -> Iterator[tuple[_Place, _One]]:
    """Give the values of each command in the sequence in which they were shown; of a request each symbol once.

    What the store sent and another request had made is that other's.
    """
    heard, makers, counts = list[tuple[str, str]](), dict[str, set[str]](), dict[tuple[str, str], int]()
    in_turn = [(actor.partition(" ")[0], one) for actor, several in sample.items() for one in several]
    for name, one in sorted(in_turn, key=lambda pair: pair[1].at):
        command = one.words[0]
        nth = counts[name, command] = counts.get((name, command), -1) + 1
        for word in range(1, len(one.words)) if ":" not in name else ():
            symbols = _symbols(one, word, patterns, now)
            for symbol, text in enumerate(symbols):
                stored = any(_holds(reply, text) for to, reply in heard if to == name or ":" in to)
                by = makers.setdefault(text, set())
                if name not in by and not (stored and by):
                    by.add(name)
                    yield (
                        _Place(command, nth, word, symbol),
                        _One(number, name, one.replica, int(one.at), text, stored),
                    )
            if not symbols:
                whole = _One(number, name, one.replica, int(one.at), one.words[word], stored=False)
                yield _Place(command, nth, word, -1), whole
        heard.append((name, one.reply))


def _symbols(one: Shown, place: int, patterns: Patterns, now: float) -> list[str]:
    """Give the symbols in a word of a command: what has their shape, and what was learned."""
    command, word = one.words[0], one.words[place]
    called = patterns.called(command, one.words[1], now)
    match = patterns.match((command, "", place), word) or patterns.match((command, called, place), word)
    shapes = [text for text in _SHAPES.findall(word) if shaped(text, now) != text]
    return [*shapes, *(match.groups() if match is not None else ())]


def _scope(own: Sequence[_One], several: Sequence[_One], everything: Sequence[_One]) -> str:
    """Give what the values of one request at one place are equal within; empty where they are data."""
    texts = {one.text for one in own}
    if all(one.stored for one in own):
        return "store"
    if all(one.is_clock for one in own):
        return "second"
    shared = [one for one in everything if one.text in texts]
    made_by = {(one.sample, one.actor): one for one in (*several, *shared, *own) if not one.stored}
    values = list(made_by.values())
    if len({one.text for one in values}) == 1:
        return ""
    if len({one.text for one in values}) == len(values):
        return "request"
    run, second = _within(values, lambda one: one.sample), _within(values, lambda one: one.second)
    if run or second:
        return " or ".join(name for name, found in (("run", run), ("second", second)) if found)
    return "replica" if _within(values, lambda one: one.replica) else SOMETIMES


def _of_replica(several: Sequence[_One]) -> str:
    """Return whether a word that was equal in all samples of a request is its replica's, which only others can show."""
    others = any(one.replica == it.replica and one.actor != it.actor for one, it in combinations(several, 2))
    return "replica" if others and _within(several, lambda one: one.replica) else ""


def _within(values: Sequence[_One], part: Callable[[_One], int]) -> bool:
    """Return whether values are equal exactly where they have a part in common, as some do and some don't."""
    pairs = [(one.text == it.text, part(one) == part(it)) for one, it in combinations(values, 2)]
    return all(equal == alike for equal, alike in pairs) and len(set(pairs)) > 1


def _holds(text: str, value: str) -> bool:
    """Return whether a value is in a text between separators."""
    return value in text and re.search(rf"(?<![0-9A-Za-z]){re.escape(value)}(?![0-9A-Za-z])", text) is not None


def _replies(samples: Sequence[Sample], known: Sequence[str]) -> Iterator[Made]:
    """Give what differs in replies of the store and is no value that a request made."""
    for actor in samples[0] if len(samples) > 1 else ():
        for shown in zip(*(sample.get(actor, ()) for sample in samples), strict=False):
            if len({(one.words[0], len(one.words)) for one in shown}) > 1:
                break
            words = [_WORDS.findall(one.reply) for one in shown]
            for values in zip(*words, strict=True) if len({len(one) for one in words}) == 1 else ():
                if len(set(values)) > 1 and not any(_holds(text, value) for text in values for value in known):
                    yield Made(shown[0].words[0], 0, values, "store")
