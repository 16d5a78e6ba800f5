"""index.html of a case: one file, readable offline, on paper and without a script, of at most two million bytes."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

from stress.core.masking import masked_lines
from stress.core.verdict import counted
from stress.report.explain.beside import beside, breaks, is_far
from stress.report.explain.endings import draws, endings, lines_of, percent
from stress.report.explain.lines import lines_by_event
from stress.report.explain.meanings import in_words, uncontrolled
from stress.report.explain.pattern import titled
from stress.report.explain.race import CAUSES
from stress.report.explain.steps import conflicting, said, shown
from stress.report.explain.story import story
from stress.report.explain.telling import ASSERTION, telling
from stress.report.explain.unordered import unordered
from stress.report.explain.values import UNKNOWN, course
from stress.report.explain.words import replay_command
from stress.report.html.rendering import embedded, rendered
from stress.report.html.trace import Texts, as_json, cutting, meaning
from stress.report.json import covered, schedule_name, unchecked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stress.core.step import Move
    from stress.core.trace import Event, Trace
    from stress.core.verdict import Violation
    from stress.report.events import Finding, Result
    from stress.report.explain.beside import Both
    from stress.report.explain.endings import Ending
    from stress.report.explain.values import Course

MOST_STEPS = 10_000
"""How many events of a trace a page holds."""
LARGEST = 2_000_000
"""Bytes of a page."""
_SCRIPTS = ("common.js", "schedule.js", "card.js", "diagram.js", "raw.js")
_KEYS = 8
"""How many watched keys have a column."""


class Limits(NamedTuple):
    """How much a page shows: events that its script holds, rows that stand in it without a script, letters of a text,
    and outcomes.
    """  # noqa: D205 - one thought

    events: int
    rows: int
    letters: int
    outcomes: int


_LIMITS = (
    Limits(MOST_STEPS, 200, 4000, 40),
    Limits(MOST_STEPS, 200, 300, 40),
    Limits(MOST_STEPS, 100, 80, 20),
    Limits(MOST_STEPS, 50, 40, 10),
    Limits(MOST_STEPS, 50, 20, 10),
    Limits(4000, 50, 60, 10),
    Limits(1000, 50, 60, 5),
    Limits(200, 20, 60, 2),
)
"""Each is tried until the page is small enough; result.json and trace.ndjson have all."""


def case_page(result: Result, folder: str) -> str:
    """Give the page of one scenario on one target; ``folder`` is where its files are, for the replay commands."""
    known = _Known({}, {})
    for limits in _LIMITS[:-1]:
        page = _Page(result, folder, limits, known).text()
        if page and len(page.encode("utf-8", "backslashreplace")) <= LARGEST:
            return page
    return _Page(result, folder, _LIMITS[-1], known).text()


class _Known(NamedTuple):
    """What is the same whatever the limits: the course of each trace by its id, and texts after masking."""

    courses: dict[int, Course]
    cleaned: dict[object, str]


class _Page:
    """Puts a page together under some limits."""

    def __init__(self, result: Result, folder: str, limits: Limits, known: _Known) -> None:
        self._result, self._folder, self._limits, self._courses = result, folder, limits, known.courses
        self._cut = cutting(limits.letters, known.cleaned)
        self._texts = Texts(self._cut)
        self._reported: list[dict[str, Any]] = []

    def text(self) -> str:
        """Give the page; nothing where what the script reads is already too large."""
        result = self._result
        found = [self._finding(number, one) for number, one in enumerate(result.findings, start=1)]
        last = None
        if result.verdict.ruling == "inconclusive" and not found and result.last_trace is not None:
            last = self._trace("", result.last_trace, ())
        data = embedded({"traces": self._reported, "texts": self._texts.all})
        if len(data) > LARGEST and self._limits != _LIMITS[-1]:
            return ""
        return rendered(
            "case.html",
            _SCRIPTS,
            title=f"{result.scenario.name} on {result.target.name}",
            result=result,
            findings=found,
            unordered=self._unordered(),
            last=last,
            broken=self._broken(),
            covered=covered(result.verdict.evidence),
            draws=draws(result.verdict.evidence),
            map=self._map(),
            unchecked=unchecked(result.verdict.evidence).removeprefix("; "),
            uncontrolled=uncontrolled(result),
            cut=self._cut,
            data=data,
        )

    def _broken(self) -> list[dict[str, Any]]:
        """List each violation of the failing schedules once: what is demanded, expected and observed."""
        rows: dict[tuple[str, ...], dict[str, Any]] = {}
        bare = self._result.unordered
        broken = [(one, _where(finding, one)) for finding in self._result.findings for one in finding.violations]
        broken += [(one, "") for one in bare.violations] if bare is not None else []
        for one, where in broken:
            shown = {
                "invariant": one.invariant,
                "means": in_words(one.invariant),
                "expected": one.expected,
                "observed": one.observed,
                "where": where,
            }
            rows.setdefault(tuple(shown.values()), shown)
        return list(rows.values())[: self._limits.rows]

    def _unordered(self) -> list[str]:
        """Tell a race without a schedule; nothing where there is none."""
        bare = self._result.unordered
        return unordered(bare, self._folder) if bare is not None else []

    def _finding(self, number: int, finding: Finding) -> dict[str, Any]:
        named = telling(finding.trace, finding.violations).pattern
        ident = "" if number == 1 else f"schedule-{number}-"
        return {
            "number": number,
            "invariants": ", ".join(finding.invariants),
            "races": ", ".join(finding.races),
            "pattern": titled(named) if named else "",
            "meaning": named.meaning if named else "",
            "story": story(finding.trace, finding.violations),
            "cause": CAUSES[finding.cause],
            "replay": replay_command(f"{self._folder}/{schedule_name(number)}"),
            "replays": finding.replays,
            "value_matters": finding.value_matters,
            "preemptions": finding.schedule.preemptions(),
            "executor": finding.executor,
            "confirmed": finding.confirmed,
            "breaks": breaks(finding.nearest) if finding.nearest else "",
            "beside": self._beside(finding),
            "movers": list(dict.fromkeys(move.actor for move in _moves(finding))),
            **self._trace(ident, finding.trace, finding.violations),
        }

    def _beside(self, finding: Finding) -> list[Both | str]:
        """Give the rows of both schedules; where they are many, what is alike far from what differs is counted."""
        if finding.nearest is None:
            return []
        rows = beside(finding.schedule.moves, finding.nearest)
        if len(rows) <= self._limits.rows // 4:
            return list(rows)
        lines: list[Both | str] = []
        for alike, several in groupby(range(len(rows)), lambda at: is_far(rows, at)):
            places = list(several)
            lines += [f"{counted(len(places), 'step')} alike"] if alike else [rows[at] for at in places]
        return lines[: self._limits.rows]

    def _trace(self, ident: str, trace: Trace, violations: Sequence[Violation]) -> dict[str, Any]:
        """Give a trace as rows, a cell for each actor, with its answers and states; note it for the script."""
        events = shown(trace)
        marked = telling(trace, violations).steps if violations else ()
        if id(trace) not in self._courses:
            self._courses[id(trace)] = course(trace)
        followed = self._courses[id(trace)]
        self._reported.append({"id": ident, **as_json(trace, followed, marked, self._texts, self._limits.events)})
        rows = events[: self._limits.rows]
        actors = list(dict.fromkeys(event.actor for event in rows))
        lines = lines_by_event(trace)
        conflicts = conflicting(trace) if len(events) <= self._limits.rows else frozenset()
        keys = followed.watched[:_KEYS]
        return {
            "id": ident,
            "actors": actors,
            "rows": [
                {**self._row(one, actors, set(marked), conflicts), "line": lines.get(one.index, "")} for one in rows
            ],
            "watched": keys,
            "more_keys": len(followed.watched) - len(keys),
            "states": trace.epochs[: self._limits.rows],
            "course": _values(rows, followed.after, keys),
            "answers": [(one, meaning(one)) for one in trace.answers[: self._limits.rows]],
            "fault": trace.fault,
            "conflicts": bool(conflicts),
            "marked": bool(marked),
            "steps": len(events),
            "held": min(len(events), self._limits.events),
        }

    def _row(self, event: Event, actors: Sequence[str], marked: set[int], conflicts: frozenset[int]) -> dict[str, Any]:
        return {
            "index": event.index,
            "actor": event.actor,
            "column": actors.index(event.actor),
            "text": said(event),
            "whole": event.text if event.text != event.command else "",
            "reply": event.reply,
            "lines": ", called at ".join(event.lines),
            "kind": str(event.kind),
            "style": "marked" if event.index in marked else "conflict" if event.index in conflicts else "",
        }

    def _map(self) -> dict[str, Any]:
        """Give the outcome map as rows: what it is in words, two figures and how long their bars are, an example."""
        found = endings(self._result, self._limits.outcomes)
        total = sum(row.schedules for row in self._result.outcomes)
        rows = [
            {
                "reported": one.reported,
                "race": one.raced,
                "schedules": one.schedules,
                "share": percent(one.share),
                "schedules_bar": f"{100 * one.schedules / total:.1f}%",
                "share_bar": f"{100 * (one.share or 0):.1f}%",
                "example": masked_lines("\n".join(lines_of(one.example[: self._limits.rows]))),
            }
            for one in found.shown
        ]
        return {
            "rows": rows,
            "renamed": found.renamed,
            "races": found.raced,
            "drawn": any(row.share is not None for row in self._result.outcomes),
            "rest": _rest(found.rest) if found.rest else "",
        }


def _where(finding: Finding, violation: Violation) -> str:
    """Name the epoch where there are several; what a test asserts is about the end."""
    if len(finding.trace.epochs) == 1:
        return ""
    return "at the end" if violation.invariant.startswith(ASSERTION) else f"epoch {violation.epoch + 1}"


def _values(events: Sequence[Event], after: Any, keys: Sequence[str]) -> list[dict[str, Any]]:  # noqa: ANN401
    """Give a row for each step: what every watched key held after it, and whether that is new."""
    rows: list[dict[str, Any]] = []
    before: dict[str, str] = {}
    for event in events:
        if event.index in after:
            state = after[event.index]
            cells = [{"value": state[key], "new": before.get(key, UNKNOWN) != state[key] != UNKNOWN} for key in keys]
            rows.append({"index": event.index, "actor": event.actor, "text": said(event), "cells": cells})
            before = state
    return rows


def _moves(finding: Finding) -> list[Move]:
    """List the moves of the failing schedule, and of the nearest passing one if there is one."""
    return [*finding.schedule.moves, *(finding.nearest.moves if finding.nearest else ())]


def _rest(rest: Ending) -> str:
    text = f"and {rest.reported}: {counted(rest.schedules, 'schedule')}"
    return text if rest.share is None else f"{text}, share {percent(rest.share)}"
