"""A trace as the page's script reads it: one JSON value, small enough for ten thousand steps.

Each text stands once in ``texts`` and is named by its place there. A row of ``events`` has, in this order: index, kind,
actor, command, object, what it says in short, its whole text, reply, what it saw (object, access, value before, value
after of each object), when it was parked, released and replied to in milliseconds (null: it was not), epoch; and
where they are known its line of code in short, and all its lines.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stress.core.masking import clean
from stress.core.trace import Kind
from stress.report.explain.lines import lines_by_event
from stress.report.explain.steps import said, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stress.core.trace import Answer, Event, Trace
    from stress.report.explain.values import Course


class Texts:
    """Texts by number, each once."""

    def __init__(self, cut: Callable[[object], str]) -> None:
        """Begin with none; ``cut`` makes each of them fit to be shown."""
        self._cut = cut
        self._numbers: dict[str, int] = {}
        self._known: dict[object, int] = {}

    def number(self, text: object) -> int:
        """Give the number of a text."""
        known = self._known.get(text)
        if known is None:
            known = self._known[text] = self._numbers.setdefault(self._cut(text), len(self._numbers))
        return known

    @property
    def all(self) -> list[str]:
        """All texts, by number."""
        return list(self._numbers)


def cutting(most: int, cleaned: dict[object, str] | None = None) -> Callable[[object], str]:
    """Give what makes a text fit to be shown: masked, control characters written out, then cut at ``most`` letters.

    ``cleaned`` keeps what was masked before, for who cuts the same texts again.
    """
    known = {} if cleaned is None else cleaned

    def cut(text: object) -> str:
        whole = known.get(text)
        if whole is None:
            whole = known[text] = clean(str(text))
        return whole if len(whole) <= most else f"{whole[: most - 1]}…"

    return cut


def as_json(trace: Trace, course: Course, marked: Sequence[int], texts: Texts, most: int) -> dict[str, Any]:
    """Give a trace; of more than ``most`` events the first."""
    events = shown(trace)[:most]
    answers, lines = {answer.ended: answer for answer in trace.answers}, lines_by_event(trace)
    return {
        "actors": [texts.number(actor) for actor in dict.fromkeys(event.actor for event in events)],
        "marked": [index for index in marked if events and index <= events[-1].index],
        "timed": all(_time(event) is not None for event in events),
        "events": [
            _row(event, answers.get(event.index), lines.get(event.index, ""), course, texts) for event in events
        ],
    }


def _row(event: Event, answer: Answer | None, line: str, course: Course, texts: Texts) -> list[Any]:
    words = (event.kind, event.actor, event.command, event.object, said(event), event.text, _reply(event, answer))
    seen = [[texts.number(word) for word in one] for one in course.seen.get(event.index, ())]
    times = [_milliseconds(at) for at in (event.parked, event.released, event.replied)]
    code = [texts.number(word) for word in (line, ", called at ".join(event.lines))] if line else []
    return [event.index, *(texts.number(word) for word in words), seen, *times, event.epoch, *code]


def _reply(event: Event, answer: Answer | None) -> str:
    """Give the reply; of an answer to a client what it means."""
    if event.kind is not Kind.ANSWER or answer is None:
        return event.reply
    return meaning(answer)


def meaning(answer: Answer) -> str:
    """Say what a client was answered besides the status: ``duplicate, count 2``."""
    if answer.error:
        return answer.error
    kinds = (("created", answer.created), ("duplicate", answer.duplicate), ("to be sent again", answer.refused))
    word = next((word for word, so in kinds if so), "")
    parts = [word, *([f"count {answer.count}"] if answer.count is not None else []), answer.record or ""]
    return ", ".join(part for part in parts if part)


def _time(event: Event) -> float | None:
    return event.released if event.released is not None else event.replied


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(1000 * seconds, 3)
