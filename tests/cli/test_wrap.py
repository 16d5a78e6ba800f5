"""`wrap`: a user's own test is scheduled as it is, and what makes it fail is replayed."""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
from pathlib import Path

import pytest
import redis
from commands import Said, stress

from stress.engine.wrap.schedule import parse
from stress.protocols.redis.server import Valkey

COUNTER = Path(__file__).parent.parent / "engine" / "wrap" / "suites" / "plain" / "counter.py"
RACE = ["B GET counter", "A GET counter", "A SET counter", "B SET counter", "A GET counter"]


@pytest.fixture(autouse=True)
def no_store_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """See that no variable of this machine names a store."""
    for name in ("REDIS_URL", "REDIS_HOST", "REDIS_PORT", "VALKEY_URL"):
        monkeypatch.delenv(name, raising=False)


def test_of(mode: str) -> list[str]:
    """Give the words of a user's test."""
    return ["--", sys.executable, "-S", str(COUNTER), mode]


test_of.__test__ = False  # type: ignore[attr-defined]  # it is no test itself


def wrapped(folder: Path, mode: str, *options: str, times: int = 4) -> Said:
    """Wrap that test, with a store that is started for it."""
    return stress(folder, "wrap", "--store", "redis", "--times", str(times), *options, *test_of(mode))


def steps(path: Path) -> list[str]:
    """Read the steps of a schedule."""
    return [f"{turn.actor} {turn.command} {turn.objects}".rstrip() for turn in parse(path.read_text(), "").turns]


def result(folder: Path) -> dict[str, object]:
    """Read what the report says."""
    found: dict[str, object] = json.loads((folder / "reports" / "latest" / "result.json").read_text())
    return found


def test_a_lost_update_is_found_and_fails_again(tmp_path: Path) -> None:
    """The table comes first, then the smallest schedule and what would have to be otherwise; its file replays it."""
    said = wrapped(tmp_path, "racy")
    assert (said.code, said.err) == (1, "")
    assert said.lines[:4] == [
        said.lines[0],
        "free with its siblings         not run: name the whole suite with --suite",
        said.lines[2],
        "scheduled with foreign writes  not run",
    ]
    assert re.fullmatch(REPEAT, said.lines[4])
    latest = tmp_path / "reports" / "latest"
    found = steps(latest / "schedule.txt")
    late, early = found[0][0], found[1][0]
    assert f"passes if {late} SET counter 1 comes before {early} GET counter" in said.lines
    assert found[:2] == [f"{late} GET counter", f"{early} GET counter"]
    assert steps(latest / "passes.txt")[:2] == [f"{late} GET counter", f"{late} SET counter"]
    repeat = wrapped(tmp_path, "racy", "--schedule", str(latest / "schedule.txt"))
    assert (repeat.code, repeat.lines[2]) == (1, "scheduled alone                4 of 4 failed")


REPEAT = r"FAILS under a schedule: the schedule below failed again in (\d+) of \1 replays"
DEDUP = """\
import os, sys, threading
sys.path.insert(0, {folder!r})
import counter

def test_both_count():
    assert counter.racy()

def test_cleanup():
    counter.Client().ask("DEL", "counter")
"""


@pytest.mark.cases
@pytest.mark.unmeasured
def test_the_commands_of_the_page_do_what_stands_beside_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each command of docs/wrap.md runs to its end with the exit code that it shows, in their sequence."""
    page = (Path(__file__).parent.parent.parent / "docs" / "wrap.md").read_text()
    lines = re.findall(r"(?m)^    (stress-gateway .*?) *# exit (\d+)$", page)
    (tmp_path / "test_dedup.py").write_text(DEDUP.format(folder=str(COUNTER.parent)))
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    assert len(lines) == len(re.findall(r"(?m)^    stress-gateway ", page)) == 3
    assert [stress(tmp_path, *shlex.split(line)[1:]).code for line, _ in lines] == [int(code) for _, code in lines]


@pytest.mark.cases
@pytest.mark.unmeasured
@pytest.mark.parametrize("mode", ["racy", "processes", "second", "named"])
def test_a_race_is_found_and_fails_again_in_twenty_of_twenty(tmp_path: Path, mode: str) -> None:
    """Also of processes, across a second, and in a key that has another name in each run."""
    said = wrapped(tmp_path, mode, "--seconds", "300", times=24)
    assert said.code == 1
    assert re.fullmatch(REPEAT, said.lines[4])
    if mode == "second":
        assert any(line.startswith("passes if the second does not change between ") for line in said.lines)
    file = tmp_path / "reports" / "latest" / "schedule.txt"
    repeat = wrapped(tmp_path, mode, "--schedule", str(file), "--seconds", "300", times=20)
    assert (repeat.code, repeat.lines[2]) == (1, "scheduled alone                20 of 20 failed")


@pytest.mark.cases
@pytest.mark.unmeasured
@pytest.mark.parametrize(
    ("mode", "why"),
    [
        ("limited", "it fails in every schedule in which a second passes: that may be its own time limit, and no race"),
        ("chance", "the replay differs: "),
    ],
)
def test_what_fails_by_time_or_by_chance_is_no_race(tmp_path: Path, mode: str, why: str) -> None:
    """A failing schedule alone proves nothing: it fails again, and the one next to it passes again."""
    said = wrapped(tmp_path, mode, "--seconds", "300", times=24)
    assert said.code == 2
    assert str(result(tmp_path)["reason"]).startswith(why)


def test_foreign_writes_are_not_done_in_a_store_of_the_users_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A schedule from elsewhere changes nothing there."""
    server = Valkey()
    try:
        monkeypatch.setenv("REDIS_URL", server.url)
        (tmp_path / "schedule.txt").write_text("gateway-stress wrap 1\n---\nA GET job\nforeign FLUSHALL\n")
        said = stress(tmp_path, "wrap", "--schedule", "schedule.txt", *test_of("kept"))
        assert said.code == 2
        assert said.lines[4].startswith("CANNOT TELL: foreign writes are for a store that is started here")
    finally:
        server.close()


