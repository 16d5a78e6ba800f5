"""The report folder of one pair: result.json, trace.ndjson, order.txt and junit.xml."""

from __future__ import annotations

import json
import re
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from stress.result import Result
    from stress.trace import Trace


class ReportUnwritable(Exception):
    """A report can't be written; exit code 74."""


def document(result: Result) -> dict[str, Any]:
    """Give the content of result.json."""
    evidence = result.verdict.evidence[0]
    search = {
        "explorer": evidence.explorer,
        "orders": evidence.orders + evidence.sampled,
        "classes": evidence.total,
        "exhausted": evidence.exhausted,
        "bound": evidence.bound,
        "seconds": round(evidence.seconds, 3),
        "covered": evidence.covered,
    }
    return {
        "scenario": result.scenario.name,
        "target": result.target.name,
        "world": result.world,
        "verdict": str(result.verdict.ruling),
        "reason": result.verdict.reason,
        "expected": result.expected,
        "as_expected": result.as_expected,
        "violations": [asdict(violation) for finding in result.findings for violation in finding.violations],
        "search": search,
        "cause": [str(finding.cause) for finding in result.findings],
        "order_file": "order.txt" if result.findings else None,
        "faults": list(result.faults),
        "notes": list(result.notes),
        "seed": result.seed,
    }


def write(result: Result, root: Path) -> Path:
    """Write the folder ``<time>-<scenario>-<target>`` and point ``latest`` at it; give its path.

    Raises:
        ReportUnwritable: when the disk refuses; what could be written stays.

    """
    name = re.sub(
        r"[^A-Za-z0-9.-]+",
        "-",
        f"{time.strftime('%Y%m%d-%H%M%S')}-{result.scenario.name}-{result.target.name}",
    )
    folder = root / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for number, finding in enumerate(result.findings, start=1):
            suffix = "" if number == 1 else f"-{number}"
            (folder / f"order{suffix}.txt").write_text(finding.order.text())
        trace = result.findings[0].trace if result.findings else result.last_trace
        if trace is not None:
            (folder / "trace.ndjson").write_text(_lines(trace))
        (folder / "result.json").write_text(json.dumps(document(result), indent=2) + "\n")
        (folder / "junit.xml").write_bytes(_junit([result]))
    except OSError as error:
        raise ReportUnwritable(f"{folder}: {error.strerror}") from None
    return folder


def write_summary(results: list[Result], folders: list[Path], root: Path) -> None:
    """Make ``latest`` anew: a link to the folder of each pair, junit.xml and summary.md of the whole run.

    Raises:
        ReportUnwritable: when the disk refuses.

    """
    latest = root / "latest"
    try:
        latest.mkdir(parents=True, exist_ok=True)
        for old in latest.iterdir():
            old.unlink()
        for result, folder in zip(results, folders, strict=True):
            (latest / f"{result.scenario.name}-{result.target.name}").symlink_to(Path("..") / folder.name)
        (latest / "junit.xml").write_bytes(_junit(results))
        rows = [f"| {r.scenario.name} | {r.target.name} | {r.verdict.ruling} | {r.as_expected} |" for r in results]
        head = ["| scenario | target | verdict | as expected |", "| --- | --- | --- | --- |"]
        (latest / "summary.md").write_text("\n".join([*head, *rows]) + "\n")
    except OSError as error:
        raise ReportUnwritable(f"{latest}: {error.strerror}") from None


def _lines(trace: Trace) -> str:
    events = [json.dumps({"event": asdict(event)}) for event in trace.events]
    answers = [json.dumps({"answer": asdict(answer)}) for answer in trace.answers]
    states = [json.dumps({"state": asdict(state)}) for state in trace.incarnations]
    return "\n".join([*events, *answers, *states]) + "\n"


def _junit(results: list[Result]) -> bytes:
    suite = ET.Element("testsuite", name="gateway-stress", tests=str(len(results)))
    for result in results:
        case = ET.SubElement(
            suite,
            "testcase",
            classname=result.scenario.name,
            name=result.target.name,
            time=f"{result.seconds:.3f}",
        )
        if not result.as_expected:
            kind = "error" if result.verdict.ruling == "inconclusive" else "failure"
            told = "; ".join(str(violation) for finding in result.findings for violation in finding.violations)
            ET.SubElement(case, kind, message=_legal(result.verdict.reason)).text = _legal(told)
    text: bytes = ET.tostring(suite, encoding="utf-8", xml_declaration=True)
    return text


def _legal(text: str) -> str:
    return re.sub(r"[^\t\n\r\x20-\uD7FF\uE000-\uFFFD]", "?", text)
