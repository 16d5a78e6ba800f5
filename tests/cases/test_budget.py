"""A search takes no longer than its seconds and one run, also of services that never rest or that sleep."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from commands import command

HERE = Path(__file__).parent
SECONDS, ONE_RUN = 6.0, 3.0
"""What each search may take, and a run at least, with a wait for the clock."""

pytestmark = [pytest.mark.cases, pytest.mark.unmeasured]


@pytest.mark.parametrize(
    ("case", "target"),
    [
        ("renews", "every-100"),
        ("answers-first-py", "endless"),
        ("answers-first-py", "sleeps-300"),
    ],
)
def test_a_search_keeps_its_seconds(case: str, target: str, tmp_path: Path) -> None:
    """From the first request of the preflight to the verdict; one that is inconclusive says why on the terminal too."""
    words = ["run", "scenario.yaml", "--target", f"{target}.yaml", "--no-examples", "--reports", tmp_path]
    run = command(*words, "--seconds", SECONDS)
    done = subprocess.run(run, cwd=HERE / case, capture_output=True, text=True, check=False, timeout=120)
    (result,) = json.loads((tmp_path / "latest" / "results.json").read_text())
    assert done.returncode in (0, 2), done.stdout + done.stderr
    assert result["search"]["seconds"] < 1.1 * SECONDS + ONE_RUN
    if done.returncode == 2:
        assert result["reason"][:40] in done.stderr + done.stdout
