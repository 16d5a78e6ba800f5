"""Where in its code a service stood at each step, in short."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stress.core.trace import Kind
from stress.report.explain.steps import shown

if TYPE_CHECKING:
    from stress.core.trace import Trace


def lines_by_event(trace: Trace) -> dict[int, str]:
    """Give for each event, by its index, the line in which its actor stood: ``app.py:31``; none where it is not known.

    That is the innermost of the service's own code, but for a helper through which all steps go alike: it tells
    nothing, so then it is who called it. A file is called by its name alone where no other has that.
    """
    known = [event for event in shown(trace) if event.lines]
    stacks = {event.index: event.lines for event in known if event.kind is Kind.STEP}
    while len(set(stacks.values())) > 1 and _alike(list(stacks.values())):
        stacks = {index: lines[1:] for index, lines in stacks.items()}
    first = {event.index: stacks.get(event.index, event.lines)[0] for event in known}
    files = {line.rpartition(":")[0] for line in first.values()}
    names = [file.rpartition("/")[2] for file in files]
    return {index: line if names.count(_name(line)) > 1 else _last(line) for index, line in first.items()}


def _alike(stacks: list[tuple[str, ...]]) -> bool:
    """Tell whether all stacks have the same innermost line and were called from elsewhere."""
    return all(len(one) > 1 and one[0] == stacks[0][0] for one in stacks)


def _last(line: str) -> str:
    return line.rpartition("/")[2]


def _name(line: str) -> str:
    return _last(line).rpartition(":")[0]
