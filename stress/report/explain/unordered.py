"""What a report says of a race without a schedule: one burst, and a run of the same requests one after another."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING

from stress.core.masking import clean
from stress.core.verdict import counted
from stress.report.explain.columns import WIDTH
from stress.report.explain.race import refusals
from stress.report.explain.words import replay_command

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stress.core.trace import Snapshot, Trace
    from stress.report.events import Result, Unordered

BURST_FILE = "burst.txt"
"""The file of a report that replays bursts."""
_NARROWEST = 20


def heading(result: Result, race: Unordered) -> str:
    """Name the race."""
    return clean(f"RACE {', '.join(race.bursts.broken)}: {result.scenario.name} on {result.target.name}")


def unordered(race: Unordered, folder: str, program: str = "stress-gateway", width: int = WIDTH) -> list[str]:
    """Tell a race that bursts show; ``folder`` is where the files of the result are (empty: not written)."""
    bursts = race.bursts
    lines = [
        f"{bursts}: requests released together, what they send to the store passes at once",
        "in one of them:",
        *(f"  {line}" for line in _came_to(race.trace)),
        *(f"  {one}" for one in race.violations),
        f"one after another, in {counted(bursts.controls, 'run')}, they break nothing; in one of these:",
        *(f"  {line}" for line in _came_to(race.control)),
    ]
    sentences = [
        part
        for line in lines
        for part in wrap(
            clean(line),
            max(width, _NARROWEST),
            subsequent_indent="    " if line.startswith(" ") else "",
            break_on_hyphens=False,
        )
    ]
    command = replay_command(f"{folder}/{BURST_FILE}", program) if folder else ""
    return [*sentences, *([f"replay: {clean(command)}"] if command else [])]


def _came_to(trace: Trace) -> Iterator[str]:
    """Give what each client was answered and what was left."""
    for one in sorted(trace.answers, key=lambda answer: answer.actor):
        words = [f"{one.actor} was answered {one.status}"]
        words += [one.record] if one.record is not None else []
        words += [f"count {one.count}"] if one.count is not None else []
        yield ", ".join(words)
    yield from refusals(trace)
    yield from (_left(state) for state in trace.epochs if state.records is not None or state.hits is not None)


def _left(state: Snapshot) -> str:
    words = [", ".join(state.records) or "no record"] if state.records is not None else []
    words += [f"{name} with {'no number' if hits is None else hits} hits" for name, hits in (state.hits or {}).items()]
    return f"left: {'; '.join(words)}"
