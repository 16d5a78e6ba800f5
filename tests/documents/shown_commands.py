"""The documents: which there are, the commands that they show, and the files that these speak of."""

from __future__ import annotations

import json
import re
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from commands import TWO_AT_ONCE

from stress.core.schedule import Head, Schedule
from stress.core.step import Move

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT = Path(__file__).parent.parent.parent
DOCUMENTS = (
    *("README.md", "ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "reports/README.md"),
    *sorted(str(path.relative_to(ROOT)) for folder in ("docs", "scenarios") for path in (ROOT / folder).rglob("*.md")),
)
WALK = "docs/reproduce-before-fixing.md"
PAGES = ("docs/writing-a-check.md", "docs/writing-a-dedup-protocol.md")
"""Their commands follow changes to a checkout."""
SCHEDULE = "docs/schedule-file.md"
THERE = {
    "docs/doctor.md": "diagnose/test_doctor.py",
    "docs/init.md": "cli/test_init.py",
    "docs/triage.md": "diagnose/test_triage.py",
    "docs/wrap.md": "cli/test_wrap.py",
}
"""Documents whose commands are run by tests that have what these need."""

PROGRAMS = "stress-gateway|make|pytest|go|git|pip|python3?|docker|podman|kubectl|npm|curl|psql|export"
FILES = ("yaml", "python", "text")
"""Languages of blocks that are files."""
NAMED = {f"stress-gateway {name}" for name in ("init", "overhead", "promote", "replay", "triage", "try", "wrap")}
"""Not calls: commands that need more are only named so."""

GATEWAY = ROOT / "tests" / "gateways" / "lock_gateway.py"
FAILS_STILL = 1


class Shown(NamedTuple):
    """A command, and the lines below it, which are what it prints."""

    line: str
    prints: tuple[str, ...]


def blocks(document: str) -> list[tuple[str, str]]:
    """Give the code blocks of a document, fenced or indented: the language, if any, and the text."""
    text = (ROOT / document).read_text()
    fenced = re.findall(r"^```(\w*)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    rest = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    indented = re.findall(r"(?:^ {4}.*\n|^\n(?= {4}))+", rest, re.MULTILINE)
    return [*fenced, *(("", textwrap.dedent(block).strip("\n") + "\n") for block in indented)]


def shown(document: str) -> list[Shown]:
    """Give the commands of a document's blocks, in their order."""
    found: list[Shown] = []
    for language, text in blocks(document):
        lines = text.splitlines()
        if language in FILES or not re.match(f"({PROGRAMS}) ", lines[0]):
            continue
        begins = [at for at, line in enumerate(lines) if re.match(f"({PROGRAMS}) ", line)]
        for at, end in zip(begins, [*begins[1:], len(lines)], strict=True):
            found.append(Shown(lines[at].split("  #")[0].strip(), tuple(filter(None, lines[at + 1 : end]))))
    return found


def mentioned(document: str) -> set[str]:
    """Give the commands within a document's sentences."""
    words = re.findall(rf"`((?:{PROGRAMS}) [^`]+)`", (ROOT / document).read_text())
    return {" ".join(one.split()) for one in words} - NAMED


def lines_of(documents: Iterable[str]) -> set[str]:
    """Give the commands of documents' blocks."""
    return {one.line for document in documents for one in shown(document)}


def own_target(folder: Path, mode: str) -> None:
    """Write the target that the documents speak of."""
    words = json.dumps([sys.executable, str(GATEWAY), "{port}", "{redis_port}", mode])
    (folder / "my-gateway.yaml").write_text(f"name: my-gateway\nstart: {{command: {words}}}\npatience: 0.2\n")


def own_files(folder: Path) -> None:
    """Write the scenario and the target that the documents speak of; the Gateway holds a lock, so it is right.

    Beside them are a schedule of that scenario, and a program with the name of Kubernaut's.
    """
    own_target(folder, "locked")
    (folder / "my-scenario.yaml").write_text(
        TWO_AT_ONCE.replace("no_server_error, one_created_answer", "no_server_error")
    )
    schedule = Schedule(
        (Move("A", "SET", "k"),), Head("two-at-once", target="my-gateway"), (("scenario my-scenario.yaml", ""),)
    )
    (folder / "schedule.txt").write_text(schedule.text())
    (folder / "kubernaut-gateway-head").touch(0o755)
