"""The report folder of one case, and ``latest``, the one of the whole run.

A case has ``reports/<time>-<scenario>-<target>/`` with result.json, trace.ndjson, schedule.txt (and schedule-2.txt, …
when several schedules fail; burst.txt when bursts alone do), junit.xml and index.html.
"""

from __future__ import annotations

import json
import re
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

from stress.core.masking import mask_text, masked_lines
from stress.report.disk import ReportUnwritable, new_folder, put, refusals_named, replaced
from stress.report.explain.unordered import BURST_FILE
from stress.report.history import history
from stress.report.html.overview import overview_page
from stress.report.html.page import case_page
from stress.report.json import document, lines, schedule_name
from stress.report.junit import junit
from stress.report.markdown import summary

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stress.report.events import Result

__all__ = ["ReportUnwritable", "document", "write", "write_summary"]

_LONGEST = 80
"""How much of a name goes into the name of a folder; file systems take 255 bytes."""


def write(result: Result, root: Path) -> Path:
    """Write the folder of a case; give its path. An inconclusive result leaves the trace of its last run.

    Raises:
        ReportUnwritable: when the disk refuses; what was written before is whole and stays.

    """
    folder = new_folder(root, f"{time.strftime('%Y%m%d-%H%M%S')}-{_case(result)}")
    for number, finding in enumerate(result.findings, start=1):
        put(folder / schedule_name(number), masked_lines(finding.schedule.text()))
    if result.unordered is not None:
        put(folder / BURST_FILE, masked_lines(result.unordered.schedule.text()))
    trace = result.findings[0].trace if result.findings else result.last_trace
    trace = result.unordered.trace if result.unordered is not None else trace
    if trace is not None:
        put(folder / "trace.ndjson", lines(trace))
    put(folder / "result.json", _json(document(result)))
    put(folder / "junit.xml", junit([result], [str(folder)]))
    put(folder / "index.html", case_page(result, str(folder)))
    return folder


def write_summary(results: Sequence[Result], folders: Sequence[Path | None], root: Path) -> None:
    """Make ``latest`` again beside the old one, then swap them.

    It holds index.html, summary.md, junit.xml and results.json of the whole run and a link to the folder of each case;
    with a single case that case's own files too. A folder is None where it could not be written.

    Raises:
        ReportUnwritable: when the disk refuses; the old ``latest`` is still there then.

    """
    with replaced(root / "latest") as latest:
        links: list[str] = []
        for result, folder in zip(results, folders, strict=True):
            with refusals_named(latest):
                links.append(_link(latest, folder, _case(result)) if folder is not None else "")
        places = [str(folder or "") for folder in folders]
        put(latest / "results.json", _json([document(result) for result in results]))
        put(latest / "junit.xml", junit(results, places))
        put(latest / "summary.md", summary(results, places))
        earlier = history(root, {folder.name for folder in folders if folder is not None})
        put(latest / "index.html", overview_page(results, links, earlier))
        if len(folders) == 1 and folders[0] is not None:
            with refusals_named(latest):
                _copy(folders[0], latest)


def _link(latest: Path, folder: Path, name: str) -> str:
    """Link to the folder of a case; a case that was run twice has two links."""
    number = 1
    while (latest / (link := name if number == 1 else f"{name}-{number}")).is_symlink():
        number += 1
    (latest / link).symlink_to(Path("..") / folder.name)
    return link


def _copy(folder: Path, latest: Path) -> None:
    for pattern in ("result.json", "trace.ndjson", "schedule*.txt", BURST_FILE):
        for path in folder.glob(pattern):
            shutil.copyfile(path, latest / path.name)


def _case(result: Result) -> str:
    names = (mask_text(result.scenario.name), mask_text(result.target.name))
    return "-".join(re.sub(r"[^A-Za-z0-9.-]+", "-", name)[:_LONGEST] for name in names)


def _json(value: object) -> str:
    return json.dumps(value, indent=2) + "\n"
