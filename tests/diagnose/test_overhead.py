"""Overhead: pairs, their ratio with its interval, the limit and the baseline. Never an absolute time."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from commands import stress

from stress.diagnose.overhead import Pair, Ratio, pairs, ratio_of

if TYPE_CHECKING:
    from pathlib import Path

SAME = ("--a", "true", "--b", "true", "--pairs", "3")


def test_pairs_are_run_as_abba_after_one_run_of_each() -> None:
    """What grows steadily meanwhile meets both alike; the first run of each is not measured."""
    ran: list[str] = []

    def run(name: str) -> float:
        ran.append(name)
        return float(len(ran))

    measured = list(pairs(lambda: run("a"), lambda: run("b"), 3))
    assert "".join(ran) == "ab" + "abbaab"
    assert measured == [Pair(3, 4), Pair(6, 5), Pair(7, 8)]


def test_a_ratio_is_the_median_of_pairs_with_a_seeded_interval() -> None:
    """One pair that was disturbed moves neither the median nor, of many, the interval; the seed repeats it."""
    measured = [Pair(2, 3)] * 19 + [Pair(2, 60)]
    assert ratio_of(measured, 0) == Ratio(median=1.5, low=1.5, high=1.5, pairs=20)
    spread = [Pair(10, 10 + number) for number in range(10)]
    assert ratio_of(spread, 7) == ratio_of(spread, 7)
    assert ratio_of(spread, 7).median == 1.45
    assert 1.0 <= ratio_of(spread, 7).low < 1.45 < ratio_of(spread, 7).high <= 1.9


def test_a_run_without_a_time_has_no_ratio() -> None:
    """Nothing is divided by nothing."""
    with pytest.raises(ValueError, match="no time that could be measured"):
        ratio_of([Pair(0, 1)], 0)


@pytest.mark.parametrize(("most", "verdict"), [(1.2, "pass"), (1.3, "pass"), (1.1, "inconclusive"), (0.9, "fail")])
def test_a_limit_is_kept_by_all_of_the_interval_or_none(most: float, verdict: str) -> None:
    """Between the ends of the interval nothing is known."""
    assert Ratio(median=1.1, low=1.0, high=1.2, pairs=9).at_most(most) == verdict


@pytest.mark.parametrize(("most", "code", "said"), [("1000", 0, "PASS"), ("0.001", 1, "FAIL")])
def test_the_ratio_is_judged(tmp_path: Path, most: str, code: int, said: str) -> None:
    """The exit code is that of the ratio, on a machine however slow."""
    done = stress(tmp_path, "overhead", *SAME, "--most", most)
    assert (done.code, done.err) == (code, "")
    assert done.out.splitlines()[0].startswith("B / A: ")
    assert done.out.splitlines()[1] == f"at most {float(most):g}: {said}"


def test_a_baseline_is_written_compared_with_and_written_again(tmp_path: Path) -> None:
    """Missing: it is written. There: it is compared with, and one that was much lower fails. --save replaces it."""
    file = tmp_path / "base.json"
    words = ("overhead", *SAME, "--baseline", "base.json")
    assert stress(tmp_path, *words).code == 0
    saved = json.loads(file.read_text())
    assert saved["compared"] == {"a": ["true"], "b": ["true"], "clock": "wall"}
    saved["ratio"] = {"median": 0.001, "low": 0.001, "high": 0.001, "pairs": 3}
    file.write_text(json.dumps(saved))
    done = stress(tmp_path, *words)
    assert done.code == 1
    assert done.out.splitlines()[1] == "baseline 0.001 (0.001 to 0.001, 3 pairs): WORSE, the intervals do not meet"
    assert json.loads(file.read_text()) == saved
    done = stress(tmp_path, *words, "--save", "--json")
    assert (done.code, json.loads(done.out)["baseline"]) == (0, None)
    assert json.loads(file.read_text())["ratio"]["high"] > 0.001


@pytest.mark.parametrize(
    ("words", "code", "line"),
    [
        (("--a", "true", "--b", "false"), 2, "inconclusive: false: exit code 1"),
        (
            ("--a", "true", "--b", "no-such"),
            69,
            "unavailable: no-such can't be run: No such file or directory (correct",
        ),
        (("--a", "true", "--b", ""), 64, "Error: Invalid value for --b: is empty"),
        ((*SAME, "--save"), 64, "Error: --save needs a file: name it with --baseline"),
        ((*SAME, "--baseline", "other.json"), 64, "other.json:1:1: is of another a: sleep 1 (name another file"),
        ((*SAME, "--baseline", "bad.json"), 64, "bad.json:1:1: is no baseline (write it again with --save)"),
        ((*SAME, "--baseline", "."), 64, ".:1:1: can't be read: Is a directory (check the path)"),
    ],
)
def test_what_can_not_be_compared_is_one_clear_line(tmp_path: Path, words: list[str], code: int, line: str) -> None:
    """A run that fails, a command that is not there, a baseline of something else."""
    ratio = {"median": 1.0, "low": 1.0, "high": 1.0, "pairs": 1}
    other = {"compared": {"a": ["sleep", "1"], "b": ["true"], "clock": "wall"}, "ratio": ratio}
    (tmp_path / "other.json").write_text(json.dumps(other))
    (tmp_path / "bad.json").write_text("{}")
    said = stress(tmp_path, "overhead", *words)
    lines = [one for one in said.err.splitlines() if one and not one.startswith(("Usage: ", "Try "))]
    assert (said.code, said.out, len(lines)) == (code, "", 1)
    assert lines[0].startswith(line)
