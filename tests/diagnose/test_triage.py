"""Flake triage: rates, what they say about a test, and the runs that they come from."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from commands import children, command, stress

from stress.diagnose.triage.junit import outcomes, stamps
from stress.diagnose.triage.kinds import CONDITIONS, kind_of
from stress.diagnose.triage.rate import NONE, Rate
from stress.processes.command import once

PYTHON = (sys.executable, "-I", "-S", "-c")

SPINS = """
    import os, sys
    from pathlib import Path

    tasks = Path(f"/proc/{os.getppid()}/task")
    pids = {pid for task in tasks.iterdir() for pid in (task / "children").read_text().split()} - {str(os.getpid())}
    states = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] for pid in pids]
    sys.exit(f"{states.count('R')} others spin" if "R" in states else 0)
"""
"""A test that fails when processes beside it spin: those that triage started, and nothing else of this machine."""

COUNTS = """
    import sys
    from pathlib import Path

    file = Path("runs")
    file.write_text(file.read_text() + "x" if file.exists() else "x")
    sys.exit({failing}.count(len(file.read_text())))
"""
"""A test that fails in the runs of the given numbers."""


def script(folder: Path, name: str, text: str) -> list[str]:
    """Write a program; give the words that run it."""
    (folder / name).write_text(textwrap.dedent(text))
    return [sys.executable, "-I", "-S", str(folder / name)]


def ended(pid: int) -> None:
    """Wait until a process that was killed is gone, or waits for its new parent."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        while Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX":
            os.sched_yield()


# --- rates -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("failed", "of", "low", "high"),
    [
        (0, 0, 0.0, 1.0),
        (0, 20, 0.0, 0.1611),
        (1, 20, 0.0089, 0.2361),
        (10, 20, 0.2993, 0.7007),
        (20, 20, 0.8389, 1.0),
        (0, 1, 0.0, 0.7935),
    ],
)
def test_an_interval_is_that_of_wilson(failed: int, of: int, low: float, high: float) -> None:
    """The ends, to four places, are those of the published formula."""
    assert tuple(round(end, 4) for end in Rate(failed, of).interval) == (low, high)


def test_a_rate_reads_as_what_was_counted_and_where_it_lies() -> None:
    """Failures, runs, and the interval in percent."""
    assert (str(Rate(1, 20)), str(NONE)) == ("1 of 20, 1 to 24 %", "not run")


# --- kinds -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("plain", "busy", "after", "beside", "kind"),
    [
        (0, 0, None, None, "always passes"),
        (0, 0, 0, 0, "always passes"),
        (9, 9, None, None, "always fails"),
        (9, 0, None, None, "always fails"),
        (9, 9, 1, None, "always fails"),
        (9, 9, 0, None, "order-dependent"),
        (0, 1, None, None, "timing"),
        (0, 9, None, None, "timing"),
        (0, 1, 0, 1, "timing"),
        (0, 0, 1, None, "order-dependent"),
        (0, 0, 0, 1, "order-dependent"),
        (0, 1, 1, None, "order-dependent"),
        (1, 0, 0, 0, "now and then"),
        (1, 9, 9, 9, "now and then"),
        (None, None, None, None, "unknown"),
    ],
)
def test_rates_say_why_a_test_fails(
    plain: int | None, busy: int | None, after: int | None, beside: int | None, kind: str
) -> None:
    """Of nine runs under each condition so many failed; None: it was not run."""
    failures = (plain, busy, after, beside)
    rates = {
        name: NONE if failed is None else Rate(failed, 9) for name, failed in zip(CONDITIONS, failures, strict=True)
    }
    assert kind_of(rates) == kind


# --- runs --------------------------------------------------------------------------------------------


