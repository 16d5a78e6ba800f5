"""docs/kubernaut.md, followed literally on the unmodified binaries of Kubernaut's Gateway, where they are there.

They are named by KUBERNAUT_GATEWAY_2026_01 and KUBERNAUT_GATEWAY_HEAD; KUBEBUILDER_ASSETS names a real API server, on
which all races are found once more each night. Without them each test skips and says so.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from commands import command

from stress.config.formats import bundled

if TYPE_CHECKING:
    from collections.abc import Sequence

pytestmark = [pytest.mark.cases, pytest.mark.unmeasured]

NIGHTLY = os.environ.get("STRESS_NIGHTLY") == "1"
TIMES, REPLAYS = (5, 100) if NIGHTLY else (1, 20)
"""How often each race is searched for, and how often the first schedule found is replayed."""
DOCUMENT = Path(__file__).parent.parent.parent / "docs" / "kubernaut.md"
GATEWAYS = {"kubernaut-2026-01": "KUBERNAUT_GATEWAY_2026_01", "kubernaut-head": "KUBERNAUT_GATEWAY_HEAD"}
FIXED = "KUBERNAUT_GATEWAY_FIXED"
"""Names a Gateway of 2026-01 whose records are named by the fingerprint alone."""
ASSETS = "KUBEBUILDER_ASSETS"
KNOWN = {
    "kubernaut-2026-01": {"R1", "R2", "R3", "R4", "R5", "R7", "R8", "R9", "R10"},
    "kubernaut-head": {"L1", "L2", "L3", "L4", "L5", "L6", "R6", "R8", "R9"},
}
"""The races of each release (the Gateway's contract, section 3)."""


class Row(NamedTuple):
    """A row of the document's table: a race, the words of the command that shows it, and its schedule in letters."""

    race: str
    words: tuple[str, ...]
    letters: str

    @property
    def target(self) -> str:
        """The target that the command names."""
        return self.words[self.words.index("--target") + 1]

    def __str__(self) -> str:
        """Name its tests."""
        return f"{self.race}-{self.target}"


_ROW = r"^\| ([RL]\d+) \|[^`]*`(stress-gateway run [^`]+)` \| \d+ \| ([^|]+) \|"
ROWS = [
    Row(race, tuple(shlex.split(line)[1:]), letters)
    for race, line, letters in re.findall(_ROW, DOCUMENT.read_text(), re.MULTILINE)
]


def stress(folder: Path, *words: object, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a command as a user does, with more variables in its environment."""
    return subprocess.run(
        command(*words), cwd=folder, capture_output=True, text=True, check=False, env={**os.environ, **more}
    )


def needs(*names: str) -> None:
    """Skip where a variable that names a program is not set."""
    for name in names:
        if not os.environ.get(name):
            pytest.skip(f"{name} is not set: name your build there to run this test")


def result(folder: Path) -> dict[str, Any]:
    """Read the result of the last case that was searched in a folder."""
    found: dict[str, Any] = json.loads((folder / "reports" / "latest" / "result.json").read_text())
    return found


def schedule_of(found: dict[str, Any], race: str) -> str:
    """Give the file of the schedule that shows a race."""
    return next(one["schedule_file"] for one in found["findings"] if race in one["races"])


def changed(folder: Path, target: str, old: str, new: str) -> str:
    """Write a bundled target with one change; give its name."""
    path = bundled("targets") / f"{target}.yaml"
    text = path.read_text()
    assert old in text
    manifests = path.parent / "manifests"
    (folder / "target.yaml").write_text(text.replace(old, new).replace("manifests/", f"{manifests}/"))
    return "target.yaml"


def searched(folder: Path, words: Sequence[object]) -> dict[str, Any]:
    """Search; a race on a target without expectations exits 1."""
    done = stress(folder, *words)
    assert done.returncode == 1, done.stdout + done.stderr
    return result(folder)


def test_the_table_has_every_race_of_both_releases() -> None:
    """Each race that the contract knows of a release has its command."""
    assert {target: {row.race for row in ROWS if row.target == target} for target in KNOWN} == KNOWN


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_each_race_is_found_under_its_name_and_replays(tmp_path: Path, row: Row) -> None:
    """The documented command finds it, each time, and its schedule fails in every replay."""
    needs(GATEWAYS[row.target])
    for _ in range(TIMES):
        found = searched(tmp_path, row.words)
        assert row.race in found["goals"]["met"], found["violations"]
    schedule = tmp_path / "reports" / "latest" / schedule_of(found, row.race)
    done = stress(tmp_path, "replay", schedule, "--times", REPLAYS)
    assert (done.returncode, done.stdout.splitlines()[:1]) == (1, [f"STILL FAILING {REPLAYS}/{REPLAYS}"]), done.stdout


@pytest.mark.parametrize("row", [row for row in ROWS if row.letters.startswith("`")], ids=str)
def test_each_schedule_that_is_shown_leads_to_its_race(tmp_path: Path, row: Row) -> None:
    """`--schedule` with the letters of the table breaks what the race breaks."""
    needs(GATEWAYS[row.target])
    assert row.race in searched(tmp_path, [*row.words, "--schedule", row.letters.strip("`")])["goals"]["met"]


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_each_race_is_found_on_a_real_api_server(tmp_path: Path, row: Row) -> None:
    """Verdict and name are those of the embedded one."""
    needs(GATEWAYS[row.target], ASSETS)
    if not NIGHTLY:
        pytest.skip("STRESS_NIGHTLY=1 runs it on a real API server")
    target = changed(tmp_path, row.target, "{kubernetes: {}}", "{kubernetes: {assets: true}}")
    words = [target if word == row.target else word for word in row.words]
    assert row.race in searched(tmp_path, words)["goals"]["met"]


@pytest.mark.parametrize("target", list(GATEWAYS))
def test_one_command_shows_every_race_of_a_release(tmp_path: Path, target: str) -> None:
    """`run --target` searches what the target lists, and each race has its name."""
    needs(GATEWAYS[target])
    done = stress(tmp_path, "run", "--target", target)
    assert done.returncode == 1, done.stdout
    results = json.loads((tmp_path / "reports" / "latest" / "results.json").read_text())
    assert {name for one in results for name in one["goals"]["met"]} == KNOWN[target]


def test_a_gateway_that_refuses_each_request_is_not_tested(tmp_path: Path) -> None:
    """Without its credential it answers 401: exit 64 with status and body, and a replay is inconclusive (2)."""
    needs(GATEWAYS["kubernaut-head"])
    row = next(row for row in ROWS if row.race == "L1")
    schedule = tmp_path / "reports" / "latest" / schedule_of(searched(tmp_path, row.words), "L1")
    kept = schedule.rename(tmp_path / "schedule.txt")
    target = changed(tmp_path, "kubernaut-head", 'Authorization: "Bearer {token}", ', "")
    said = 'was answered 401 [{"detail":"Missing Authorization header"'
    done = stress(tmp_path, *(target if word == row.target else word for word in row.words))
    assert (done.returncode, result(tmp_path)["verdict"]) == (64, "inconclusive")
    assert said in result(tmp_path)["reason"]
    repeat = stress(tmp_path, "replay", kept, "--target", target)
    assert repeat.returncode == 2
    assert repeat.stdout.startswith("inconclusive: ")
    assert said in repeat.stdout


@pytest.mark.parametrize("race", ["R1", "R5"])
def test_a_name_from_the_fingerprint_fixes_it(tmp_path: Path, race: str) -> None:
    """The schedule that fails on the release ends FIXED on a build that leaves the second out of names."""
    needs(GATEWAYS["kubernaut-2026-01"], FIXED)
    row = next(row for row in ROWS if row.race == race)
    schedule = tmp_path / "reports" / "latest" / schedule_of(searched(tmp_path, row.words), race)
    fixed = {GATEWAYS["kubernaut-2026-01"]: os.environ[FIXED]}
    done = stress(tmp_path, "replay", schedule, **fixed)
    assert (done.returncode, done.stdout[:5]) == (0, "FIXED"), done.stdout
