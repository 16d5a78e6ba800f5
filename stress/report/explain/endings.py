"""The outcome map for people and machines: each way a scenario ended, how many schedules led there, and how likely."""

from __future__ import annotations

import re
from collections import Counter
from enum import Enum
from textwrap import wrap
from typing import TYPE_CHECKING, Any, NamedTuple

from stress.core.masking import clean
from stress.core.outcome_map import OutcomeRow
from stress.core.schedule import Schedule
from stress.core.verdict import counted
from stress.report.explain.words import listed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stress.core.outcome_map import ClientAnswer, Left
    from stress.core.step import Move
    from stress.core.verdict import Evidence
    from stress.report.events import Result

_MOST = 8
"""How many outcomes are shown where room is short; the others are counted."""
_BEFORE = "before"
_SCHEDULES, _SHARE = 11, 8
_KEPT = "\N{NO-BREAK SPACE}"


class Ending(NamedTuple):
    """One way in which a scenario ended, in words; ``raced``: a failing schedule that is reported ended so.

    ``share`` is the part of all random schedules, from 0 to 1 (None: nothing was drawn). ``example`` leads there.
    """

    reported: str
    raced: bool
    schedules: int
    share: float | None
    example: tuple[Move, ...] = ()


class Endings(NamedTuple):
    """An outcome map as it is shown. ``rest`` sums up what is left out, if anything is.

    ``renamed`` tells that outcomes were added up that differ only in which of the identical requests is which.
    """

    shown: list[Ending]
    rest: Ending | None
    renamed: bool

    @property
    def heading(self) -> str:
        """What is listed."""
        return "how it ends, up to the names of requests" if self.renamed else "how it ends"

    @property
    def raced(self) -> bool:
        """Whether a failing schedule that is reported ended as one of those shown."""
        return any(one.raced for one in self.shown)


class _Names(Enum):
    """How much is said of which record is which."""

    NONE = 0
    NUMBERS = 1
    WHOLE = 2


def endings(result: Result, most: int = _MOST) -> Endings:
    """Give the outcome map of a result: how its failing schedules end in any case, and of the others the first."""
    failing, confirmed = [finding.trace.outcome for finding in result.findings], result.verdict.ruling == "race"
    rows = list(result.outcomes)
    if len(set(result.scenario.places)) == 1:  # else who goes to which replica tells requests apart
        rows = _up_to_names(rows, failing)
    every = [
        Ending(reported, confirmed and row.outcome in failing, row.schedules, row.share, row.example)
        for row, reported in zip(rows, _all_shown(rows), strict=True)
    ]
    chosen = sorted(sorted(range(len(every)), key=lambda at: not every[at].raced)[:most])
    others = [one for at, one in enumerate(every) if at not in chosen]
    rest = None
    if others:
        drawn = [one.share for one in others if one.share is not None]
        rest = Ending(
            counted(len(others), "other outcome"),
            raced=False,
            schedules=sum(one.schedules for one in others),
            share=sum(drawn) if drawn else None,
        )
    return Endings([every[at] for at in chosen], rest, len(rows) < len(result.outcomes))


def percent(share: float | None) -> str:
    """Give a share, from 0 to 1, in words; ``-`` where nothing was drawn. Only none is 0 %, and only all is 100 %."""
    if share is None:
        return "-"
    rounded = round(100 * share)
    if rounded == 0 and share > 0:
        return "<1 %"
    return ">99 %" if rounded == 100 and round(share, 9) < 1 else f"{rounded} %"  # noqa: PLR2004 - percent


def lines_of(moves: Sequence[Move]) -> list[str]:
    """Give a schedule as the lines that its file has after the head."""
    return Schedule(tuple(moves)).text().partition("---\n")[2].splitlines()


def listing(rows: Sequence[OutcomeRow]) -> list[dict[str, Any]]:
    """Give all outcomes as result.json has them."""
    return [
        {
            "outcome": reported,
            "answers": row.answers,
            "epochs": [
                {"records": one.records, "hits": None if one.hits is None else dict(one.hits)} for one in row.left
            ],
            "schedules": row.schedules,
            "sampled": row.sampled,
            "share": row.share,
            "example": lines_of(row.example),
        }
        for row, reported in zip(rows, _all_shown(rows), strict=True)
    ]


def draws(evidence: Sequence[Evidence]) -> list[str]:
    """Give one sentence for each sampler that drew, the random baseline last; with several executors, for each."""
    drew = [one for one in evidence if one.draws]
    return [clean(f"{one.executor}: {draw}" if len(drew) > 1 else str(draw)) for one in drew for draw in one.draws]


