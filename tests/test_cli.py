"""The commands, run as a user runs them."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

OWN = Path(__file__).parent / "gateways" / "lock_gateway.py"


def stress(*args: str, folder: Path, code: int = 0) -> str:
    """Run a command in its own process; give both outputs."""
    command = [sys.executable, "-m", "stress.cli", *args]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=120)
    output = done.stdout + done.stderr
    assert done.returncode == code, output
    assert "Traceback" not in output
    return output


def test_a_race_is_found_reported_and_replayed(tmp_path: Path) -> None:
    """Run finds the lost hit as expected, writes every file, and its order file replays it 20 of 20."""
    output = stress("run", "atomic-hit-count", folder=tmp_path)
    assert "RACE hits_equal_answers, distinct_counts: atomic-hit-count on redis-read-modify-write" in output
    assert "expected 3 hits of rr-{fingerprint:16}; observed 2" in output
    folder = tmp_path / "reports" / "latest" / "atomic-hit-count-redis-read-modify-write"
    result = json.loads((folder / "result.json").read_text())
    assert (result["verdict"], result["as_expected"], result["order_file"]) == ("race", True, "order.txt")
    assert len((folder / "trace.ndjson").read_text().splitlines()) == 12 + 3 + 1
    suite = ET.parse(tmp_path / "reports" / "latest" / "junit.xml").getroot()  # noqa: S314 - our own file
    assert [(case.get("name"), len(case)) for case in suite] == [("redis-read-modify-write", 0), ("redis-atomic", 0)]
    again = stress("replay", str(folder / "order.txt"), "--times", "20", folder=tmp_path, code=1)
    assert again.strip() == "STILL FAILING 20/20"


def test_a_fixed_target_has_no_such_order_any_more(tmp_path: Path) -> None:
    """Replayed on the twin, the order does not exist; the twin is searched and holds."""
    stress("run", "atomic-hit-count", "--target", "redis-read-modify-write", folder=tmp_path)
    order = tmp_path / "reports" / "latest" / "atomic-hit-count-redis-read-modify-write" / "order.txt"
    output = stress("replay", str(order), "--target", "redis-atomic", folder=tmp_path)
    assert output.startswith("FIXED (the order no longer exists; holds: exhausted 2 of 2")
    text = order.read_text().replace("A HGET gw:dedup", "A HGET other")
    order.write_text(text)
    output = stress("replay", str(order), folder=tmp_path, code=2)
    assert output.startswith("DIVERGED at step 3: expected A HGET other:{fingerprint}, saw A HGET gw:dedup")


def test_a_target_of_ones_own_is_searched_for_both_tests(tmp_path: Path) -> None:
    """A target file is all it takes; a race that nobody expected exits 1."""
    target = tmp_path / "mine.yaml"
    command = json.dumps([sys.executable, str(OWN), "{port}", "{redis_port}", "racy"])
    target.write_text(f"name: mine\nstart: {{command: {command}, ready: {{path: /ready}}}}\n")
    output = stress("run", "--target", str(target), "--seconds", "5", folder=tmp_path, code=1)
    assert "concurrent-duplicates on mine" in output
    assert "atomic-hit-count on mine" in output
    data = json.loads(
        stress(
            "run", "concurrent-duplicates", "--target", str(target), "--json", "--seconds", "5", folder=tmp_path, code=1
        )
    )
    assert [one["violations"][0]["invariant"] for one in data] == ["one_created_answer"]
    assert data[0]["notes"] == ["not checked: hits_equal_answers (the target does not say how to observe it)"]


def test_an_expected_race_that_is_not_found_exits_3(tmp_path: Path) -> None:
    """One order is not enough to find the race that the scenario expects."""
    stress("run", "atomic-hit-count", "--target", "redis-read-modify-write", "--orders", "1", folder=tmp_path, code=3)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("run", "no-such"), "no such file or bundled name"),
        (("run", "missing.yaml"), "missing.yaml:1:1: can't be read: No such file or directory"),
        (("run", "--orders", "0"), "0 is not in the range"),
        (("replay", "none.txt"), "none.txt can't be read"),
        (("frobnicate",), "No such command 'frobnicate'"),
    ],
)
def test_bad_use_is_one_clear_line(tmp_path: Path, args: tuple[str, ...], message: str) -> None:
    """A wrong name, file, option or command exits 64 without a traceback."""
    assert message in stress(*args, folder=tmp_path, code=64)


def test_a_gateway_that_is_not_there_exits_69(tmp_path: Path) -> None:
    """A start command that can't be run ends before the first order."""
    (tmp_path / "t.yaml").write_text("name: t\nstart: {command: [no-such-gateway]}\n")
    output = stress("run", "atomic-hit-count", "--target", "t.yaml", folder=tmp_path, code=69)
    assert output.startswith("unavailable: Gateway 1 does not start: no-such-gateway")


def test_a_report_that_can_not_be_written_exits_74(tmp_path: Path) -> None:
    """A file where the report folder should be is named."""
    (tmp_path / "reports").write_text("")
    output = stress("run", "atomic-hit-count", "--target", "redis-atomic", folder=tmp_path, code=74)
    assert "the report can't be written: reports/" in output


def test_list_and_schema_tell_what_there_is(tmp_path: Path) -> None:
    """List names every bundled scenario; the schemas name the keys."""
    assert re.findall(r"^[a-z0-9-]+(?=:)", stress("list", folder=tmp_path), re.MULTILINE) == [
        "atomic-hit-count",
        "concurrent-duplicates",
        "expiry",
        "pseudo-lock",
        "store-overwrite",
        "t1-five-at-once-cleanup",
        "t1-five-at-once",
        "t2-one-then-three-cleanup",
        "t2-one-then-three",
    ]
    assert "concurrent" in json.loads(stress("schema", "scenario", folder=tmp_path))["properties"]
    assert "patience" in json.loads(stress("schema", "target", folder=tmp_path))["properties"]


def test_a_bundled_gateway_needs_its_store(tmp_path: Path) -> None:
    """Without a store the Gateway exits 69 and says so."""
    output = stress(
        "gateway",
        "--protocol",
        "redis-atomic",
        "--redis",
        "redis://127.0.0.1:1/0",
        "--port",
        "1",
        folder=tmp_path,
        code=69,
    )
    assert output.startswith("unavailable: the store does not answer")


def test_ctrl_c_ends_everything(tmp_path: Path) -> None:
    """Interrupted in a search, the command exits 130 and leaves no process behind."""
    command = [
        sys.executable,
        "-m",
        "stress.cli",
        "run",
        "concurrent-duplicates",
        "--target",
        "redis-named-by-second",
        "--seconds",
        "60",
    ]
    process = subprocess.Popen([*command, "--json"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    while len(pids := children.read_text().split()) < 2:
        assert process.poll() is None
        os.sched_yield()
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=20)
    assert (process.returncode, b"Traceback" in output) == (130, False), output
    assert [pid for pid in pids if Path(f"/proc/{pid}").exists()] == []
