"""Pages that are a story: their commands are run in the order in which they stand, their files taken as they are."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from commands import TWO_AT_ONCE, Said, stress
from conftest import MEASURES
from made import HOLDS, TWO_RACES, found, trace_of
from shown_commands import FAILS_STILL, PAGES, ROOT, SCHEDULE, WALK, Shown, blocks, own_target, shown

from stress.checks import run_checks
from stress.core.registry import CHECKS
from stress.core.schedule import parse
from stress.schedulers.exhaustive import Exhaustive

if TYPE_CHECKING:
    from pathlib import Path


pytestmark = pytest.mark.unmeasured


def as_shown(one: Shown, said: str) -> bool:
    """Tell whether each line below a command begins one that it printed, in their order."""
    printed = iter(said.splitlines())
    return all(any(line.startswith(part.removesuffix("…")) for line in printed) for part in one.prints)


@pytest.mark.cases
def test_a_race_is_walked_from_red_to_a_regression(tmp_path: Path) -> None:
    """Each command of the walk, in its order, prints what stands below it; in between, the Gateway is fixed."""
    (tmp_path / "my-scenario.yaml").write_text(TWO_AT_ONCE.replace("two-at-once", "my-scenario"))
    walk = shown(WALK)
    assert [one.line.split()[1] for one in walk] == ["run", "replay", "replay", "promote", "run"]
    own_target(tmp_path, "racy")
    said: list[Said] = []
    for at, one in enumerate(walk):
        if at == 2:
            own_target(tmp_path, "locked")
        said.append(stress(tmp_path, *shlex.split(one.line)[1:]))
        if at == 0:
            shutil.copyfile(tmp_path / "reports" / "latest" / "schedule.txt", tmp_path / "my-scenario-my-gateway.txt")
    assert [one.code for one in said] == [1, FAILS_STILL, 0, 0, 0]
    assert [one.line for one, printed in zip(walk, said, strict=True) if not as_shown(one, printed.out)] == []
    assert "regression that can't be followed any more: regressions/my-scenario-my-gateway-" in said[-1].out


BEING_WRITTEN = shutil.ignore_patterns("*.pyc.*")
"""What another process compiles meanwhile: it gets another name, so that it may be gone before it is copied."""
IN_A_CHECKOUT = """\
import json, shlex, sys
from pathlib import Path
from click.testing import CliRunner
from stress.cli.main import main
said = []
for line in sys.argv[1:]:
    words, _, file = line.partition(" > ")
    done = CliRunner().invoke(main, shlex.split(words)[1:])
    if file:
        Path(file).write_text(done.output)
    said.append([done.exit_code, done.output])
print(json.dumps(said))
"""


def files_of(document: str) -> dict[str, str]:
    """Give the files that a document shows, by the path that stands before each."""
    return dict(re.findall(r"(?ms)`([\w/.-]+)`:\n\n```\w+\n(.*?)^```", (ROOT / document).read_text()))


def test_a_check_and_a_protocol_are_added_to_a_checkout_as_shown(tmp_path: Path) -> None:
    """With the files of both pages in their places, each command prints what stands below it.

    The schemas know both then. The protocol holds, and where its key runs out that is a race.
    """
    for folder in ("stress", "scenarios"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=BEING_WRITTEN)
    for page in PAGES:
        for path, text in files_of(page).items():
            (tmp_path / path).write_text(text)
    steps = [*shown(PAGES[0]), *shown(PAGES[1])]
    words = [sys.executable, "-c", IN_A_CHECKOUT, *(one.line for one in steps)]
    env = {name: os.environ[name] for name in os.environ.keys() - {MEASURES}}  # it is a copy that is run
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert [code for code, _ in said] == [0, 0, 0, 0, 1]
    assert [one.line for one, (_, out) in zip(steps, said, strict=True) if not as_shown(one, out)] == []
    schemas = {
        kind: (tmp_path / "scenarios" / "schema" / f"{kind}.json").read_text() for kind in ("scenario", "target")
    }
    assert ('"one_record_named"' in schemas["scenario"], '"redis-counted"' in schemas["target"]) == (True, True)


def defined(text: str) -> dict[str, Any]:
    """Run the text of a module; give what it defines."""
    names: dict[str, Any] = {"__name__": "shown"}
    exec(text, names)  # noqa: S102 - a document of ours
    return names


def test_the_check_that_is_shown_judges_any_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two names are answered on the racy Gateway when the second passes, one on its fixed counterpart."""
    monkeypatch.setattr(CHECKS, "_items", dict(CHECKS._items))  # it registers itself
    check = defined(files_of(PAGES[0])["stress/checks/one_record_named.py"])["check"]
    names = "rr-{fingerprint:12}-{time:1}, rr-{fingerprint:12}-{time:2}"
    (racy,) = {str(one) for finding in found(*TWO_RACES) for one in check(finding.trace)}
    assert racy == f"one_record_named: expected one record; observed {names}"
    assert check(trace_of(*HOLDS)) == []


def test_the_protocol_that_is_shown_runs_in_the_place_of_a_bundled_one() -> None:
    """Every schedule of it keeps every promise."""
    (text,) = [text for _, text in blocks(PAGES[1]) if "ModelExecutor" in text]
    protocol = defined(files_of(PAGES[1])["stress/gateways/redis_counted.py"])["deduplicate"]
    executor, scheduler = defined(text)["executor"](protocol), Exhaustive(fused=True)
    schedules = 0
    while scheduler.more():
        trace = executor.run(scheduler)
        scheduler.learn(trace)
        schedules += 1
        assert run_checks(executor.scenario.invariants, trace) == []
    assert schedules == 6


def test_the_schedule_that_is_shown_is_one_and_fails(tmp_path: Path) -> None:
    """The page's schedule file is read as what it says, and its command prints what stands below it."""
    (text,) = [text for language, text in blocks(SCHEDULE) if language == "text"]
    schedule = parse(text)
    assert (schedule.actors, schedule.preemptions(), schedule.head.executor) == ("A A A B B B B A", 1, "model")
    (one,) = shown(SCHEDULE)
    (tmp_path / "lost-hit.txt").write_text(text)
    said = stress(tmp_path, *shlex.split(one.line)[1:])
    assert (said.code, as_shown(one, said.out)) == (FAILS_STILL, True)
