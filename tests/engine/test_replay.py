"""Replaying schedule files: the same Gateway, a changed one, another folder, and files that are damaged."""

from __future__ import annotations

import json
import re
import shutil
from typing import TYPE_CHECKING

import pytest
from commands import BAD, own_files, stress

from stress.config.formats import find
from stress.core.schedule import Head, Schedule, parse
from stress.core.step import Move
from stress.engine import replay as replaying
from stress.engine.campaign import Job, Where
from stress.engine.running import follow as follow_isolated
from stress.executors.live.executor import LiveExecutor

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator
    from pathlib import Path

    from stress.core.trace import Trace
    from stress.engine.case import Case
    from stress.engine.limits import Limits
    from stress.engine.running import Executor
    from stress.executors.live.drive import Drive
    from stress.executors.model.executor import ModelExecutor

REPLACED = re.compile(r"reports/\d{8}-\d{6}-two-at-once-own(-\d+)?")


ANOTHER = """\
STILL FAILING by another schedule: REPORT/schedule.txt
searched because the schedule can't be followed: DIVERGED at step"""

FILES = ("two.yaml", "own.yaml", "gateway.py", "schedule.txt")


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Find the race of a Gateway of one's own: a folder with the scenario, the target, its program and the schedule."""
    folder = tmp_path_factory.mktemp("found")
    shutil.copy(BAD, folder / "gateway.py")
    assert stress(folder, *own_files(folder, "well", program=folder / "gateway.py")).code == 1
    shutil.copy(folder / "reports" / "latest" / "schedule.txt", folder / "schedule.txt")
    return folder


@pytest.fixture
def here(found: Path) -> Iterator[Path]:
    """Give that folder, without reports. What a test changes there is put back: elsewhere it is another Gateway."""
    kept = {name: (found / name).read_text() for name in FILES}
    for path in found.iterdir():
        if path.name not in FILES:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    yield found
    for name, text in kept.items():
        (found / name).write_text(text)


def replay(folder: Path, *words: str) -> tuple[int, str]:
    """Replay the schedule, whatever its target is now; give the code and what was said, without times in names."""
    said = stress(folder, "replay", "schedule.txt", "--trust", *words)
    assert said.err == ""
    return said.code, REPLACED.sub("REPORT", said.out).strip()


def change(program: Path, old: str, new: str) -> None:
    """Change the Gateway's program."""
    text = program.read_text()
    assert text.count(old) == 1
    program.write_text(text.replace(old, new))


def follow(folder: Path, moves: str) -> None:
    """Write another schedule into the file."""
    head, _, rest = (folder / "schedule.txt").read_text().partition("---\n")
    attached = rest[rest.index("--- scenario") :]
    (folder / "schedule.txt").write_text(head + "---\n" + moves.replace(", ", "\n") + "\n" + attached)


LOST = "A start, A GET hits:{id:1}, B start, B GET hits:{id:1}, A SET hits:{id:1}, B SET hits:{id:1}"
ONE_AFTER_ANOTHER = "A start, A GET hits:{id:1}, A SET hits:{id:1}, B start, B GET hits:{id:1}, B SET hits:{id:1}"

# --- the same Gateway --------------------------------------------------------------------------------


def test_a_race_still_fails_in_each_replay_and_an_schedule_that_passes_is_fixed(here: Path) -> None:
    """The schedule that was found fails 5 of 5 (exit 1); one request after another passes 3 of 3 (exit 0)."""
    assert replay(here, "--times", "5") == (1, "STILL FAILING 5/5")
    follow(here, ONE_AFTER_ANOTHER)
    assert replay(here, "--times", "3") == (0, "FIXED 3/3")
    assert not (here / "reports").exists()


def test_an_schedule_that_the_same_gateway_can_not_follow_is_searched(here: Path) -> None:
    """A step is not as the file says although no file has changed: what its search finds is said (exit 1)."""
    follow(here, ONE_AFTER_ANOTHER.replace("B GET", "B HGET"))
    assert replay(here) == (1, f"{ANOTHER} 5: expected B HGET hits:{{id:1}}, saw B GET hits:{{id:1}}")


