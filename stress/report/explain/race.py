"""The report of one race, in lines: story, schedule as columns, what breaks it, what was observed, cause, replay."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING

from stress.core.masking import clean
from stress.core.verdict import Cause, Ruling
from stress.report.explain.beside import comparison
from stress.report.explain.columns import WIDTH, columns
from stress.report.explain.deeds import cut
from stress.report.explain.story import reported
from stress.report.explain.telling import ASSERTION
from stress.report.explain.words import listed, replay_command

if TYPE_CHECKING:
    from stress.core.trace import Trace
    from stress.core.verdict import Violation
    from stress.report.events import Finding, Result

_NARROWEST = 20
_REFUSED = 400
_LONGEST = 500
"""How many letters of an answer are shown."""
CAUSES = {
    Cause.GATEWAY: "gateway. An invariant is broken: the Gateway must change.",
    Cause.ENVIRONMENT: "environment. No change in the Gateway can help: isolate the test.",
}


def title(result: Result, finding: Finding) -> str:
    """Name the race, or what failed in a run and not in each of its replays."""
    what = "RACE" if result.verdict.ruling is Ruling.RACE else "NOT CONFIRMED"
    named = f"{', '.join(finding.races)} " if finding.races else ""
    return clean(f"{what} {named}{', '.join(finding.invariants)}: {result.scenario.name} on {result.target.name}")


def race(finding: Finding, schedule_file: str, program: str = "stress-gateway", width: int = WIDTH) -> list[str]:
    """Tell one race; ``schedule_file`` is the path of its order (empty: not written)."""
    lines = wrap(clean(reported(finding.trace, finding.violations)), max(width, _NARROWEST), break_on_hyphens=False)
    return [*lines, "", *details(finding, schedule_file, program, width)]


def details(finding: Finding, schedule_file: str, program: str = "stress-gateway", width: int = WIDTH) -> list[str]:
    """Tell all of a race but its story: the schedule, what was observed, the cause and the replay command."""
    good, of = finding.replays
    preemptions = finding.schedule.preemptions()
    lines = [*columns(finding.trace, finding.violations, width), "", *comparison(finding, width)]
    for one in finding.violations:
        said = clean(f"{one.invariant}: expected {one.expected}; observed {one.observed}{_where(finding, one)}")
        lines += wrap(said, max(width, _NARROWEST), subsequent_indent="  ", break_on_hyphens=False)
    for said in refusals(finding.trace):
        lines += wrap(clean(said), max(width, _NARROWEST), subsequent_indent="  ", break_on_hyphens=False)
    lines.append(f"cause: {CAUSES[finding.cause]}")
    lines.append(
        f"{preemptions} {'preemption' if preemptions == 1 else 'preemptions'}; failed again in {good} of {of} replays"
    )
    if finding.value_matters:
        lines += wrap(clean(finding.value_matters), max(width, _NARROWEST), subsequent_indent="  ")
    if not finding.confirmed:
        lines.append(clean(f"seen in the {finding.executor} executor only, not confirmed on the wire"))
    if schedule_file:
        lines.append(f"replay: {clean(replay_command(schedule_file, program))}")
    return lines


def refusals(trace: Trace) -> list[str]:
    """Give what clients were answered with a status of 4xx or 5xx, word by word; once where several got the same."""
    reported: dict[tuple[int, str], list[str]] = {}
    for answer in trace.answers:
        if answer.status >= _REFUSED and (body := cut(answer.body, _LONGEST)):
            reported.setdefault((answer.status, body), []).append(answer.actor)
    return [
        f"{listed(actors)} {'was' if len(actors) == 1 else 'were'} answered {status}: {body}"
        for (status, body), actors in reported.items()
    ]


def _where(finding: Finding, violation: Violation) -> str:
    """Say which epoch is meant where there are several; a test looks at what is left at the end."""
    count = len(finding.trace.epochs)
    if count == 1 or violation.invariant.startswith(ASSERTION):
        return ""
    return f" (epoch {violation.epoch + 1} of {count})"
