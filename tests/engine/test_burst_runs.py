"""Requests released together after a search that found nothing, on a service whose threads race."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from commands import report, stress

CASES = Path(__file__).parent.parent / "cases"
SECONDS = ("--no-examples", "--seconds", "20")


@pytest.fixture
def bursts(tmp_path: Path) -> Path:
    """Give a folder with the service, a target of it whose threads race, and one whose threads take turns."""
    shutil.copyfile(CASES / "alerts.py", tmp_path / "alerts.py")
    for name in ("service.py", "scenario.yaml", "threads-racy.yaml", "threads-locked.yaml"):
        text = (CASES / "bursts" / name).read_text().replace("PYTHONPATH: ..", "PYTHONPATH: .")
        text = text.replace("burst: 200", "burst: 30\npatience: 0.2")
        (tmp_path / name).write_text(text)
    return tmp_path


def test_what_no_schedule_shows_is_a_race_that_bursts_show_until_it_is_fixed(bursts: Path) -> None:
    """The race has no schedule but a file of bursts; its replay fails, until the threads take turns."""
    said = stress(bursts, "run", "scenario.yaml", "--target", "threads-racy.yaml", *SECONDS)
    result, _ = report(bursts)
    (file,) = bursts.glob("reports/[0-9]*/burst.txt")
    assert (said.code, result["verdict"]) == (1, "race")
    assert result["reason"].endswith(" of 30 bursts, no schedule; broken: one_created_answer")
    replayed = stress(bursts, "replay", file, "--target", "threads-racy.yaml")
    assert (replayed.code, replayed.out.partition(" (")[0]) == (1, "STILL FAILING")
    target = bursts / "threads-racy.yaml"
    target.write_text(target.read_text().replace("service.py, threads-racy", "service.py, threads-locked"))
    fixed = stress(bursts, "replay", file, "--target", "threads-racy.yaml")
    assert (fixed.code, fixed.out.partition(" (")[0]) == (0, "FIXED")


def test_bursts_that_show_nothing_stand_beside_what_holds(bursts: Path) -> None:
    """Threads that take turns hold, and the verdict says how many bursts were run; a scenario may ask for none."""
    said = stress(bursts, "run", "scenario.yaml", "--target", "threads-locked.yaml", *SECONDS)
    assert (said.code, "; 30 bursts, none fails" in report(bursts)[0]["reason"]) == (0, True)
    scenario = bursts / "scenario.yaml"
    scenario.write_text(scenario.read_text() + "burst: 0\n")
    said = stress(bursts, "run", "scenario.yaml", "--target", "threads-locked.yaml", *SECONDS)
    assert (said.code, "burst" in report(bursts)[0]["reason"]) == (0, False)
