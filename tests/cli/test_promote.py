"""Promoting a schedule to a regression: where it goes, what it is called, and what is refused."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from commands import stress
from test_example_database import HOME, SCENARIO, lost_hit, ran, schedule

from stress.config import formats
from stress.config.formats import bundled
from stress.core.schedule import parse

if TYPE_CHECKING:
    from pathlib import Path

DIGEST = "094a249f5cd2"
MODEL = ("--target", "redis-read-modify-write", "--executor", "model", "--no-examples")


def found(folder: Path) -> Path:
    """Put a scenario of one's own in a folder; give the schedule file of its lost hit, as it would be downloaded."""
    (folder / "mine.yaml").write_text(SCENARIO)
    path = folder / "schedule.txt"
    path.write_text(lost_hit())
    return path


def names(folder: Path) -> list[str]:
    """List the files of a folder."""
    return sorted(path.name for path in folder.iterdir())


def test_the_next_run_begins_with_what_was_promoted(tmp_path: Path) -> None:
    """It goes beside the scenario's file, under a name of its own; the run ends with it."""
    text = found(tmp_path).read_text()
    said = stress(tmp_path, "promote", "schedule.txt")
    path = f"regressions/mine-redis-read-modify-write-{DIGEST}.txt"
    assert (said.code, said.err) == (0, "")
    assert said.lines == [
        f"promoted: {path}",
        "Each run of mine on redis-read-modify-write begins with it, and reports a race for as long as it still fails.",
    ]
    assert (tmp_path / path).read_text() == text
    assert ran(tmp_path)["search"]["covered"] == "1 schedule of an earlier run tried"


def test_an_schedule_is_promoted_once(tmp_path: Path) -> None:
    """The same moves under another fresh value are one already, whatever their file is called."""
    path = found(tmp_path)
    stress(tmp_path, "promote", "schedule.txt", "--name", "may")
    path.write_text(parse(path.read_text()).with_head(fresh="another").text())
    said = stress(tmp_path, "promote", "schedule.txt")
    assert (said.code, said.out) == (0, "is one already: regressions/may.txt\n")
    assert names(tmp_path / "regressions") == ["may.txt"]
    assert "fresh: another" not in (tmp_path / "regressions" / "may.txt").read_text()
    said = stress(tmp_path, "promote", "schedule.txt", "--force")
    assert said.lines[0] == "promoted: regressions/may.txt"
    assert "fresh: another" in (tmp_path / "regressions" / "may.txt").read_text()


def test_another_regression_of_that_name_is_replaced_only_by_force(tmp_path: Path) -> None:
    """Nothing is lost by mistake: the line says what to do."""
    found(tmp_path)
    (tmp_path / "regressions").mkdir()
    (tmp_path / "regressions" / "may.txt").write_text("notes\n")
    said = stress(tmp_path, "promote", "schedule.txt", "--name", "may")
    hint = "choose another with --name, or replace it with --force"
    assert (said.code, said.lines) == (
        64,
        [f"regressions/may.txt:1:1: another regression has that name ({hint})"],
    )
    assert (tmp_path / "regressions" / "may.txt").read_text() == "notes\n"
    assert stress(tmp_path, "promote", "schedule.txt", "--name", "may", "--force").code == 0
    assert parse((tmp_path / "regressions" / "may.txt").read_text()).head.scenario == "mine"