def test_a_test_that_passes_always_exits_0(tmp_path: Path) -> None:
    """The rates are told with their intervals, and that more runs would narrow them."""
    said = stress(tmp_path, "triage", "--times", "2", "--", "true")
    assert (said.code, said.err) == (0, "")
    assert said.out.splitlines() == [
        "ALWAYS PASSES: true",
        "  it may still fail as often as the interval says: more runs narrow it",
        "",
        "  how often it failed (95 % interval)",
        "  by itself            0 of 2, 0 to 66 %",
        "  with all cores busy  0 of 2, 0 to 66 %",
    ]


def test_a_test_that_fails_always_says_how_it_ended(tmp_path: Path) -> None:
    """Exit code and last line are counted, without credentials; the exit code is 1."""
    said = stress(tmp_path, "triage", "--times", "2", "--", "sh", "-c", "echo password=hunter2 ; exit 3")
    assert said.code == 1
    assert said.out.splitlines()[0] == "ALWAYS FAILS: sh -c 'echo password=*** ; exit 3'"
    assert said.out.splitlines()[5] == "                       2 x exit code 3: password=***"
    assert "hunter2" not in said.out


def test_a_test_that_fails_under_contention_only_is_timing(tmp_path: Path) -> None:
    """It fails exactly when the busy processes run, one more than there are cores; they are stopped otherwise."""
    words = script(tmp_path, "spins.py", SPINS)
    said = stress(tmp_path, "triage", "--times", "3", "--json", "--", *words)
    found = json.loads(said.out)
    assert (said.code, found["kind"]) == (1, "timing")
    assert [(name, one["failed"], one["of"]) for name, one in found["conditions"].items()] == [
        ("plain", 0, 3),
        ("busy", 3, 3),
    ]


def test_a_test_that_fails_after_another_depends_on_schedule(tmp_path: Path) -> None:
    """The other command leaves a file that this one trips over, and takes it away."""
    trips = "import os, sys; there = os.path.exists('left'); there and os.unlink('left'); sys.exit(there)"
    said = stress(tmp_path, "triage", "--times", "2", "--after", "touch left", "--json", "--", *PYTHON, trips)
    found = json.loads(said.out)
    assert (said.code, found["kind"]) == (1, "order-dependent")
    assert {name: one["failed"] for name, one in found["conditions"].items()} == {"plain": 0, "busy": 0, "after": 2}


def test_a_test_that_fails_beside_another_depends_on_schedule(tmp_path: Path) -> None:
    """The other command is there while this one runs, and is ended after it."""
    other = script(tmp_path, "other.py", "import signal; open('up', 'w').close(); signal.pause()")
    looks = f"""
        import os, sys, time
        from pathlib import Path

        def beside():
            tasks = Path(f"/proc/{{os.getppid()}}/task")
            pids = [pid for task in tasks.iterdir() for pid in (task / "children").read_text().split()]
            return any({other[-1]!r} in Path(f"/proc/{{pid}}/cmdline").read_text() for pid in pids)

        sys.exit(beside())
    """
    words = script(tmp_path, "looks.py", looks)
    said = stress(tmp_path, "triage", "--times", "2", "--beside", shlex.join(other), "--json", "--", *words)
    found = json.loads(said.out)
    assert (said.code, found["kind"]) == (1, "order-dependent")
    assert {name: one["failed"] for name, one in found["conditions"].items()} == {"plain": 0, "busy": 0, "beside": 2}


def test_a_test_that_fails_by_itself_now_and_then_is_reported_so(tmp_path: Path) -> None:
    """The third of six runs fails, which is a plain one."""
    words = script(tmp_path, "counts.py", COUNTS.replace("{failing}", "[3]"))
    said = stress(tmp_path, "triage", "--times", "3", "--", *words)
    assert said.code == 1
    assert said.out.startswith("NOW AND THEN: ")
    assert [line for line in said.out.splitlines() if " of 3" in line] == [
        "  by itself            1 of 3, 6 to 79 %",
        "  with all cores busy  0 of 3, 0 to 56 %",
    ]


