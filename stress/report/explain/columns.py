"""A schedule as columns for people: one for each actor, one row for each thing that happened."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.table import Table
from rich.text import Text

from stress.core.masking import clean
from stress.report.explain.lines import lines_by_event
from stress.report.explain.steps import said, shown
from stress.report.explain.telling import telling

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from stress.core.trace import Event, Trace
    from stress.core.verdict import Violation

WIDTH = 80
_NARROWEST = 20
"""Where a column would be narrower than this, actors are distinguished by how far their rows stand to the right."""


def columns(trace: Trace, violations: Sequence[Violation] = (), width: int = WIDTH) -> list[str]:
    """Write a trace as columns that fit ``width``; ``>`` marks the steps that the story is about.

    What happened before the concurrent requests is left out.
    """
    events = shown(trace)
    actors = list(dict.fromkeys(event.actor for event in events))
    marked = set(telling(trace, violations).steps)
    lines = lines_by_event(trace)
    each = (width - 2) // max(1, len(actors)) - 2
    if each < _NARROWEST:
        return _staircase(events, actors, marked, lines, width)
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, show_header=False)
    table.add_column(width=1)
    for _ in actors:
        table.add_column(width=each, overflow="fold")
    table.add_row(Text(""), *(Text(clean(actor)) for actor in actors))
    for event in events:
        cells = [Text(_cell(event, lines, each) if event.actor == actor else "") for actor in actors]
        table.add_row(Text(">" if event.index in marked else ""), *cells)
    output = io.StringIO()
    Console(file=output, width=width + 2, color_system=None, force_terminal=False, highlight=False).print(table)
    return [row.rstrip() for row in output.getvalue().splitlines()]


def line(event: Event) -> str:
    """Give an event with its reply, if it has one."""
    return f"{said(event)} -> {event.reply}" if event.reply else said(event)


def _cell(event: Event, lines: Mapping[int, str], width: int) -> str:
    """Give an event with its reply and its line of code beside it, or below it where they do not fit in one line."""
    at, reported = clean(lines.get(event.index, "")), clean(line(event))
    whole = f"{reported}  {at}" if at else reported
    if cell_len(whole) <= width:
        return whole
    reply = [f"-> {clean(event.reply)}"] if event.reply else []
    parts = [reported] if cell_len(reported) <= width else [clean(said(event)), *reply]
    return "\n".join([*parts, *([at] if at else [])])


def _staircase(
    events: Sequence[Event], actors: Sequence[str], marked: set[int], lines: Mapping[int, str], width: int
) -> list[str]:
    """Give one line for each event, cut at ``width``; each actor stands a place further to the right."""
    step = max(1, min(2, width // 4 // max(1, len(actors))))
    rows = []
    for event in events:
        mark = ">" if event.index in marked else " "
        text = f"{mark} {' ' * step * actors.index(event.actor)}{clean(event.actor)} {clean(line(event))}"
        at = f"  {clean(lines[event.index])}" if event.index in lines else ""
        room = max(2, width - cell_len(at))
        rows.append((text if cell_len(text) <= room else set_cell_size(text, room - 1) + "…") + at)
    return rows