def test_an_schedule_of_a_bundled_case_goes_to_the_bundled_scenarios(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a checkout that is `scenarios/regressions/`."""
    shutil.copytree(bundled(""), tmp_path / "scenarios")
    (tmp_path / "stress").mkdir()
    monkeypatch.setattr(formats, "__file__", str(tmp_path / "stress" / "config" / "formats.py"))
    (tmp_path / "schedule.txt").write_text(schedule("AABB").text())
    assert stress(tmp_path, "promote", "schedule.txt").code == 0
    folder = tmp_path / "scenarios" / "regressions"
    (path,) = folder.glob("*.txt")
    assert path.name.startswith(f"{HOME}-")


def test_of_an_installed_package_it_goes_to_where_we_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed package is nobody's to write into; the next run there begins with it."""
    shutil.copytree(bundled(""), tmp_path / "lib" / "stress" / "_scenarios")
    monkeypatch.setattr(formats, "__file__", str(tmp_path / "lib" / "stress" / "config" / "formats.py"))
    lost = parse(lost_hit()).moves
    (tmp_path / "schedule.txt").write_text(replace(schedule("AABB"), moves=lost).text())
    said = stress(tmp_path, "promote", "schedule.txt", "--name", "lost")
    assert said.lines[0] == "promoted: regressions/lost.txt"
    assert names(tmp_path / "regressions") == ["lost.txt"]
    (result,) = json.loads(stress(tmp_path, "run", "atomic-hit-count", *MODEL, "--json").out)
    assert result["search"]["covered"] == "1 schedule of an earlier run tried"


@pytest.mark.unmeasured
@pytest.mark.parametrize("scenario", ["atomic-hit-count", "link/atomic-hit-count.yaml"])
def test_of_a_bundled_scenario_on_a_target_of_one_s_own_it_goes_beside_that(tmp_path: Path, scenario: str) -> None:
    """The regression stays in the project that it is about, however the path of the scenario is written."""
    (tmp_path / "targets").mkdir()
    shutil.copyfile(bundled("targets") / "redis-read-modify-write.yaml", tmp_path / "targets" / "own.yaml")
    (tmp_path / "link").symlink_to(bundled(""))
    words = ("run", scenario, "--target", "targets/own.yaml", "--executor", "model", "--no-examples")
    stress(tmp_path, *words)
    assert stress(tmp_path, "promote", "reports/latest/schedule.txt", "--name", "lost").code == 0
    assert names(tmp_path / "targets") == ["own.yaml", "regressions"]
    (result,) = json.loads(stress(tmp_path, *words, "--json").out)
    assert result["search"]["covered"] == "1 schedule of an earlier run tried"


def test_a_folder_can_be_named(tmp_path: Path) -> None:
    """Then the scenario need not be here."""
    (tmp_path / "schedule.txt").write_text(schedule("AABB").text().replace("atomic-hit-count", "elsewhere"))
    assert stress(tmp_path, "promote", "schedule.txt", "--into", "kept/schedules", "--name", "one").code == 0
    assert names(tmp_path / "kept" / "schedules") == ["one.txt"]


@pytest.mark.parametrize(
    ("change", "reported"),
    [
        (None, "schedule.txt:1:1: can't be read: No such file or directory (name a schedule file)"),
        (("gateway-stress schedule 1", "notes"), "schedule.txt:1:1: not a schedule file"),
        (("---\nA", "---\nA\nA"), "schedule.txt:9:1: not a move: 'A'"),
        (("scenario: mine", "scenario: yours"), "schedule.txt:2:1: the schedule is of yours, and mine is what"),
        (("--- scenario mine.yaml", "--- scenario gone.yaml"), "schedule.txt:17:1: there is no gone.yaml here (go to"),
        (("---\nA", "---\nexpiry expiry k\nA"), "schedule.txt:2:1: would never be tried: expiry moves 1 times in it"),
    ],
)
def test_what_can_not_become_a_regression_is_refused(
    change: tuple[str, str] | None, reported: str, tmp_path: Path
) -> None:
    """One line names the place; no folder is made."""
    path = found(tmp_path)
    if change is None:
        path.unlink()
    else:
        assert change[0] in path.read_text()
        path.write_text(path.read_text().replace(*change, 1))
    said = stress(tmp_path, "promote", "schedule.txt")
    assert said.code == 64
    assert said.lines[0].startswith(reported), said.lines
    assert not (tmp_path / "regressions").exists()


def test_an_schedule_of_an_unknown_scenario_is_refused(tmp_path: Path) -> None:
    """It has no file attached and no bundled name: the line of its name is told."""
    (tmp_path / "schedule.txt").write_text(schedule("AABB").text().replace("atomic-hit-count", "atomic-hit-counts"))
    said = stress(tmp_path, "promote", "schedule.txt")
    assert said.code == 64
    assert said.err.startswith("schedule.txt:2:1: 'atomic-hit-counts' is no bundled name and no file (did you mean")


@pytest.mark.parametrize("name", ["../up", "a b", "", ".hidden", "x" * 81])
def test_a_name_is_a_plain_word(name: str, tmp_path: Path) -> None:
    """It can't lead to another folder."""
    (tmp_path / "schedule.txt").write_text(schedule("AABB").text())
    said = stress(tmp_path, "promote", "schedule.txt", "--name", name)
    assert (said.code, said.lines[-1]) == (
        64,
        "Error: Invalid value for --name: may hold letters, digits, '.', '_' and '-', at most 80",
    )


def test_a_folder_that_refuses_is_named(tmp_path: Path) -> None:
    """A file stands where the folder must be."""
    found(tmp_path)
    (tmp_path / "regressions").write_text("")
    said = stress(tmp_path, "promote", "schedule.txt", "--name", "one")
    assert (said.code, said.lines[-1]) == (
        64,
        "Error: regressions/one.txt can't be written: File exists (choose another folder with --into)",
    )
