"""The answer of `wrap` in words: a table first, then the counterexample and the run that passes beside it."""

from __future__ import annotations

import re
import shlex
from itertools import groupby
from typing import TYPE_CHECKING

from stress.core.masking import clean, clean_lines, mask_text
from stress.core.outcomes import How
from stress.engine.wrap.answer import DISTURBED, SCHEDULED, SIBLINGS, difference
from stress.engine.wrap.schedule import CLOCK, FOREIGN, of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stress.engine.wrap.answer import Answer, Found, Row
    from stress.engine.wrap.start import Ended, Taken

_WIDTH, _LONGEST, _LAST_LINES = 30, 100, 12
_COLOURS = re.compile(r"\x1b\[[\d;]*m")


def lines(answer: Answer, schedule: str = "", invocation: tuple[str, ...] = ()) -> Iterator[str]:
    """Give the whole answer. ``schedule`` is the file that replays it, with the words of ``invocation`` before it."""
    for row in answer.rows.values():
        yield f"{row.name:<{_WIDTH}} {_reported(row)}"
    yield ""
    yield verdict(answer)
    found = answer.found
    if found is not None and not answer.reason:
        yield from _counterexample(found)
    if answer.reason and answer.free_output.strip():
        yield ""
        yield from _output(answer.free_output)
    for note in answer.notes:
        yield f"note: {clean(note)}"
    if found is not None and schedule:
        yield ""
        words = [*invocation[:1], "wrap", "--schedule", schedule, *invocation[1:]]
        yield "replay: " + clean(shlex.join(words))


def verdict(answer: Answer) -> str:
    """Say in one line what is known."""
    if answer.reason:
        return f"CANNOT TELL: {clean(answer.reason)}" + (f" ({answer.remedy})" if answer.remedy else "")
    found = answer.found
    if found is None:
        return f"NO FAILING SCHEDULE in {answer.scheduled}: that is no proof that there is none"
    repeat = f"the schedule below failed again in {found.failed} of {found.replays} replays"
    if FOREIGN in of(found.ended.turns).letters:
        return f"OTHERS DISTURB IT: it fails with a foreign write; {repeat}"
    return f"FAILS under a schedule: {repeat}"


def _reported(row: Row) -> str:
    if row.runs:
        return f"{row.failed} of {row.runs} failed"
    usual = {SIBLINGS: "not run: name the whole suite with --suite", DISTURBED: "not run", SCHEDULED: "not run"}
    return row.why or usual.get(row.name, "not run")


def _counterexample(found: Found) -> Iterator[str]:
    fails, passes = found.ended, found.nearest
    at, why = difference(fails, passes) if passes is not None else (-1, "")
    yield ""
    yield from steps(fails, at)
    yield f"     the command fails: {ending(fails)}"
    if why:
        yield ""
        yield clean(why)
    if passes is not None:
        yield ""
        yield "nearest run that passes, from where it is another:"
        yield from steps(passes, at, begin=at)
        yield "     the command passes"
    if fails.output.strip():
        yield ""
        yield from _output(fails.output)


def _output(text: str) -> Iterator[str]:
    yield "the end of its output:"
    yield from (
        f"     {line}" for line in clean_lines(_COLOURS.sub("", text.rstrip().expandtabs())).splitlines()[-_LAST_LINES:]
    )


def steps(ended: Ended, mark: int, begin: int = 0) -> Iterator[str]:
    """Give the steps of a run, numbered from 1; one is marked."""
    if begin > 0:
        yield f"     … {begin} steps alike"
    number = max(begin, 0)
    for said, alike in groupby(ended.taken[number:], _step):
        times = len(list(alike))
        repeat = f" ({times} times)" if times > 1 else ""
        yield f"{'>' if number <= mark < number + times else ' '}{number + 1:>4} {clean(said)}{repeat}"
        number += times


def _step(one: Taken) -> str:
    if one.turn.actor == CLOCK:
        return one.turn.shown
    said = one.outcome.value
    reported = "nil" if said is None else said if isinstance(said, str) else str(said)
    reported = "" if one.outcome.how is How.OK and reported == "OK" else f" -> {reported}"
    return mask_text(f"{_cut(one.turn.shown)}{_cut(reported)}")


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def ending(ended: Ended) -> str:
    """Say how a run of the command ended."""
    if ended.code is None:
        return "its time ran out"
    return f"exit code {ended.code}" if ended.code >= 0 else f"killed by signal {-ended.code}"
