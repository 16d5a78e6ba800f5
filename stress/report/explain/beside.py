"""What breaks it: the failing schedule beside the nearest schedule that passes, with the two steps that it turns on."""

from __future__ import annotations

from difflib import SequenceMatcher
from itertools import groupby, zip_longest
from textwrap import wrap
from typing import TYPE_CHECKING, NamedTuple

from rich.cells import cell_len, set_cell_size

from stress.core.masking import clean
from stress.core.step import START
from stress.core.verdict import counted
from stress.report.explain.steps import ACTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stress.core.step import Move
    from stress.report.events import Finding, Nearest

_NEAR = 1
"""How many rows that are alike are shown above and below what differs."""
_FEWEST = 2
"""How many rows that are alike make room when one line stands for them."""


class Side(NamedTuple):
    """One step in one of the two schedules; ``marked``: what breaks it turns on this step."""

    actor: str
    text: str
    marked: bool


class Both(NamedTuple):
    """One row of the two schedules; a side is None where its order has no such step in this place."""

    fails: Side | None
    passes: Side | None

    @property
    def alike(self) -> bool:
        """Whether nothing is to be seen here: both schedules do the same, and it is none of the marked steps."""
        return self.fails == self.passes and not (self.fails and self.fails.marked)


def breaks(nearest: Nearest) -> str:
    """Say what breaks it and how near the passing schedule is."""
    how = f"{counted(nearest.moved, 'step')} moved" if nearest.second else f"the one without {nearest.first.actor}"
    return f"{nearest} (nearest passing schedule: {how})"


def beside(moves: Sequence[Move], nearest: Nearest) -> list[Both]:
    """Put two schedules side by side: what both have in the same sequence shares a row; what was moved stands alone."""
    turning = (nearest.first, nearest.second)
    fails, passes = ([_side(move, move in turning) for move in several] for several in (moves, nearest.moves))
    rows: list[Both] = []
    matcher = SequenceMatcher(None, list(moves), list(nearest.moves), autojunk=False)
    for kind, begin, end, other_begin, other_end in matcher.get_opcodes():
        left, right = fails[begin:end], passes[other_begin:other_end]
        if kind == "equal":
            rows += [Both(*both) for both in zip_longest(left, right)]
        else:
            rows += [Both(one, None) for one in left] + [Both(None, one) for one in right]
    return rows


def comparison(finding: Finding, width: int) -> list[str]:
    """Give in lines what breaks it and, below, both schedules; nothing where no passing schedule was found.

    ``>`` marks the two steps. What is alike far from what differs is counted in one line.
    """
    if finding.nearest is None:
        return []
    lines = wrap(
        clean(f"what breaks it: {breaks(finding.nearest)}"),
        max(width, 20),
        subsequent_indent="  ",
        break_on_hyphens=False,
    )
    each = max(10, (width - 2) // 2)
    lines = [*lines, "", f"{_fit('   fails', each)}  {'   passes'}"]
    rows = beside(finding.schedule.moves, finding.nearest)
    for alike, several in groupby(range(len(rows)), lambda at: is_far(rows, at)):
        places = list(several)
        if alike and len(places) >= _FEWEST:
            lines.append(f"   … {counted(len(places), 'step')} alike")
        else:
            lines += [_line(rows[at], each) for at in places]
    return [*lines, ""]


def _side(move: Move, marked: bool) -> Side:  # noqa: FBT001 - one call
    if move.command == START:
        return Side(move.actor, "starts", marked)
    if move.command == move.actor:
        return Side(move.actor, ACTS.get(move.actor, "acts"), marked)
    return Side(move.actor, str(move).removeprefix(f"{move.actor} "), marked)


def is_far(rows: Sequence[Both], at: int) -> bool:
    """Tell whether a row, and its neighbours, are alike in both schedules."""
    return all(row.alike for row in rows[max(0, at - _NEAR) : at + _NEAR + 1])


def _line(row: Both, each: int) -> str:
    left, right = (
        f"{'>' if side.marked else ' '}  {clean(f'{side.actor} {side.text}')}" if side else "" for side in row
    )
    return f"{_fit(left, each)}  {_fit(right, each)}".rstrip()


def _fit(text: str, width: int) -> str:
    """Give a text as wide as it may be; what does not fit is cut, as the columns above show it whole."""
    return set_cell_size(text, width) if cell_len(text) <= width else set_cell_size(text, width - 1) + "…"