def test_a_fault_of_the_surroundings_is_reported_before_a_run(tmp_path: Path) -> None:
    """The doctor's line with its fix, exit code 69; the command is not run."""
    (tmp_path / "mine.yaml").write_text(
        "name: mine\nprotocol: redis-atomic\nrequires: [{file: gone, fix: make gone}]\n"
    )
    said = stress(tmp_path, "triage", "--target", "mine.yaml", "--", "touch", "ran")
    assert said.code == 69
    assert said.out.splitlines() == [
        "ENVIRONMENT: touch ran",
        "  fix what the doctor found, and triage again",
        "  FAULT mine: file: no such file: gone (make gone)",
    ]
    assert not (tmp_path / "ran").exists()


def test_a_fault_that_comes_meanwhile_is_the_environment(tmp_path: Path) -> None:
    """The test fails and its file is gone: no rate is blamed for that."""
    (tmp_path / "there").write_text("")
    (tmp_path / "mine.yaml").write_text("name: mine\nprotocol: redis-atomic\nrequires: [{file: there}]\n")
    said = stress(tmp_path, "triage", "--times", "1", "--target", "mine.yaml", "--json", "--", "rm", "there", "gone")
    found = json.loads(said.out)
    assert (said.code, found["kind"], len(found["faults"])) == (69, "environment", 1)
    assert found["conditions"]["plain"]["failed"] == 1


def test_a_run_that_takes_too_long_has_failed_and_is_ended(tmp_path: Path) -> None:
    """It and what it started are gone, and the ending says why."""
    ran = once(["sh", "-c", "sleep 1000 & echo $!; wait"], tmp_path, within=0.5)
    assert (ran.passed, ran.code) == (False, None)
    assert ran.ending.endswith(f" s: {ran.last}")
    ended(int(ran.last))
    said = stress(tmp_path, "triage", "--times", "1", "--timeout", "0.2", "--", "sleep", "1000")
    assert said.code == 1
    assert said.out.splitlines()[5] == "                       1 x ran out of time after 0 s"


@pytest.mark.parametrize(
    ("words", "code", "line"),
    [
        (
            ["--", "no-such-program"],
            69,
            "unavailable: no-such-program can't be run: No such file or directory (correct",
        ),
        (
            ["--after", "no-such", "--", "true"],
            69,
            "unavailable: no-such can't be run: No such file or directory (correct",
        ),
        (
            ["--after", '"', "--", "true"],
            64,
            "Error: Invalid value for --after: '\"' is no command: No closing quotation",
        ),
        (["--beside", "", "--", "true"], 64, "Error: Invalid value for --beside: is empty"),
        (["--times", "0", "--", "true"], 64, "Error: Invalid value for '--times': 0 is not in the range x>=1."),
        ([], 64, "Error: Missing argument 'COMMAND...'."),
        (["--target", "gone.yaml", "--", "true"], 64, "gone.yaml:1:1: can't be read: No such file or directory"),
        (["--junit", "*.txt", "--", "sh", "-c", "echo x > a.txt"], 64, "Error: a.txt is no JUnit file: syntax error"),
    ],
)
def test_bad_use_is_one_clear_line(tmp_path: Path, words: list[str], code: int, line: str) -> None:
    """What is not there exits 69, what is wrongly written 64."""
    said = stress(tmp_path, "triage", *words)
    lines = [one for one in said.err.splitlines() if one and not one.startswith(("Usage: ", "Try "))]
    assert (said.code, said.out, len(lines)) == (code, "", 1)
    assert lines[0].startswith(line)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_keeps_what_was_measured(tmp_path: Path, number: int) -> None:
    """The second run interrupts: exit 130, one run is told, and no process is left."""
    text = f"""
        import os, signal
        if os.path.exists("first"):
            os.kill(os.getppid(), {int(number)})
            signal.pause()
        open("first", "w").close()
    """
    words = script(tmp_path, "once.py", text)
    process = subprocess.Popen(
        command("triage", "--json", "--", *words),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    out, err = process.communicate(timeout=30)
    found = json.loads(out)
    assert (process.returncode, err) == (130, "interrupted: this is what was measured until then\n")
    assert (found["interrupted"], found["conditions"]["plain"]["of"], found["conditions"]["busy"]["of"]) == (True, 1, 0)
    assert children() == []


def test_what_a_run_leaves_behind_is_ended(tmp_path: Path) -> None:
    """A process that the command started in its group does not disturb the next run."""
    ran = once(["sh", "-c", "sleep 1000 & echo $!"], tmp_path)
    assert ran.passed
    ended(int(ran.last))


# --- JUnit -------------------------------------------------------------------------------------------

SUITE = """<testsuites><testsuite>
<testcase classname="a.B" name="passes"/>
<testcase classname="a.B" name="fails"><failure/></testcase>
<testcase classname="a.B" name="breaks"><error/></testcase>
<testcase classname="a.B" name="is left out"><skipped/></testcase>
<testcase name="is run again"><failure/></testcase>
<testcase name="is run again"/>
</testsuite></testsuites>"""


def test_outcomes_are_of_files_that_this_run_wrote(tmp_path: Path) -> None:
    """Passed, failed, broken, run again; a file of an earlier run says nothing, one that is written again does."""
    (tmp_path / "old.xml").write_text(SUITE)
    pattern = str(tmp_path / "**" / "*.xml")
    before = stamps(pattern)
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "new.xml").write_text('<testsuite><testcase name="new"/></testsuite>')
    assert outcomes(pattern, before) == {"new": True}
    (tmp_path / "old.xml").unlink()
    (tmp_path / "old.xml").write_text(SUITE + "\n")
    assert outcomes(pattern, before) == {
        "a.B::passes": True,
        "a.B::fails": False,
        "a.B::breaks": False,
        "is run again": False,
        "new": True,
    }


