"""JUnit XML: a case is a test case; what was expected passes.

What XML 1.0 can't hold, not even escaped (section 2.2), is not printable: `clean` has written it out before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from stress.core.masking import clean
from stress.report.explain.columns import WIDTH
from stress.report.explain.endings import lines_below
from stress.report.explain.race import race, title
from stress.report.explain.unordered import heading, unordered
from stress.report.json import schedule_path

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stress.report.events import Result


def junit(results: Sequence[Result], folders: Sequence[str] = ()) -> bytes:
    """Give the file. ``folders`` are where each case's files are, for the replay commands (none: left out).

    An inconclusive result is an error, any other that was not expected a failure; both tell what the terminal tells.
    """
    places = folders or [""] * len(results)
    kinds = [_kind(result) for result in results]
    suite = ET.Element(
        "testsuite",
        name="gateway-stress",
        tests=str(len(results)),
        failures=str(kinds.count("failure")),
        errors=str(kinds.count("error")),
        skipped="0",
        time=f"{sum(result.seconds for result in results):.3f}",
    )
    for result, kind, folder in zip(results, kinds, places, strict=True):
        case = ET.SubElement(
            suite,
            "testcase",
            classname=clean(result.scenario.name),
            name=clean(result.target.name),
            time=f"{result.seconds:.3f}",
        )
        if result.open_goals:
            named = ET.SubElement(ET.SubElement(case, "properties"), "property", name="goals not met")
            named.set("value", clean(", ".join(result.open_goals)))
        if kind:
            reported = "\n".join(_lines(result, folder))
            message = clean(f"{result.verdict.ruling} (expected {result.expected}): {result.verdict.reason}")
            ET.SubElement(case, kind, message=message, type=str(result.verdict.ruling)).text = reported
    text: bytes = ET.tostring(suite, encoding="utf-8", xml_declaration=True)
    return text


def _kind(result: Result) -> str:
    if result.as_expected:
        return ""
    return "error" if result.verdict.ruling == "inconclusive" else "failure"


def _lines(result: Result, folder: str) -> list[str]:
    lines: list[str] = []
    for number, finding in enumerate(result.findings, start=1):
        lines += [title(result, finding), *race(finding, schedule_path(folder, number)), ""]
    if (bare := result.unordered) is not None:
        lines += [heading(result, bare), *unordered(bare, folder), ""]
    if reported := lines_below(result, WIDTH):
        lines += [*reported, ""]
    lines += [clean(f"inconclusive: {fault}") for fault in result.faults]
    lines += [clean(f"expected but not found: {name}") for name in result.missing]
    lines += [clean(f"note: {note}") for note in result.notes]
    return lines
