"""What the replays of one schedule have come to: how often it failed, by what, and in what their traces differ."""

from __future__ import annotations

from itertools import takewhile, zip_longest
from textwrap import shorten
from typing import TYPE_CHECKING

from stress.core.exits import INCONCLUSIVE, RACE
from stress.core.masking import clean, mask_text
from stress.core.verdict import counted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stress.core.trace import Trace
    from stress.core.verdict import Violation

_LONGEST = 100
"""How many characters are shown of a step, or of a body."""
_BEFORE = 40
"""How many of them at most stand before the place where two texts differ."""


class Repeated:
    """Counts the replays of one schedule.

    ``known`` are the invariants that it broke when it was found (none: not known). ``done`` replays were followed to
    their end, ``failed`` of them broke an invariant. ``accepted`` says that a request was accepted in any of them.
    """

    def __init__(self, known: frozenset[str]) -> None:
        """Begin with no replay."""
        self._known = known
        self.done = self.failed = 0
        self.accepted = False
        self._broken: set[str] = set()
        self._traces: dict[object, Trace] = {}
        self.stories: set[object] = set()

    def add(self, trace: Trace, violations: Iterable[Violation]) -> None:
        """Take in one replay."""
        broken = {one.invariant for one in violations}
        self.done += 1
        self.failed += bool(broken)
        self._broken |= broken
        self.accepted = self.accepted or trace.accepted_any
        self.stories.add(trace.signature)
        if len(self._traces) < 2:  # noqa: PLR2004 - two are compared
            self._traces.setdefault(trace.signature, trace)

    def counted(self) -> tuple[str, int]:
        """Give the line that leads, with the count, and the exit code."""
        if not self.accepted:
            return f"inconclusive: no request was accepted: {self._answers()}", INCONCLUSIVE
        if not self.failed:
            return f"FIXED {self.done}/{self.done}", 0
        if self.failed < self.done:
            return f"inconclusive: failed {self.failed} of {self.done}", INCONCLUSIVE
        line = f"STILL FAILING {self.failed}/{self.done}"
        return line + (" by another invariant" if self._known and not self._known & self._broken else ""), RACE

    def details(self) -> list[str]:
        """Give the lines below it: what has changed since the schedule was found, and in what the traces differ."""
        return [*self._changed(), *self._differing()]

    def _changed(self) -> list[str]:
        """Name the invariants that were broken when the schedule was found and hold now, and those broken only now."""
        if not self._known or self.failed < self.done or not self.accepted:
            return []
        hold, fail = sorted(self._known - self._broken), sorted(self._broken - self._known)
        words = [f"holds now: {', '.join(hold)}"] if hold else []
        return words + ([f"fails now: {', '.join(fail)}"] if fail else [])

    def _differing(self) -> list[str]:
        """Say in what the traces differ first, where there are several."""
        if len(self.stories) < 2:  # noqa: PLR2004 - of one nothing differs
            return []
        one, other = self._traces.values()
        return [f"{counted(len(self.stories), 'trace')} that differ, the first two in: {_difference(one, other)}"]

    def _answers(self) -> str:
        trace = next(iter(self._traces.values()))
        answers = [f"{one.actor} was answered {_answer(one.status, one.body or one.error)}" for one in trace.answers]
        return "; ".join(dict.fromkeys(answers)) or "none was answered"


def _answer(status: int, body: str) -> str:
    text = _short(mask_text(body))
    return f"{status} {text}" if text else str(status)


def _difference(one: Trace, other: Trace) -> str:
    """Show the first event in which two traces differ, else the answer, else the state that they left."""
    for mine, its in zip_longest(one.events, other.events):
        if mine is None or its is None or mine.signature != its.signature:
            return _beside(str(mine or "the end"), str(its or "the end"))
    for mine, its in zip(_outcome(one), _outcome(other), strict=False):
        if mine != its:
            return _beside(mine, its)
    return "the number of answers"


def _outcome(trace: Trace) -> list[str]:
    answers = sorted(trace.answers, key=lambda one: one.actor)
    shown = [f"{one.actor} was answered {one.status} {one.record or ''} {one.count or ''}".rstrip() for one in answers]
    left = [f"left {mask_text(str(state.records))} with hits {state.hits}" for state in trace.epochs]
    return shown + left


def _beside(one: str, other: str) -> str:
    """Show two texts from shortly before the place where they differ."""
    common = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
    begin = max(0, common - _BEFORE)
    return " / ".join(_short(f"…{text[begin:]}" if begin else text) for text in (one, other))


def _short(text: str) -> str:
    return shorten(clean(text), _LONGEST, placeholder="…")