@pytest.mark.parametrize(
    ("mode", "moves", "code", "lines"),
    [
        (
            "moody",
            "",
            2,
            [
                "inconclusive: failed 2 of 4 (REPORT/trace.ndjson)",
                "2 traces that differ, the first two in: A 201 / A 500",
            ],
        ),
        ("forgetful", LOST, 1, ["STILL FAILING 4/4"]),
        ("forgetful", "", 0, ["FIXED 4/4"]),
    ],
)
def test_what_differs_between_replays_is_shown_below_the_count(
    here: Path, mode: str, moves: str, code: int, lines: list[str]
) -> None:
    """A Gateway that fails in every second schedule is inconclusive; one whose counts alone differ fails or passes."""
    follow(here, moves or ONE_AFTER_ANOTHER)
    change(here / "own.yaml", '"well"', f'"{mode}"')
    said, text = replay(here, "--times", "4")
    assert (said, text.splitlines()) == (code, lines)


def test_a_replay_that_fails_by_another_invariant_names_both(here: Path) -> None:
    """What was broken when the schedule was found holds, and something else does not: exit 1, and which is which."""
    change(here / "schedule.txt", "outcome: race one_created_answer", "outcome: race no_server_error")
    lines = ["STILL FAILING 2/2 by another invariant", "holds now: no_server_error", "fails now: one_created_answer"]
    assert replay(here, "--times", "2") == (1, "\n".join(lines))


@pytest.mark.parametrize("status", [500, 400])
def test_a_replay_in_which_no_request_is_accepted_concludes_nothing(here: Path, status: int) -> None:
    """Whether its answers break an invariant or not, it is neither a race nor FIXED: status and body are shown."""
    follow(here, "A start, B start")
    change(here / "gateway.py", "said(500", f"said({status}")
    change(here / "own.yaml", '"well"', '"500"')
    body = f'{status} {{"title": "Internal Server Error"}}'
    line = f"inconclusive: no request was accepted: A was answered {body}; B was answered {body} (REPORT/trace.ndjson)"
    assert replay(here) == (2, line)


def test_a_replay_on_a_gateway_that_refuses_is_inconclusive(here: Path) -> None:
    """It refuses each request: neither FIXED nor holds, status, body and the key to look at are said (exit 2)."""
    change(here / "gateway.py", "said(500", "said(401")
    change(here / "gateway.py", "> WELL", "> -1")
    change(here / "own.yaml", '"well"', '"500"')
    code, line = replay(here)
    said = "own.yaml:1:1: request.headers: POST /api/v1/signals/prometheus was answered 401"
    assert (code, line.partition(' [{"title"')[0]) == (2, f"inconclusive: {said}")


def test_a_search_on_a_gateway_that_soon_refuses_all_is_inconclusive(here: Path) -> None:
    """What was accepted before the search is no test of what comes in it, where all is refused (exit 2)."""
    change(here / "gateway.py", "said(500", "said(401")
    change(here / "own.yaml", '"well"', '"500"')
    done = stress(here, "run", "two.yaml", "--target", "own.yaml", "--workers", "1", "--seconds", "3")
    assert done.code == 2
    (result,) = json.loads((here / "reports" / "latest" / "results.json").read_text())
    assert result["reason"].startswith("no request of any run was accepted: A was answered 401"), result["reason"]


def test_requests_that_all_fail_together_still_fail_where_one_alone_is_accepted(here: Path) -> None:
    """No request of the replays is accepted, but those sent one after another are: the schedule does it (exit 1)."""
    change(here / "own.yaml", '"well"', '"moody"')
    change(here / "gateway.py", "schedule % 2 and schedule > 3:", "schedule == 4:")
    change(here / "schedule.txt", "outcome: race one_created_answer", "outcome: race no_server_error")
    assert replay(here) == (1, "STILL FAILING 1/1")


