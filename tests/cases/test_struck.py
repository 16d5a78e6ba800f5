"""Service, store and the harness itself are struck by signals at random moments: right codes, reports, nothing left."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from functools import partial
from pathlib import Path

import pytest
from commands import GATEWAYS, command, own_files

NIGHTLY = os.environ.get("STRESS_NIGHTLY") == "1"
TIMES = 20 if NIGHTLY else 1
"""How often each fault strikes."""
MOST = 36
"""The last store command before which one may: sixteen come before the search, and four in each of its 5 schedules."""
SECONDS = 3.0
_WITHIN = 12.0
"""For how many seconds such a search may go on: a store that does not reply is waited for, as is a request."""
FAULTS = [
    ("service", "SIGKILL"),
    ("service", "SIGSTOP"),
    ("store", "SIGKILL"),
    ("store", "SIGSTOP"),
    ("harness", "SIGINT"),
    ("harness", "SIGTERM"),
    ("harness", "SIGHUP"),
]

pytestmark = [pytest.mark.cases, pytest.mark.unmeasured]


def running_in(folder: Path) -> list[str]:
    """Name the processes that run in a folder."""
    found = []
    for link in Path("/proc").glob("[0-9]*/cwd"):
        try:
            if link.readlink() == folder:
                found.append((link.parent / "cmdline").read_text())
        except OSError:
            continue  # it has ended, or is not ours to look at
    return found


def moments(who: str, fault: str) -> list[int]:
    """Draw the moments at which a fault strikes, each a number of a store command, the same each time."""
    drawn = random.Random(f"{who} {fault}")
    return [drawn.randint(1, MOST) for _ in range(TIMES)]


@pytest.mark.parametrize(
    ("who", "fault", "moment"),
    [(who, fault, moment) for who, fault in FAULTS for moment in moments(who, fault)],
)
def test_a_fault_at_any_moment_ends_a_run_well(
    tmp_path: Path, who: str, fault: str, moment: int, short_folder: Path
) -> None:
    """Neither a race nor that it holds: 130 for the harness, else 2, or 69 before the search; why is reported."""
    words = own_files(
        tmp_path, "{redis_port}", program=GATEWAYS / "faulty_gateway.py", arguments=[fault, who, str(moment)]
    )
    target = (tmp_path / "own.yaml").read_text().replace('"{redis_port}", "{redis_port}"', '"{redis_port}"')
    (tmp_path / "own.yaml").write_text(target)
    words = [*words[:4], "--seconds", SECONDS, "--workers", 1, "--no-examples"]
    environment = {**os.environ, "TMPDIR": str(short_folder)}
    done = subprocess.run(
        command(*words),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env=environment,
        preexec_fn=partial(signal.signal, signal.SIGHUP, signal.SIG_DFL),  # nohup may have had it ignored
    )
    reported = done.stdout + done.stderr
    assert (tmp_path / "struck").exists(), reported
    assert "Traceback" not in reported
    assert done.returncode in ((130,) if who == "harness" else (2, 69)), reported
    results = json.loads((tmp_path / "reports" / "latest" / "results.json").read_text())
    assert [one["verdict"] for one in results] in ([], ["inconclusive"]), reported
    assert bool(results) or who == "harness", reported  # who interrupts a start has no result yet
    assert all(
        one["reason"] in reported.replace("\n", " ") and one["search"]["seconds"] < _WITHIN for one in results
    ), reported
    deadline = time.monotonic() + 10.0  # the kernel ends children of a parent that was killed a moment later
    while left := running_in(tmp_path):
        assert time.monotonic() < deadline, left
        os.sched_yield()
    assert list(short_folder.iterdir()) == []
