"""summary.md: what a CI system shows of a run; a table, then each race as the terminal tells it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from stress.core.masking import clean
from stress.report.explain.endings import draws, endings, percent
from stress.report.explain.race import details, title
from stress.report.explain.story import reported
from stress.report.explain.unordered import heading, unordered
from stress.report.json import not_met, reasons, schedule_path, summed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stress.report.events import Result

_MARKS = re.compile(r"[\\`*_\[\]<>|&~#$]")


def summary(results: Sequence[Result], folders: Sequence[str]) -> str:
    """Give the Markdown text; ``folders`` are where each case's files are."""
    good = sum(result.as_expected for result in results)
    rows = [
        f"**{good} of {len(results)} cases as expected**",
        "",
        "| scenario | target | verdict | as expected | covered |",
        "| --- | --- | --- | --- | --- |",
    ]
    for result in results:
        cells = (
            result.scenario.name,
            result.target.name,
            str(result.verdict.ruling),
            "yes" if result.as_expected else "NO",
            summed(result),
        )
        rows.append("| " + " | ".join(literal(cell) for cell in cells) + " |")
    for result, folder in zip(results, folders, strict=True):
        for number, finding in enumerate(result.findings, start=1):
            sentence = reported(finding.trace, finding.violations)
            rows += ["", f"### {literal(title(result, finding))}", "", literal(sentence), ""]
            rows += _fenced(details(finding, schedule_path(folder, number)))
        if (bare := result.unordered) is not None:
            rows += ["", f"### {literal(heading(result, bare))}", "", *_fenced(unordered(bare, folder))]
        rows += _outcomes(result)
        if left := not_met(result):
            rows += ["", literal(f"{left}: {result.scenario.name} on {result.target.name}")]
        rows += [line for drew in draws(result.verdict.evidence) for line in ("", literal(drew))]
        for reason in reasons(result):
            rows += ["", f"**inconclusive**: {literal(result.scenario.name)} on {literal(result.target.name)}: "]
            rows[-1] += literal(reason)
    return "\n".join(rows) + "\n"


def _outcomes(result: Result) -> list[str]:
    """Give the outcome map as a table; how a race ends is in bold letters. Nothing for a case without a race."""
    if not result.findings or not result.outcomes:
        return []
    found = endings(result)
    rows = ["", f"| {found.heading} | schedules | share of random schedules |", "| --- | ---: | ---: |"]
    for one in (*found.shown, *([found.rest] if found.rest else [])):
        reported = f"**{literal(one.reported)}**" if one.raced else literal(one.reported)
        rows.append(f"| {reported} | {one.schedules} | {literal(percent(one.share))} |")
    return rows


def literal(text: str) -> str:
    """Write a text so that Markdown shows it as it is, whatever is in it."""
    return _MARKS.sub(r"\\\g<0>", clean(text))


def _fenced(rows: Sequence[str]) -> list[str]:
    longest = max((len(run) for row in rows for run in re.findall("`+", row)), default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{fence}text", *rows, fence]