def test_an_schedule_that_fails_before_it_can_not_be_followed_is_not_searched(here: Path) -> None:
    """Two replays fail, then the Gateway takes another step: a search that finds nothing would not make that FIXED."""
    change(here / "gateway.py", '"GET", f"hits:', """"GET", f"{'hits' if schedule < 6 else 'count'}:""")
    text = "failed 2 of 2, then DIVERGED at step 2: expected A GET hits:{id:1}, saw A GET count:{id:1} or B start"
    assert replay(here, "--times", "5") == (2, f"inconclusive: {text} (REPORT/trace.ndjson)")


@pytest.mark.measured_once
@pytest.mark.parametrize(
    ("mode", "code", "line"),
    [
        ("die-after-a-step", 2, "inconclusive: Gateway 1 died (killed by signal 6)"),
        ("SIGINT-13", 130, "interrupted: failed 2 of 2"),
        ("SIGTERM-9", 130, "interrupted: failed 0 of 0"),
    ],
)
def test_a_replay_that_ends_early_keeps_its_trace(here: Path, mode: str, code: int, line: str) -> None:
    """The Gateway dies, or Ctrl-C: how far it came is shown, and the trace so far is kept."""
    change(here / "own.yaml", '"well"', f'"{mode}"')
    assert replay(here, "--times", "5") == (code, f"{line} (REPORT/trace.ndjson)")
    trace = next((here / "reports").iterdir()) / "trace.ndjson"
    assert json.loads(trace.read_text().splitlines()[0])["event"]["command"] == "start"


NUMBERED = """
NUMBER = 0
while True:
    try:
        os.mkdir(f"process-{NUMBER}")
        break
    except FileExistsError:
        NUMBER += 1
"""
"""Lets a Gateway know how many of its processes were there before it."""


def prepare(folder: Path, monkeypatch: pytest.MonkeyPatch, wrong: str) -> list[object]:
    """Let each process know how many started before it, and fail where ``wrong`` holds; note each replay run alone."""
    change(folder / "own.yaml", "patience: 0.1\n", "patience: 0.1\nfingerprint: {sha256: '{labels.pod}'}\n")
    # Of several processes the first alone is asked one after another before, four times.
    change(folder / "gateway.py", 'MODE == "moody" and schedule % 2 and schedule > 3', f"{wrong} and schedule > 0")
    change(folder / "gateway.py", "\nWELL = 4\n", f"\nWELL = 4\n{NUMBERED}")
    monkeypatch.setattr("stress.executors.live.deployment._START_SECONDS", 3600.0)
    isolated: list[object] = []

    def noted(schedule: Schedule, executor: Executor) -> Coroutine[None, None, Trace]:
        isolated.append(schedule)
        return follow_isolated(schedule, executor)

    monkeypatch.setattr(replaying, "follow", noted)
    return isolated


def test_a_process_that_begins_unlike_all_others_is_started_again(here: Path) -> None:
    """Where the first one takes another step than the schedule has, the next is tried before any search (exit 1)."""
    change(here / "gateway.py", "\nWELL = 4\n", f"\nWELL = 4\n{NUMBERED}")
    change(here / "gateway.py", '"GET", f"hits:', '"GET" if NUMBER else "GETEX", f"hits:')
    assert replay(here, "--times", "2") == (1, "STILL FAILING 2/2")