def lines_below(result: Result, width: int) -> list[str]:
    """Give what stands below the races of a result, in lines that fit ``width``; nothing where there is no race.

    That is the outcome map, where ``>`` marks how the failing schedules end, and what each sampler drew.
    """
    if not result.findings:
        return []
    lines = _table(endings(result), max(20, width - 3 - _SCHEDULES - _SHARE)) if result.outcomes else []
    drew = [
        line
        for one in draws(result.verdict.evidence)
        for line in wrap(one, width, subsequent_indent="  ", break_on_hyphens=False)
    ]
    return [*lines, *([""] if lines and drew else []), *drew]


def _table(found: Endings, room: int) -> list[str]:
    heading = f"{found.heading} (> as above)" if found.raced else found.heading
    lines = [f"   {heading:<{room}}{'schedules':>{_SCHEDULES}}{'share':>{_SHARE}}"]
    for one in (*found.shown, *([found.rest] if found.rest else [])):
        # A line ends after a comma or a semicolon, so that nobody's answer is torn from its name.
        parts = wrap(re.sub("(?<![,;]) ", _KEPT, one.reported), room - 2, break_on_hyphens=False) or [""]
        first, *more = (part.replace(_KEPT, " ") for part in parts)
        figures = f"{one.schedules:>{_SCHEDULES}}{percent(one.share):>{_SHARE}}"
        lines += [f"{'>' if one.raced else '':<3}{first:<{room}}{figures}", *(f"     {part}" for part in more)]
    return lines


def _up_to_names(rows: Sequence[OutcomeRow], failing: Sequence[object]) -> list[OutcomeRow]:
    """Add up what differs only in which request is which; that of a failing schedule stands for all its likes."""
    alike: dict[object, list[OutcomeRow]] = {}
    for row in rows:
        named = [one for one in row.answers if one.actor.startswith(_BEFORE)]
        others = sorted(repr((one.status, one.record, one.count)) for one in row.answers if one not in named)
        alike.setdefault((row.left, tuple(named), tuple(others)), []).append(row)
    added = []
    for several in alike.values():
        simplest = min(several, key=lambda row: (row.outcome not in failing, Schedule(row.example).preemptions()))
        shares = [row.share for row in several if row.share is not None]
        added.append(
            OutcomeRow(
                simplest.outcome,
                sum(row.schedules for row in several),
                sum(row.sampled for row in several),
                sum(shares) if shares else None,
                simplest.example,
            )
        )
    return sorted(added, key=lambda row: -row.schedules)


def _all_shown(rows: Sequence[OutcomeRow]) -> list[str]:
    """Say in words how each ended; where two would read the same, the records tell them apart, by number or name."""
    reported = [""] * len(rows)
    for names in _Names:
        often = Counter(reported)
        reported = [
            _words(row, names) if often[one] > 1 or not one else one for row, one in zip(rows, reported, strict=True)
        ]
    return reported


def _words(row: OutcomeRow, names: _Names) -> str:
    whole = names is _Names.WHOLE
    states = ", then ".join(reported for reported in (_left(one, whole=whole) for one in row.left) if reported)
    shown = [one for one in row.answers if whole or not one.actor.startswith(_BEFORE)]
    records = list(dict.fromkeys(name for one in row.left for name in one.records or ())) if not whole else []
    answers = ", ".join(_reported(one, None if names is _Names.NONE else records) for one in shown)
    return clean("; ".join(reported for reported in (states, answers) if reported))


def _left(left: Left, *, whole: bool) -> str:
    """Say what is left: ``2 records, hits 1 and 1``."""
    words = []
    if left.records is not None:
        words.append(counted(len(left.records), "record"))
        if whole and left.records:
            words[-1] += f" ({', '.join(left.records)})"
    if left.hits and whole:
        words.append(f"hits {listed([f'{name}: {_count(hits)}' for name, hits in left.hits])}")
    elif left.hits and len(left.hits) == 1 and left.hits[0][1] is not None:
        words.append(counted(left.hits[0][1], "hit"))
    elif left.hits:
        words.append(f"hits {listed([_count(hits) for _, hits in left.hits])}")
    elif left.hits is not None and left.records is None:
        words.append("no hits")
    return ", ".join(words)


def _count(hits: int | None) -> str:
    return "not a number" if hits is None else str(hits)


def _reported(reported: ClientAnswer, records: list[str] | None) -> str:
    """Say what one client was answered: ``A 201``, ``B 202 count 2``; with ``records`` which of these, else by name."""
    words = [reported.actor, str(reported.status or "nothing")]
    if reported.count is not None:
        words.append(f"count {reported.count}")
    if records is not None and reported.record is not None:
        words.append(f"record {records.index(reported.record) + 1}" if reported.record in records else reported.record)
    return " ".join(words)