def test_the_schedule_of_a_race_that_is_fixed_exists_no_longer(tmp_path: Path) -> None:
    """Its steps are not there any more: a replay is inconclusive, and `git bisect run` skips it."""
    (tmp_path / "schedule.txt").write_text(
        "gateway-stress wrap 1\nstore: redis\nobjects: counter\n---\n" + "\n".join(RACE) + "\n"
    )
    said = wrapped(tmp_path, "fixed", "--schedule", "schedule.txt", "--bisect", times=1)
    assert said.code == 125
    assert said.lines[4].startswith("CANNOT TELL: the command no longer takes the steps of this schedule")


def test_what_is_right_is_not_accused(tmp_path: Path) -> None:
    """It says how many schedules were tried, and never that it holds."""
    said = wrapped(tmp_path, "fixed", "--bisect")
    assert (said.code, said.lines[4]) == (0, "NO FAILING SCHEDULE in 4: that is no proof that there is none")
    assert result(tmp_path)["objects"] == ["counter"]
    assert not (tmp_path / "reports" / "latest" / "schedule.txt").exists()


@pytest.mark.parametrize(
    ("mode", "why"),
    [
        ("always", "it fails alone as well, in 3 of 3 free runs"),
        ("nothing", "no command was seen at the gate"),
        ("one_connection", "never two commands at once: all came from one caller"),
    ],
)
def test_what_can_not_be_reported_has_its_reason(tmp_path: Path, mode: str, why: str) -> None:
    """Where nothing was tested nothing is concluded."""
    said = wrapped(tmp_path, mode, times=3)
    assert (said.code, result(tmp_path)["reason"]) == (2, why)
    assert result(tmp_path)["exit_code"] == 2


def test_a_foreign_write_of_the_suite_is_tried_between_all_steps(tmp_path: Path) -> None:
    """A sibling that cleans up is an actor of its own, and the answer says that others disturb the test."""
    said = wrapped(tmp_path, "kept", "--suite", " ".join(test_of("suite")[1:]))
    assert (said.code, said.lines[2]) == (1, "scheduled alone                0 of 4 failed")
    assert said.lines[4].startswith("OTHERS DISTURB IT: it fails with a foreign write")
    assert "passes without the foreign write between B SET job 1 and B GET job" in said.lines
    assert "foreign DEL job" in (tmp_path / "reports" / "latest" / "schedule.txt").read_text().splitlines()


def test_a_store_of_the_users_own_holds_what_it_did(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment names it; what a start writes is given back, and nothing else is changed."""
    server = Valkey()
    client = redis.Redis(port=server.port)
    try:
        client.set("counter", "0")
        client.hset("other", "field", "value")
        monkeypatch.setenv("REDIS_HOST", "127.0.0.1")
        monkeypatch.setenv("REDIS_PORT", str(server.port))
        said = stress(tmp_path, "wrap", "--times", "2", *test_of("racy"))
        assert (said.code, said.lines[-1]) == (1, "report: reports/latest")
        assert sorted(client.keys("*")) == [b"counter", b"other"]
        assert (client.get("counter"), client.hgetall("other")) == (b"0", {b"field": b"value"})
    finally:
        client.close()
        server.close()


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("redis://db.example.com:6379/0", "REDIS_URL leads to another host: db.example.com"),
        ("", "no variable names a Redis"),
    ],
)
def test_a_store_on_another_host_or_none_is_a_bad_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, why: str
) -> None:
    """Nothing is started then."""
    monkeypatch.setenv("REDIS_URL", url)
    said = stress(tmp_path, "wrap", *test_of("racy"))
    assert said.code == 64
    assert said.lines[0].startswith(why)
    assert not (tmp_path / "reports").exists()


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        (["--store", "mongo", "--", "true"], 64, "'mongo' is none of redis"),
        (["--redirect", "NAME", "--store", "redis", "--", "true"], 64, "'NAME': write NAME=VALUE"),
        (["--schedule", "no.txt", "--", "true"], 64, "no.txt can't be read"),
        (["--store", "redis", "--", "no-such-command"], 69, "no-such-command can't be run"),
    ],
)
def test_a_bad_call_says_what_is_wrong(tmp_path: Path, words: list[str], code: int, why: str) -> None:
    """A usage error exits 64, what is not there 69."""
    said = stress(tmp_path, "wrap", *words)
    assert said.code == code
    assert any(why in line for line in said.lines)