@pytest.mark.measured_once
@pytest.mark.asyncio
@pytest.mark.parametrize("wrong", ["False", "NUMBER > 0"])
async def test_replays_run_side_by_side_once_they_agree(
    here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    """After three replays that agree the others run on four deployments; what ends otherwise there is run alone."""
    follow(here, ONE_AFTER_ANOTHER.replace("{id:1}", "{fingerprint}"))
    isolated = prepare(here, monkeypatch, wrong)
    used, begun = set(), LiveExecutor.begun

    def noted(executor: LiveExecutor, drive: Drive) -> Drive:
        used.add(executor)
        return begun(executor, drive)

    monkeypatch.setattr(LiveExecutor, "begun", noted)
    job = Job.load(str(here / "two.yaml"), str(here / "own.yaml"))
    said = await replaying.replay(
        parse((here / "schedule.txt").read_text()), job, replaying.Repetitions(12), Where("live", workers=4), tmp_path
    )
    assert (said.line, len(used)) == ("FIXED 12/12", 4)
    assert (len(isolated) == 3) == (wrong == "False")


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("workers", "wrong", "line", "isolated"),
    [
        (4, "False", "FIXED 4/4", 0),
        (4, "NUMBER == 1", "FIXED 4/4", 1),
        (4, "NUMBER > 0", "inconclusive: failed 3 of 4", 1),
        (1, "schedule == 4", "inconclusive: failed 1 of 4", 4),
    ],
)
async def test_replays_with_a_clock_step_run_side_by_side_from_the_beginning(  # noqa: PLR0913, PLR0917 - columns
    here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int, wrong: str, line: str, isolated: int
) -> None:
    """One on each of four deployments; what differs from most is run alone and counts, as do all on one deployment."""
    follow(here, ONE_AFTER_ANOTHER.replace("{id:1}", "{fingerprint}").replace("B start", "clock clock, B start"))
    isolated_runs = prepare(here, monkeypatch, wrong)
    job = Job.load(str(here / "two.yaml"), str(here / "own.yaml"))
    schedule = parse((here / "schedule.txt").read_text())
    said = await replaying.replay(schedule, job, replaying.Repetitions(4), Where("live", workers=workers), tmp_path)
    assert (said.line.partition(" (")[0], len(isolated_runs)) == (line, isolated)


def test_replays_end_when_their_seconds_are_over(here: Path) -> None:
    """Of a thousand replays there is one at least, however few the seconds; the count says how many there were."""
    lines = ["STILL FAILING 1/1", "after 0.001 s, of 1000 replays"]
    assert replay(here, "--times", "1000", "--seconds", "0.001") == (1, "\n".join(lines))


