"""The report folder of `wrap`: the answer as text and JSON, the schedules, the output of the command."""

from __future__ import annotations

import html
import json
import re
import shutil
import time
from typing import TYPE_CHECKING, Any

from stress.core.masking import mask_text, masked_lines
from stress.engine.wrap.answer import difference
from stress.engine.wrap.schedule import Schedule
from stress.engine.wrap.text import ending, verdict
from stress.report.disk import new_folder, put, refusals_named, replaced

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from stress.engine.wrap.answer import Answer
    from stress.engine.wrap.start import Ended, Taken

SCHEDULE = "schedule.txt"
_LONGEST = 40
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>
body{{margin:2rem auto;max-width:70rem;font-family:system-ui}}pre{{overflow-x:auto;line-height:1.5}}
</style></head>
<body><h1>{title}</h1><pre>{text}</pre></body></html>
"""


def write(answer: Answer, root: Path, store: str, text: Sequence[str]) -> Path:
    """Write a new folder and copy it to ``latest``; give the path of ``latest``.

    Raises:
        ReportUnwritable: when the disk refuses.

    """
    name = re.sub(r"[^A-Za-z0-9.-]+", "-", mask_text(answer.command))[:_LONGEST].strip("-")
    folder = new_folder(root, f"{time.strftime('%Y%m%d-%H%M%S')}-wrap-{name}")
    shown = masked_lines("\n".join(text) + "\n")
    put(folder / "summary.txt", shown)
    put(folder / "result.json", json.dumps(document(answer), indent=2) + "\n")
    put(folder / "index.html", _PAGE.format(title=html.escape(verdict(answer)), text=html.escape(shown)))
    if answer.found is not None:
        put(folder / SCHEDULE, schedule_of(answer.found.ended, answer, store).text())
        put(folder / "output.txt", masked_lines(answer.found.ended.output))
        if answer.found.nearest is not None:
            put(folder / "passes.txt", schedule_of(answer.found.nearest, answer, store).text())
    latest = root / "latest"
    with replaced(latest) as built, refusals_named(latest):
        shutil.copytree(folder, built, dirs_exist_ok=True)
    return latest


def schedule_of(ended: Ended, answer: Answer, store: str) -> Schedule:
    """Give the schedule of a start, as it is kept."""
    outcome = ending(ended)
    return Schedule(ended.turns, store, answer.objects, mask_text(answer.command), outcome)


def document(answer: Answer) -> dict[str, Any]:
    """Give the answer as JSON."""
    found = answer.found
    why = difference(found.ended, found.nearest)[1] if found is not None and found.nearest is not None else ""
    return {
        "command": mask_text(answer.command),
        "verdict": verdict(answer),
        "exit_code": answer.code,
        "reason": answer.reason,
        "remedy": answer.remedy,
        "rows": [{"name": r.name, "failed": r.failed, "runs": r.runs, "why": r.why} for r in answer.rows.values()],
        "objects": list(answer.objects),
        "seconds": round(answer.seconds, 1),
        "replays": None if found is None else {"failed": found.failed, "runs": found.replays},
        "counterexample": None if found is None else [_step(one) for one in found.ended.taken],
        "passes": None if found is None or found.nearest is None else [_step(one) for one in found.nearest.taken],
        "passes_if": why,
        "notes": answer.notes,
    }


def _step(one: Taken) -> dict[str, Any]:
    return {
        "actor": one.turn.actor,
        "command": one.turn.command,
        "objects": one.turn.objects,
        "text": mask_text(one.turn.text),
        "outcome": str(one.outcome.how),
        "value": mask_text(str(one.outcome.value)),
        "others": list(one.others),
    }
