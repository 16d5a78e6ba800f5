"""The example database: which schedules are kept, and which of them are tried again."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest
from commands import stress
from conftest import scenario_of, target_of

from stress.core.exits import RACE
from stress.core.schedule import Head, Schedule, parse
from stress.core.step import Move
from stress.engine.campaign import Job
from stress.engine.example_database import Earlier, Folder, Nothing, Regression

if TYPE_CHECKING:
    from stress.engine.example_database import Examples

PAIR = Job(scenario_of("atomic-hit-count"), target_of("redis-read-modify-write"), Path())
OTHER = PAIR._replace(target=target_of("redis-atomic"))
HOME = "atomic-hit-count-redis-read-modify-write"


def schedule(actors: str, *, digest: str = PAIR.scenario.digest, **head: str) -> Schedule:
    """Make a schedule of this scenario: each actor named makes a move."""
    moves = tuple(Move(actor, "SET", "k", actors[: at + 1].count(actor)) for at, actor in enumerate(actors))
    return Schedule(moves, Head("atomic-hit-count", digest, "redis-read-modify-write", outcome="race", **head))


def files(folder: Path) -> list[Path]:
    """List the files of the case."""
    return sorted((folder / HOME).glob("*"))


def test_what_is_kept_is_given_again_with_the_fewest_preemptions_first(tmp_path: Path) -> None:
    """Another process finds each schedule as it was, with its fresh value and attachments; other cases have none."""
    one = replace(schedule("AABB", fresh="f1", fingerprint="p1"), attachments=(("target own.yaml", "name: own\n"),))
    Folder(tmp_path).keep(PAIR, [schedule("ABAB"), one, schedule("ABBA")])
    assert Folder(tmp_path).schedules(PAIR) == [one, schedule("ABBA"), schedule("ABAB")]
    assert Folder(tmp_path).schedules(OTHER) == []


def test_an_schedule_is_kept_once(tmp_path: Path) -> None:
    """A schedule that is kept again under another fresh value is the same, also where its file was named by hand."""
    (tmp_path / HOME).mkdir()
    (tmp_path / HOME / "mine.txt").write_text(schedule("AABB", fresh="f1").text())
    examples = Folder(tmp_path)
    examples.keep(PAIR, [schedule("AABB", fresh="f2"), schedule("ABAB")])
    examples.keep(PAIR, [schedule("ABAB", fresh="f3")])
    assert [one.head.fresh for one in examples.schedules(PAIR)] == ["f1", ""]
    assert len(files(tmp_path)) == 2


def test_what_is_dropped_is_gone(tmp_path: Path) -> None:
    """Its file is removed, whatever that is called; the others stay."""
    examples = Folder(tmp_path)
    examples.keep(PAIR, [schedule("AABB"), schedule("ABAB")])
    files(tmp_path)[0].rename(tmp_path / HOME / "mine.txt")
    examples.drop(PAIR, [schedule("AABB", fresh="another")])
    assert examples.schedules(PAIR) == [schedule("ABAB")]
    examples.drop(PAIR, [schedule("ABAB")])
    assert files(tmp_path) == []


def test_an_schedule_of_another_version_of_the_scenario_is_removed(tmp_path: Path) -> None:
    """It may have a move of the clock that the scenario no longer allows; of a changed target it is tried."""
    examples = Folder(tmp_path)
    fixed = schedule("AABB").with_head(target_digest="another")
    examples.keep(PAIR, [schedule("ABAB", digest="another"), fixed])
    assert examples.schedules(PAIR) == [fixed]
    assert [parse(path.read_text()) for path in files(tmp_path)] == [fixed]


@pytest.mark.parametrize("content", [b"", b"notes\n", b"\xff\xfe", b"gateway-stress schedule 2\n---\n"])
def test_what_is_no_schedule_file_is_left_alone(tmp_path: Path, content: bytes) -> None:
    """Notes, bytes and files of another format are neither tried nor removed."""
    examples = Folder(tmp_path)
    examples.keep(PAIR, [schedule("AABB")])
    (tmp_path / HOME / "notes.txt").write_bytes(content)
    assert examples.schedules(PAIR) == [schedule("AABB")]
    examples.drop(PAIR, [schedule("AABB")])
    assert files(tmp_path) == [tmp_path / HOME / "notes.txt"]


def test_credentials_are_masked(tmp_path: Path) -> None:
    """A password in an attached target does not reach the file."""
    one = replace(schedule("AABB"), attachments=(("target own.yaml", "redis: redis://:secret@127.0.0.1/0\n"),))
    Folder(tmp_path).keep(PAIR, [one])
    assert "redis://:***@127.0.0.1/0" in files(tmp_path)[0].read_text()


@pytest.mark.parametrize("examples", [Nothing(), Folder(Path("nowhere"))])
def test_where_nothing_is_kept_nothing_is_tried(examples: Examples) -> None:
    """No schedule is given, and to keep and drop none makes no folder."""
    examples.keep(PAIR, [])
    examples.drop(PAIR, [])
    assert examples.schedules(PAIR) == []
    assert not Path("nowhere").exists()


def test_a_disk_that_refuses_leaves_no_part_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When a schedule can't get its name, the error is raised and no file is left."""

    def refuse(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device", str(self), None, str(target))

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(OSError, match="No space left"):
        Folder(tmp_path).keep(PAIR, [schedule("AABB")])
    assert files(tmp_path) == []


# --- as a user runs it -------------------------------------------------------------------------------

RUN = ("run", "atomic-hit-count", "--executor", "model")


@pytest.mark.unmeasured
def test_a_run_keeps_the_schedules_that_failed(tmp_path: Path) -> None:
    """Of the racy Gateway one schedule is kept, which is the one of the report; of its fixed counterpart none."""
    assert stress(tmp_path, *RUN, "--examples", "kept").code == 0
    (path,) = (tmp_path / "kept").glob("*/*")
    reported = tmp_path / "reports" / "latest" / HOME / "schedule.txt"
    assert path.parent.name == HOME
    assert path.read_text() == reported.read_text()
    said = stress(tmp_path, "replay", path)
    assert (said.code, said.out) == (1, "STILL FAILING 1/1\n")


@pytest.mark.unmeasured
def test_without_examples_no_folder_is_made(tmp_path: Path) -> None:
    """Nothing is kept when that is asked for; by default there is a folder."""
    stress(tmp_path, *RUN, "--no-examples")
    assert not (tmp_path / ".gateway-stress").exists()
    stress(tmp_path, *RUN)
    assert [path.name for path in (tmp_path / ".gateway-stress" / "examples").iterdir()] == [HOME]


def test_a_folder_that_refuses_examples_changes_no_verdict(tmp_path: Path) -> None:
    """A file stands where the folder must be: one line says so, and the run ends as it would have."""
    (tmp_path / "kept").write_text("")
    said = stress(tmp_path, *RUN, "--examples", "kept", "--target", "redis-read-modify-write", "--json")
    assert said.code == 0
    begin, _, end = said.err.partition("'kept")
    assert begin == "failing schedules can't be kept: [Errno 20] Not a directory: "
    assert end == f"/{HOME}' (write elsewhere with --examples FOLDER)\n"


# --- regressions -------------------------------------------------------------------------------------

SCENARIO = """\
name: mine
story: Three hits of one alert; each must count.
signal: {labels: {pod: "p-{fresh}"}}
before: 1
invariants: [no_server_error, hits_equal_answers, distinct_counts]
expect: {redis-read-modify-write: {race: [hits_equal_answers, distinct_counts]}}
"""
FAILS = ("run", "mine.yaml", "--executor", "model", "--json")


@cache
def lost_hit() -> str:
    """Find the lost hit of the scenario; give the text of its order file."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "mine.yaml").write_text(SCENARIO)
        stress(folder, *FAILS, "--no-examples")
        return (folder / "reports" / "latest" / "schedule.txt").read_text()


def regression(folder: Path, name: str, change: tuple[str, str] = ("", "")) -> Path:
    """Put the scenario in a folder, and the order of its lost hit there as a regression, changed."""
    (folder / "mine.yaml").write_text(SCENARIO)
    path = folder / "regressions" / name
    path.parent.mkdir(exist_ok=True)
    text = lost_hit()
    assert change[0] in text
    path.write_text(text.replace(*change))
    return path


def ran(folder: Path, *more: str) -> dict[str, Any]:
    """Run the scenario; give the result of its only case."""
    said = stress(folder, *FAILS, "--no-examples", *more)
    (result,) = json.loads(said.out)
    return {**result, "code": said.code}


@pytest.mark.unmeasured
def test_a_regression_that_fails_is_a_race_like_any_other(tmp_path: Path) -> None:
    """It is tried before everything else, and the run ends with it: nothing else was run."""
    path = regression(tmp_path, "lost.txt")
    result = ran(tmp_path)
    assert (result["verdict"], result["code"], result["notes"]) == (
        "race",
        0,
        ["found in the model alone: nothing was run on the wire"],
    )
    assert result["search"]["covered"] == "1 schedule of an earlier run tried"
    (tmp_path / "mine.yaml").write_text(SCENARIO.replace("{race: [hits_equal_answers, distinct_counts]}", "holds"))
    assert ran(tmp_path)["code"] == RACE
    assert path.exists()


def test_a_regression_that_can_t_be_followed_is_a_note_and_stays(tmp_path: Path) -> None:
    """The run goes on without it, ends as it would have, and names its file."""
    path = regression(tmp_path, "old.txt", ("A HSET", "A HINCRBY"))
    result = ran(tmp_path)
    assert (result["verdict"], result["code"]) == ("race", 0)
    assert "regression that can't be followed any more: regressions/old.txt" in result["notes"]
    assert path.exists()


def test_a_regression_that_passes_is_no_news(tmp_path: Path) -> None:
    """The schedule is tried and the search goes on; its file stays."""
    path = regression(tmp_path, "fixed.txt")
    schedule = parse(path.read_text())
    serial = sorted(schedule.moves, key=lambda move: move.actor)
    path.write_text(replace(schedule, moves=tuple(serial)).text())
    result = ran(tmp_path)
    assert [note for note in result["notes"] if "regression" in note] == []
    assert result["search"]["evidence"][0]["tried"] == 1
    assert result["verdict"] == "race"
    assert path.exists()


@pytest.mark.unmeasured
def test_a_regression_of_another_target_is_not_tried(tmp_path: Path) -> None:
    """A schedule is about the target that it was found on."""
    regression(tmp_path, "other.txt", ("target: redis-read-modify-write", "target: redis-atomic"))
    assert ran(tmp_path)["search"]["evidence"][0]["tried"] == 0


def test_a_regression_that_its_scenario_does_not_allow_is_a_note(tmp_path: Path) -> None:
    """The clock moves in it, and the scenario has no clock: the Gateway is not blamed for that."""
    regression(tmp_path, "timed.txt", ("---\n", "---\nclock clock\n"))
    result = ran(tmp_path)
    why = "clock moves 1 times in it, and the scenario allows 0"
    assert f"regression not tried: regressions/timed.txt: {why}" in result["notes"]
    assert result["search"]["evidence"][0]["tried"] == 0


def test_a_broken_regression_ends_the_run_before_it_begins(tmp_path: Path) -> None:
    """A file that was merged badly is one line with its place, not silence; other files are left alone."""
    path = regression(tmp_path, "lost.txt")
    path.with_name("README.md").write_text("notes\n")
    path.write_text(path.read_text().replace("---\n", "---\n<<<<<<<\n", 1))
    path.with_name("bytes.txt").write_bytes(b"\xff")
    said = stress(tmp_path, *FAILS)
    assert (said.code, said.out) == (64, "")
    lines = said.err.splitlines()
    assert lines[0] == "regressions/bytes.txt:1:1: can't be read: it is not UTF-8 (name a schedule file)"
    assert [line.split(" (")[0] for line in lines[1:]] == ["regressions/lost.txt:9:1: not a move: '<<<<<<<'"]


def test_what_is_tried_first_is_tried_once() -> None:
    """Regressions come before the schedules of the last run; the same moves are not run twice."""
    earlier = Earlier(
        (schedule("ABAB"), schedule("AABB")), regressions=[Regression("r.txt", schedule("AABB", fresh="f"))]
    )
    assert earlier.first == [schedule("AABB", fresh="f"), schedule("ABAB")]