@pytest.mark.cases
@pytest.mark.unmeasured
def test_the_search_instead_has_the_seconds_that_are_left(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A schedule that can't be followed is searched instead: for what --seconds leaves, else for as long as it says."""
    given: list[float] = []
    search = replaying.Case

    def noted(model: ModelExecutor | None, wire: LiveExecutor | None, limits: Limits) -> Case:
        given.append(limits.seconds)
        return search(model, wire, limits)

    monkeypatch.setattr(replaying, "Case", noted)
    follow(here, ONE_AFTER_ANOTHER.replace("B GET", "B HGET"))
    (here / "two.yaml").write_text((here / "two.yaml").read_text() + "search: {seconds: 7}\n")
    for words in ((), ("--seconds", "50")):
        assert replay(here, *words)[1].startswith(ANOTHER)
    assert given[0] == 7
    assert 40 < given[1] < 50


def test_a_gateway_that_is_not_there_any_more_exits_69(here: Path) -> None:
    """Its program is gone: the line says what it printed last."""
    (here / "gateway.py").unlink()
    said = stress(here, "replay", "schedule.txt")
    assert said.code == 69
    assert said.err.startswith("unavailable: Gateway 1 died (exit code 2) before it was ready: ")


# --- a Gateway that has changed ----------------------------------------------------------------------


def test_a_fix_that_leaves_no_such_schedule_is_searched(here: Path) -> None:
    """The program counts in one step now: the schedule can't be followed, and no other schedule fails (exit 0)."""
    change(here / "gateway.py", '"GET", f"hits:{fingerprint}")', '"INCR", f"hits:{fingerprint}")')
    change(here / "gateway.py", 'count = 1 if stored == "$-1" else int(stored) + 1', 'count = int(stored.lstrip(":"))')
    change(
        here / "gateway.py",
        '        await command(reader, writer, "SET", f"hits:{fingerprint}", str(count))\n',
        "",
    )
    covered = "exhausted 1 of 1 class up to renaming (2 schedules), assuming that requests share only the store"
    assert replay(here) == (0, f"FIXED (the schedule no longer exists; holds: {covered})")


def test_a_change_that_still_fails_names_the_new_schedule(here: Path) -> None:
    """The program has other keys: the old schedule is gone, a new one fails, and its file replays (exit 1)."""
    text = (here / "gateway.py").read_text()
    (here / "gateway.py").write_text(text.replace("hits:", "count:"))
    code, line = replay(here)
    assert (code, line) == (1, f"{ANOTHER} 2: expected A GET hits:{{id:1}}, saw A GET count:{{id:1}} or B start")
    schedule = next((here / "reports").glob("*/schedule.txt"))
    assert "A GET count:{id:1}\n" in schedule.read_text()
    shutil.copy(schedule, here / "schedule.txt")
    (here / "own.yaml").unlink()
    assert replay(here, "--times", "2") == (1, "STILL FAILING 2/2")


@pytest.mark.parametrize(
    ("mode", "code", "line"),
    [
        ("silent", 2, "inconclusive: the Gateway hangs: A, B show neither a step nor an answer for 0.1 s"),
        ("SIGINT-9", 130, "interrupted"),
    ],
)
def test_a_search_instead_that_ends_early_keeps_its_trace(here: Path, mode: str, code: int, line: str) -> None:
    """The changed Gateway hangs, or Ctrl-C comes while it is searched: no verdict, and the trace so far is kept."""
    text = (here / "gateway.py").read_text()
    # The process that the replay starts is well, and leaves a file: the one that is searched finds it and goes wrong.
    (here / "gateway.py").write_text(
        text.replace("hits:", "count:")
        .replace(
            "sys.argv[3]\n",
            'sys.argv[3] if Path(__file__ + ".ran").exists() else "well"\nPath(__file__ + ".ran").touch()\n',
        )
        .replace("import sys\n", "import sys\nfrom pathlib import Path\n")
    )
    change(here / "own.yaml", '"well"', f'"{mode}"')
    said, text = replay(here)
    assert (said, text.splitlines()[0]) == (code, f"{line} (REPORT/trace.ndjson)")
    if code == 2:
        why = "searched because the schedule can't be followed: DIVERGED at step 2: expected A GET hits:{id:1}, saw "
        assert text.splitlines()[1:] == [f"{why}A GET count:{{id:1}} or B start"]


def test_what_was_found_is_reported_where_it_can_not_be_written(here: Path) -> None:
    """A file stands where the reports go: the line of the replay comes first, and 74 outweighs inconclusive."""
    (here / "reports").write_text("")
    follow(here, ONE_AFTER_ANOTHER)
    change(here / "own.yaml", '"well"', '"moody"')
    code, text = replay(here, "--times", "2")
    lines = text.splitlines()
    assert (code, len(lines)) == (74, 3)
    assert lines[0] == "inconclusive: failed 1 of 2"
    assert lines[1].startswith("the report can't be written: REPORT: File exists (a file stands where")


# --- files -------------------------------------------------------------------------------------------


def test_an_schedule_file_alone_is_enough(here: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """In another folder the scenario and target that are attached to it are used; the outcome is the same."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    shutil.copy(here / "schedule.txt", elsewhere)
    assert replay(elsewhere, "--times", "2") == (1, "STILL FAILING 2/2")


EVIL = """gateway-stress schedule 1
scenario: evil
target: evil
executor: live
outcome: race one_created_answer
---
A start
--- scenario evil-s.yaml
name: evil
story: x
concurrent: 2
--- target evil-t.yaml
name: evil
start: {command: [sh, -c, "id > ./pwned; sleep 5"], ready: {within: 1}}
requires:
  - {command: [sh, -c, "id > ./pwned-by-requires"], fix: none}
"""


@pytest.mark.parametrize("beside", ["", "name: mine\nstart: {command: [true]}\n"])
def test_a_target_that_a_file_brings_along_is_not_started_unasked(tmp_path: Path, beside: str) -> None:
    """Where no file of its path is here, or another one, a replay asks for --trust, and nothing runs (exit 64)."""
    (tmp_path / "schedule.txt").write_text(EVIL)
    if beside:
        (tmp_path / "evil-t.yaml").write_text(beside)
    said = stress(tmp_path, "replay", "schedule.txt")
    hint = "read it there, then say --trust; or name a target of your own with --target"
    line = f"schedule.txt:12:1: this file brings its own target, evil-t.yaml, which may start any program ({hint})\n"
    assert (said.code, said.out, said.err) == (64, "", line)
    assert list(tmp_path.glob("pwned*")) == []


def test_a_target_that_is_not_named_by_a_relative_path_is_not_started_unasked(tmp_path: Path) -> None:
    """A file that is equal, but named by an absolute path, is refused, and so is a path without an attachment (64)."""
    target = EVIL[EVIL.index("--- target") :].partition("\n")[2]
    (tmp_path / "evil-t.yaml").write_text(target)
    (tmp_path / "schedule.txt").write_text(EVIL.replace("evil-t.yaml", str(tmp_path / "evil-t.yaml")))
    said = stress(tmp_path, "replay", "schedule.txt")
    assert (said.code, said.err.split(" (")[0]) == (
        64,
        f"schedule.txt:12:1: this file brings its own target, {tmp_path}/evil-t.yaml, which may start any program",
    )
    bare = EVIL.partition("--- target")[0].replace("target: evil", "target: ./evil-t.yaml")
    (tmp_path / "schedule.txt").write_text(bare)
    said = stress(tmp_path, "replay", "schedule.txt")
    assert (said.code, said.err.split(" (")[0]) == (
        64,
        "schedule.txt:3:1: this file names a target by its path, ./evil-t.yaml, which may start any program",
    )
    assert list(tmp_path.glob("pwned*")) == []


def test_a_target_without_its_secrets_is_not_started(tmp_path: Path) -> None:
    """What is masked in an attachment is not what the service needs: its own file is asked for, also with --trust."""
    text = "name: evil\nstart: {command: [sh, -c, 'id > ./pwned'], env: {PASSWORD: '***'}}\n"
    (tmp_path / "schedule.txt").write_text(EVIL.partition("name: evil\nstart")[0] + text)
    said = stress(tmp_path, "replay", "schedule.txt", "--trust")
    text = "the secrets of the target evil-t.yaml are masked here, so it can't be started from this file"
    assert (said.code, said.err) == (64, f"schedule.txt:12:1: {text} (name its own file with --target)\n")


def test_a_bundled_target_that_is_attached_needs_no_trust(tmp_path: Path) -> None:
    """What is attached under the name of a bundled target and equal to it starts nothing else."""
    text = find("redis-read-modify-write", "targets").read_text()
    head = EVIL.partition("---")[0].replace("scenario: evil", "scenario: atomic-hit-count").replace("live", "model")
    head = head.replace("target: evil", "target: redis-read-modify-write") + "---\nA start\n"
    (tmp_path / "schedule.txt").write_text(f"{head}--- target redis-read-modify-write\n{text}")
    assert "--trust" not in stress(tmp_path, "replay", "schedule.txt").err
    (tmp_path / "schedule.txt").write_text(f"{head}--- target redis-read-modify-write\n{text}replicas: 2\n")
    assert "--trust" in stress(tmp_path, "replay", "schedule.txt").err


def test_a_target_that_is_here_as_it_is_in_the_file_needs_no_trust(here: Path) -> None:
    """The file at the path of the attached target is equal to it: it is started as it is."""
    said = stress(here, "replay", "schedule.txt")
    assert (said.code, said.out.strip()) == (1, "STILL FAILING 1/1")


@pytest.mark.parametrize("number", range(1, 24))
def test_a_damaged_line_is_one_clear_line(found: Path, tmp_path: Path, number: int) -> None:
    """Whichever line of the file is garbage, in the head, the moves or an attachment, its place is shown (exit 64)."""
    lines = (found / "schedule.txt").read_text().splitlines()
    assert len(lines) == 23
    lines[number - 1] = "%%%"
    (tmp_path / "schedule.txt").write_text("\n".join(lines))
    said = stress(tmp_path, "replay", "schedule.txt", "--trust")
    # A target that is not attached any more is missed where it is named.
    place = r"3:1: own: no such file or bundled name" if number == 20 else rf"{number}:[12]: \S"
    assert said.code == 64
    assert re.match(rf"schedule\.txt:{place}[^\n]*\n\Z", said.err), said.err


def test_names_that_lead_nowhere_are_reported_by_their_line(tmp_path: Path) -> None:
    """A scenario of the head that is neither bundled nor attached; a target of the command line keeps its own place."""
    schedule = Schedule((Move("A", "start", ""),), Head(scenario="two", target="redis-atomic"))
    (tmp_path / "schedule.txt").write_text(schedule.text())
    said = stress(tmp_path, "replay", "schedule.txt")
    assert (said.code, said.err.partition(" (")[0]) == (64, "schedule.txt:2:1: two: no such file or bundled name")
    schedule = schedule.with_head(scenario="atomic-hit-count")
    (tmp_path / "schedule.txt").write_text(schedule.text())
    said = stress(tmp_path, "replay", "schedule.txt", "--target", "mine.yaml")
    assert (said.code, said.err) == (64, "mine.yaml:1:1: can't be read: No such file or directory (check the path)\n")


def test_another_service_is_refused(here: Path) -> None:
    """A target of another name and command is neither FIXED nor failing, named or found by its path (exit 64)."""
    text = (here / "own.yaml").read_text().replace("name: own", "name: other")
    (here / "another.yaml").write_text(text)
    assert replay(here, "--target", "another.yaml") == (1, "STILL FAILING 1/1")
    (here / "another.yaml").write_text(text.replace('"well"', '"well", "twice"'))
    said = stress(here, "replay", "schedule.txt", "--target", "another.yaml")
    text = "other is another service than own, whose order this is: a replay on it shows nothing"
    assert (said.code, said.out) == (64, "")
    assert said.err == f"another.yaml:1:7: {text} (if it is the same service, give it the same name)\n"
    shutil.copy(here / "another.yaml", here / "own.yaml")
    said = stress(here, "replay", "schedule.txt", "--trust")
    assert (said.code, said.err.startswith(f"own.yaml:1:7: {text}")) == (64, True)


def test_an_schedule_of_a_bundled_gateway_is_refused_by_one_with_another_store(tmp_path: Path) -> None:
    """Over Redis and over the Kubernetes API the bundled Gateways are two services."""
    schedule = Schedule((Move("A", "start", ""),), Head(scenario="atomic-hit-count", target="redis-atomic"))
    (tmp_path / "schedule.txt").write_text(schedule.text())
    said = stress(tmp_path, "replay", "schedule.txt", "--target", "kube-status")
    assert (said.code, "kube-status is another service than redis-atomic" in said.err) == (64, True)


def test_a_file_that_can_not_be_read_is_a_usage_error(tmp_path: Path) -> None:
    """No file, a folder, bytes that are no text: exit 64."""
    (tmp_path / "schedule.txt").write_bytes(b"\xff\xfe")
    for name, why in (
        ("none.txt", "No such file"),
        (".", "Is a directory"),
        ("schedule.txt", "can't decode byte 0xff"),
    ):
        said = stress(tmp_path, "replay", name)
        assert said.code == 64
        assert said.err.startswith(f"Error: {name} can't be read: ") or f"{name} can't be read: " in said.err
        assert why in said.err


# --- in the model ------------------------------------------------------------------------------------


def test_an_schedule_of_a_bundled_gateway_is_replayed_in_the_model(tmp_path: Path) -> None:
    """Searched and replayed without a process: the schedule fails there too, and the fixed counterpart has no such."""
    words = ("run", "atomic-hit-count", "--target", "redis-read-modify-write", "--executor", "model")
    assert stress(tmp_path, *words).code == 0
    schedule = tmp_path / "reports" / "latest" / "schedule.txt"
    said = stress(tmp_path, "replay", schedule, "--times", "50")
    assert (said.code, said.out) == (1, "STILL FAILING 50/50\n")
    said = stress(tmp_path, "replay", schedule, "--target", "redis-atomic", "--executor", "model")
    covered = "exhausted 1 of 1 class up to renaming (2 schedules)"
    assert (said.code, said.out) == (0, f"FIXED (the schedule no longer exists; holds: {covered})\n")
