"""`run --schedule`: one schedule in letters, on any scenario and target; what it says and its exit code."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from commands import stress

from stress.core.schedule import parse

if TYPE_CHECKING:
    from pathlib import Path

LOST = ("run", "atomic-hit-count", "--target", "redis-read-modify-write")


@pytest.mark.parametrize("executor", ["live", "model"])
def test_a_schedule_in_letters_that_fails_is_a_race_with_its_schedule(tmp_path: Path, executor: str) -> None:
    """A reads, B reads and writes, A writes: exit 1, replayed, and in a file that replays it step by step."""
    said = stress(tmp_path, *LOST, "--schedule", "A A A B B B B A", "--executor", executor, "--json")
    (result,) = json.loads(said.out)
    assert (said.code, result["verdict"]) == (1, "race")
    schedule = parse((tmp_path / "reports" / "latest" / "schedule.txt").read_text())
    assert schedule.actors == "A A A B B B B A"
    assert str(schedule.moves[1]) == "A EXISTS gw:dedup:{fingerprint}"
    assert stress(tmp_path, "replay", "reports/latest/schedule.txt").out == "STILL FAILING 1/1\n"


@pytest.mark.parametrize(
    ("schedule", "reported"),
    [
        ("A A A A B", "the schedule was followed, and breaks nothing; no other was run"),
        ("A A A A A B", "DIVERGED at step 5: expected a step of A, saw B start"),
        ("A watch", "DIVERGED at step 2: expected a step of watch:1, saw A EXISTS"),
    ],
)
def test_a_schedule_that_passes_or_can_not_be_followed_proves_nothing(
    tmp_path: Path, schedule: str, reported: str
) -> None:
    """Exit 2, with the step at which it can't be followed: one schedule is no search, whatever is expected."""
    said = stress(tmp_path, *LOST, "--schedule", schedule, "--executor", "model", "--quiet")
    assert said.code == 2
    assert said.out.startswith(f"inconclusive: atomic-hit-count on redis-read-modify-write: {reported}")


def test_the_environment_acts_where_the_schedule_says_so(tmp_path: Path) -> None:
    """`clock` and `client` need not be actors of the scenario."""
    words = ("run", "concurrent-duplicates", "--target", "redis-named-by-second", "--executor", "model", "--quiet")
    assert stress(tmp_path, *words, "--schedule", "A A clock B B").code == 1
    assert stress(tmp_path, *words, "--schedule", "A A client B B").code == 2


@pytest.mark.parametrize(
    ("words", "reported"),
    [
        ("A A C", "atomic-hit-count: word 3, at character 5: 'C' names no actor (allowed: A to B, clock, "),
        ("A writer", "writer needs environment.writer in redis-read-modify-write"),
    ],
)
def test_a_schedule_that_can_not_be_meant_is_refused_before_anything_starts(
    tmp_path: Path, words: str, reported: str
) -> None:
    """The word is named with its place (exit 64)."""
    said = stress(tmp_path, *LOST, "--schedule", words)
    assert (said.code, said.out) == (64, "")
    assert f"Invalid value for '--schedule': {reported}" in said.err
