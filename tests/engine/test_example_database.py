"""The example database: which orders are kept, and which of them are tried again."""

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
from stress.core.schedule import Head, Order, parse
from stress.core.step import Move
from stress.engine.campaign import Job
from stress.engine.example_database import Earlier, Folder, Nothing, Regression

if TYPE_CHECKING:
    from stress.engine.example_database import Examples

PAIR = Job(scenario_of("atomic-hit-count"), target_of("redis-read-modify-write"), Path())
OTHER = PAIR._replace(target=target_of("redis-atomic"))
HOME = "atomic-hit-count-redis-read-modify-write"


def order(actors: str, *, digest: str = PAIR.scenario.digest, **head: str) -> Order:
    """Make an order of this scenario: each actor named makes a move."""
    moves = tuple(Move(actor, "SET", "k", actors[: at + 1].count(actor)) for at, actor in enumerate(actors))
    return Order(moves, Head("atomic-hit-count", digest, "redis-read-modify-write", outcome="race", **head))


def files(folder: Path) -> list[Path]:
    """List the files of the pair."""
    return sorted((folder / HOME).glob("*"))


def test_what_is_kept_is_given_again_with_the_fewest_switches_first(tmp_path: Path) -> None:
    """Another process finds each order as it was, with its fresh value and its attachments; other pairs have none."""
    one = replace(order("AABB", fresh="f1", fingerprint="p1"), attachments=(("target own.yaml", "name: own\n"),))
    Folder(tmp_path).keep(PAIR, [order("ABAB"), one, order("ABBA")])
    assert Folder(tmp_path).orders(PAIR) == [one, order("ABBA"), order("ABAB")]
    assert Folder(tmp_path).orders(OTHER) == []


def test_an_order_is_kept_once(tmp_path: Path) -> None:
    """An order that is kept again under another fresh value is the same, also where its file was named by hand."""
    (tmp_path / HOME).mkdir()
    (tmp_path / HOME / "mine.txt").write_text(order("AABB", fresh="f1").text())
    examples = Folder(tmp_path)
    examples.keep(PAIR, [order("AABB", fresh="f2"), order("ABAB")])
    examples.keep(PAIR, [order("ABAB", fresh="f3")])
    assert [one.head.fresh for one in examples.orders(PAIR)] == ["f1", ""]
    assert len(files(tmp_path)) == 2


def test_what_is_dropped_is_gone(tmp_path: Path) -> None:
    """Its file is removed, whatever that is called; the others stay."""
    examples = Folder(tmp_path)
    examples.keep(PAIR, [order("AABB"), order("ABAB")])
    files(tmp_path)[0].rename(tmp_path / HOME / "mine.txt")
    examples.drop(PAIR, [order("AABB", fresh="another")])
    assert examples.orders(PAIR) == [order("ABAB")]
    examples.drop(PAIR, [order("ABAB")])
    assert files(tmp_path) == []


def test_an_order_of_another_version_of_the_scenario_is_removed(tmp_path: Path) -> None:
    """It may have a move of the clock that the scenario no longer allows; of a changed target it is tried."""
    examples = Folder(tmp_path)
    mended = order("AABB").with_head(target_digest="another")
    examples.keep(PAIR, [order("ABAB", digest="another"), mended])
    assert examples.orders(PAIR) == [mended]
    assert [parse(path.read_text()) for path in files(tmp_path)] == [mended]


@pytest.mark.parametrize("content", [b"", b"notes\n", b"\xff\xfe", b"gateway-stress order 2\n---\n"])
def test_what_is_no_order_file_is_left_alone(tmp_path: Path, content: bytes) -> None:
    """Notes, bytes and files of another format are neither tried nor removed."""
    examples = Folder(tmp_path)
    examples.keep(PAIR, [order("AABB")])
    (tmp_path / HOME / "notes.txt").write_bytes(content)
    assert examples.orders(PAIR) == [order("AABB")]
    examples.drop(PAIR, [order("AABB")])
    assert files(tmp_path) == [tmp_path / HOME / "notes.txt"]


def test_credentials_are_masked(tmp_path: Path) -> None:
    """A password in an attached target does not reach the file."""
    one = replace(order("AABB"), attachments=(("target own.yaml", "redis: redis://:secret@127.0.0.1/0\n"),))
    Folder(tmp_path).keep(PAIR, [one])
    assert "redis://:***@127.0.0.1/0" in files(tmp_path)[0].read_text()


@pytest.mark.parametrize("examples", [Nothing(), Folder(Path("nowhere"))])
def test_where_nothing_is_kept_nothing_is_tried(examples: Examples) -> None:
    """No order is given, and to keep and drop none makes no folder."""
    examples.keep(PAIR, [])
    examples.drop(PAIR, [])
    assert examples.orders(PAIR) == []
    assert not Path("nowhere").exists()


def test_a_disk_that_refuses_leaves_no_part_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When an order can't get its name, the error is raised and no file is left."""

    def refuse(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device", str(self), None, str(target))

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(OSError, match="No space left"):
        Folder(tmp_path).keep(PAIR, [order("AABB")])
    assert files(tmp_path) == []


# --- as a user runs it -------------------------------------------------------------------------------

RUN = ("run", "atomic-hit-count", "--world", "model")


@pytest.mark.unmeasured
def test_a_run_keeps_the_orders_that_failed(tmp_path: Path) -> None:
    """Of the racy Gateway one order is kept, which is the one of the report; of its twin none."""
    assert stress(tmp_path, *RUN, "--examples", "kept").code == 0
    (path,) = (tmp_path / "kept").glob("*/*")
    reported = tmp_path / "reports" / "latest" / HOME / "order.txt"
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
    assert begin == "failing orders can't be kept: [Errno 20] Not a directory: "
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
FAILS = ("run", "mine.yaml", "--world", "model", "--json")


@cache
def lost_hit() -> str:
    """Find the lost hit of the scenario; give the text of its order file."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "mine.yaml").write_text(SCENARIO)
        stress(folder, *FAILS, "--no-examples")
        return (folder / "reports" / "latest" / "order.txt").read_text()


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
    """Run the scenario; give the result of its only pair."""
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
    assert result["search"]["covered"] == "1 order of an earlier run tried"
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
    """The order is tried and the search goes on; its file stays."""
    path = regression(tmp_path, "mended.txt")
    order = parse(path.read_text())
    serial = sorted(order.moves, key=lambda move: move.actor)
    path.write_text(replace(order, moves=tuple(serial)).text())
    result = ran(tmp_path)
    assert [note for note in result["notes"] if "regression" in note] == []
    assert result["search"]["evidence"][0]["tried"] == 1
    assert result["verdict"] == "race"
    assert path.exists()


@pytest.mark.unmeasured
def test_a_regression_of_another_target_is_not_tried(tmp_path: Path) -> None:
    """An order is about the target that it was found on."""
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
    told = said.err.splitlines()
    assert told[0] == "regressions/bytes.txt:1:1: can't be read: it is not UTF-8 (name an order file)"
    assert [line.split(" (")[0] for line in told[1:]] == ["regressions/lost.txt:9:1: not a move: '<<<<<<<'"]


def test_what_is_tried_first_is_tried_once() -> None:
    """Regressions come before the orders of the last run; the same moves are not run twice."""
    earlier = Earlier((order("ABAB"), order("AABB")), regressions=[Regression("r.txt", order("AABB", fresh="f"))])
    assert earlier.first == [order("AABB", fresh="f"), order("ABAB")]