def test_each_test_of_a_junit_file_has_a_kind_of_its_own(tmp_path: Path) -> None:
    """Of two tests in the file one always passes, and one fails in the busy runs."""
    writes = """
        import sys
        from pathlib import Path

        file = Path("runs")
        file.write_text(file.read_text() + "x" if file.exists() else "x")
        busy = len(file.read_text()) % 2 == 0
        failure = "<failure/>" if busy else ""
        Path("out.xml").write_text(
            f'<testsuite><testcase name="steady"/><testcase name="shaky">{failure}</testcase></testsuite>'
        )
        sys.exit(busy)
    """
    words = script(tmp_path, "writes.py", writes)
    said = stress(tmp_path, "triage", "--times", "2", "--junit", "out.xml", "--", *words)
    assert said.code == 1
    assert said.out.splitlines()[-2:] == ["  2 tests, 1 of them always passed", "  timing: shaky: plain 0/2, busy 2/2"]
    (tmp_path / "runs").unlink()
    found = json.loads(stress(tmp_path, "triage", "--times", "2", "--junit", "out.xml", "--json", "--", *words).out)
    assert {name: one["kind"] for name, one in found["tests"].items()} == {"shaky": "timing", "steady": "always passes"}


def test_the_commands_of_the_page_do_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each `stress-gateway` line of docs/triage.md runs to its end with the exit code that stands beside it."""
    page = (Path(__file__).parent.parent.parent / "docs" / "triage.md").read_text()
    lines = re.findall(r"(?m)^    (stress-gateway .*?)\s+# exit (\d)$", page)
    junit = "case $* in *--junitxml*) echo '<testsuite><testcase name=\"x\"/></testsuite>' > report.xml;; esac\n"
    for name in ("pytest", "count-plain", "count-traced"):
        (tmp_path / name).write_text(f"#!/bin/sh\n{junit}")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    quick = {line: [*shlex.split(line)[1:2], "--times", "2", *shlex.split(line)[2:]] for line, _ in lines}
    words = {line: quick[line] if " triage " in line else shlex.split(line)[1:] for line, _ in lines}
    codes = {line: str(stress(tmp_path, *words[line]).code) for line, _ in lines}
    assert codes == dict(lines)
    assert len(lines) == len(re.findall(r"(?m)^    stress-gateway ", page)) >= 5
