"""Gateways that the command line once judged wrongly, each with the exit code that is right: see EXPECTED."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from commands import command

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HERE = Path(__file__).parent
LONG_SECONDS = 3.0
"""Cases that take longer run in `make test-cases` alone."""
NIGHT = os.environ.get("STRESS_NIGHTLY") == "1"
NIGHTLY = pytest.mark.skipif(not NIGHT, reason="a variant: STRESS_NIGHTLY=1 runs it")
NIGHTLY_REPLAYS = 50
"""How often every schedule is replayed there, unless its line says more."""
_LINE = re.compile(
    r"(?P<case>[^/]+)/(?P<target>\S+) (?P<codes>[\d,]+) (?P<seconds>[\d.]+)s(?P<nightly> nightly)?"
    r"( budget=(?P<budget>\d+))?( replay=(?P<times>\d+))?( \"(?P<story>[^\"]+)\")?( !(?P<never>.+))?"
)

pytestmark = pytest.mark.unmeasured


@dataclass(frozen=True, slots=True)
class Expected:
    """One line of EXPECTED.

    ``budget`` is empty where the quick profile is enough, ``times`` is 0 where nothing is replayed, ``story`` empty
    where none is told that is worth it, ``never`` empty where any text may be printed.
    """

    case: str
    target: str
    codes: tuple[int, ...]
    budget: str
    times: int
    story: str
    never: str

    @property
    def stories(self) -> set[str]:
        """The story with either of two requests in either part."""
        return {re.sub(r"\bY\b", other, re.sub(r"\bX\b", one, self.story)) for one, other in ("AB", "BA")}


def _read() -> Iterator[object]:
    """Give each line as a parameter of the test; the long ones have a mark."""
    for text in (HERE / "EXPECTED").read_text().splitlines():
        line = text.partition("#")[0].strip()
        if not line:
            continue
        parts = _LINE.fullmatch(line)
        assert parts is not None, f"EXPECTED can't be read: {line}"
        codes = tuple(map(int, parts["codes"].split(",")))
        times = max(int(parts["times"] or 0), NIGHTLY_REPLAYS if NIGHT and codes == (1,) else 0)
        rest = (parts["budget"] or "", times, parts["story"] or "", parts["never"] or "")
        expected = Expected(parts["case"], parts["target"], codes, *rest)
        marks = [pytest.mark.cases] if float(parts["seconds"]) > LONG_SECONDS else []
        marks += [NIGHTLY] if parts["nightly"] else []
        yield pytest.param(expected, id=f"{expected.case}/{expected.target}", marks=marks)


@pytest.fixture(scope="session")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Give a maker of the folder of a case: its own, or a copy in which its program in Go was built, once a session."""
    built: dict[str, Path] = {}

    def make(case: str) -> Path:
        if not (HERE / case / "go.mod").exists():
            return HERE / case
        if shutil.which("go") is None:
            pytest.skip("go not installed")
        if case not in built:
            folder = tmp_path_factory.mktemp("go") / case
            shutil.copytree(HERE / case, folder)
            build = ("go", "build", "-o", "svc", ".")
            done = subprocess.run(build, cwd=folder, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
            built[case] = folder
        return built[case]

    return make


@pytest.mark.parametrize("expected", list(_read()))
def test_a_case_is_judged_as_expected(expected: Expected, folder_of: Callable[[str], Path], tmp_path: Path) -> None:
    """A search exits with the right code, tells the right story, and what it finds fails in each replay."""
    folder = folder_of(expected.case)
    target = f"{expected.target}.yaml"
    words = ["--no-examples", "--reports", tmp_path, *(["--seconds", expected.budget] if expected.budget else [])]
    code, reported = _stress(folder, "run", "scenario.yaml", "--target", target, *words)
    assert code in expected.codes, reported
    assert not expected.never or expected.never not in reported, reported
    assert any(story in " ".join(reported.split()) for story in expected.stories), reported
    found, bursts = sorted(tmp_path.glob("[0-9]*/schedule*.txt")), list(tmp_path.glob("[0-9]*/burst.txt"))
    assert bool(found or bursts) == (code == 1), reported
    for schedule in found if expected.times else ():
        times = str(expected.times)
        repeat = _stress(
            folder, "replay", schedule, "--target", target, "--times", times, "--reports", tmp_path / "again"
        )
        assert (repeat[0], f"STILL FAILING {times}/{times}" in repeat[1]) == (1, True), repeat[1]


@pytest.mark.cases
def test_an_schedule_of_a_correct_service_passes_in_each_replay(tmp_path: Path) -> None:
    """What its script writes to a key that it does not declare is gone before the next replay, with new values."""
    folder = HERE / "undeclared-script-key"
    times = str(NIGHTLY_REPLAYS if NIGHT else 5)
    code, reported = _stress(
        folder, "replay", "correct-schedule.txt", "--target", "correct.yaml", "--times", times, "--reports", tmp_path
    )
    assert (code, reported.splitlines()[0]) == (0, f"FIXED {times}/{times}")


def _stress(folder: Path, *args: object) -> tuple[int, str]:
    """Run a command as a user runs it; give its exit code and what it printed."""
    done = subprocess.run(command(*args), cwd=folder, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr
