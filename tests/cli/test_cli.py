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
from commands import TWO_AT_ONCE, children, command, own_files, report, stress

from stress.cli.main import LATER
from stress.config.formats import bundled
from stress.config.scenario import Scenario

OWN = Path(__file__).parent.parent / "gateways" / "lock_gateway.py"


def real(*args: object, folder: Path, code: int) -> str:
    """Run a command in its own process; give both outputs."""
    done = subprocess.run(command(*args), cwd=folder, capture_output=True, text=True, check=False, timeout=120)
    output = done.stdout + done.stderr
    assert done.returncode == code, output
    assert "Traceback" not in output
    return output


# --- run and replay ----------------------------------------------------------------------------------


@pytest.mark.unmeasured
def test_a_race_is_found_reported_and_replayed(tmp_path: Path) -> None:
    """Run finds the lost hit as expected, writes every file, and its order file replays it 20 of 20."""
    output = real("run", "atomic-hit-count", folder=tmp_path, code=0)
    assert "RACE lost-hit hits_equal_answers, distinct_counts: atomic-hit-count on redis-read-modify-write" in output
    assert "expected 3 hits of rr-{fingerprint:16}; observed 2" in output
    folder = tmp_path / "reports" / "latest" / "atomic-hit-count-redis-read-modify-write"
    result = json.loads((folder / "result.json").read_text())
    assert (result["verdict"], result["as_expected"], result["schedule_file"]) == ("race", True, "schedule.txt")
    assert len((folder / "trace.ndjson").read_text().splitlines()) == 12 + 3 + 1
    suite = ET.parse(tmp_path / "reports" / "latest" / "junit.xml").getroot()  # noqa: S314 - our own file
    assert [(case.get("name"), len(case)) for case in suite] == [("redis-read-modify-write", 0), ("redis-atomic", 0)]
    repeat = stress(tmp_path, "replay", folder / "schedule.txt", "--times", "20")
    assert (repeat.code, repeat.out, repeat.err) == (1, "STILL FAILING 20/20\n", "")


def test_a_fixed_target_has_no_such_schedule_any_more(tmp_path: Path) -> None:
    """On the fixed counterpart the schedule does not exist; it is searched in both executors and holds."""
    stress(tmp_path, "run", "atomic-hit-count", "--target", "redis-read-modify-write", "--executor", "model")
    schedule = tmp_path / "reports" / "latest" / "schedule.txt"
    said = stress(tmp_path, "replay", schedule, "--target", "redis-atomic", "--executor", "both")
    assert said.code == 0
    covered = "exhausted 1 of 1 class up to renaming (2 schedules)"
    assert said.out.startswith(f"FIXED (the schedule no longer exists; holds: {covered}; {covered}, assuming")


@pytest.mark.cases
@pytest.mark.unmeasured
def test_a_target_of_ones_own_is_searched_for_both_tests(tmp_path: Path) -> None:
    """A target file is all it takes; a race that nobody expected exits 1."""
    words = json.dumps([sys.executable, str(OWN), "{port}", "{redis_port}", "racy"])
    (tmp_path / "mine.yaml").write_text(f"name: mine\nstart: {{command: {words}, ready: {{path: /ready}}}}\n")
    said = stress(tmp_path, "run", "--target", "mine.yaml", "--seconds", "5")
    assert said.code == 1
    assert "RACE R2 one_created_answer: concurrent-duplicates on mine" in said.out
    assert "atomic-hit-count on mine" in said.out
    said = stress(tmp_path, "run", "concurrent-duplicates", "--target", "mine.yaml", "--json", "--seconds", "5")
    data = json.loads(said.out)
    assert (said.code, said.err) == (1, "")
    assert [one["violations"][0]["invariant"] for one in data] == ["one_created_answer"]
    assert "not checked: hits_equal_answers (the target does not say how to observe it)" in data[0]["notes"]


@pytest.mark.unmeasured
@pytest.mark.parametrize("where", ["targets", "."])
def test_targets_that_stand_beside_a_scenario_are_found_by_name(where: str, tmp_path: Path) -> None:
    """A scenario of one's own expects something of a target of one's own, in `targets/` or beside it, as by pytest."""
    (tmp_path / "scenarios" / "targets").mkdir(parents=True)
    (tmp_path / "scenarios" / "two.yaml").write_text(TWO_AT_ONCE + "expect: {mine: holds, redis-atomic: holds}\n")
    (tmp_path / "scenarios" / where / "mine.yaml").write_text("name: mine\nprotocol: redis-atomic\n")
    said = stress(tmp_path, "run", "scenarios/two.yaml", "--executor", "model", "--json")
    assert [(one["target"], one["verdict"]) for one in json.loads(said.out)] == [
        ("mine", "holds"),
        ("redis-atomic", "holds"),
    ]
    assert said.code == 0


def test_run_alone_runs_every_bundled_case(tmp_path: Path) -> None:
    """Without arguments each scenario of the quick profile is searched on every target that it expects something of."""
    stress(tmp_path, "run", "--executor", "model", "--schedules", "1")
    cases = [(one["scenario"], one["target"]) for one in results(tmp_path)]
    listed = re.findall(r"(?m)^([a-z0-9-]+): .* \[(.*)\]$", stress(tmp_path, "list").out)
    quick = {one.stem for one in bundled("").glob("*.yaml") if Scenario.load(one).quick}
    wanted = [(name, target) for name, targets in listed if name in quick for target in targets.split(", ")]
    assert len(quick) == 10
    assert sorted(cases) == sorted(wanted)
    assert len(listed) == len(list(bundled("").glob("*.yaml")))


def results(folder: Path) -> list[dict[str, object]]:
    """Read what the last run came to."""
    found: list[dict[str, object]] = json.loads((folder / "reports" / "latest" / "results.json").read_text())
    return found


@pytest.mark.unmeasured
def test_shards_run_each_case_once_between_them(tmp_path: Path) -> None:
    """Six cases in two shards: each has one of the two that take real seconds, and two of the others."""
    words = ("run", "concurrent-duplicates", "atomic-hit-count", "--executor", "model", "--schedules", "1")
    parts = []
    for shard in ("1/2", "2/2"):
        stress(tmp_path, *words, "--shard", shard)
        parts.append([(one["scenario"], one["target"]) for one in results(tmp_path)])
    assert parts == [
        [
            ("concurrent-duplicates", "redis-named-by-second"),
            ("concurrent-duplicates", "redis-atomic"),
            ("atomic-hit-count", "redis-atomic"),
        ],
        [
            ("concurrent-duplicates", "kube-status"),
            ("concurrent-duplicates", "kube-named-by-fingerprint"),
            ("atomic-hit-count", "redis-read-modify-write"),
        ],
    ]


def test_shards_are_dealt_out_by_the_seconds_of_the_last_whole_run(tmp_path: Path) -> None:
    """The case that took longest has a shard for itself, whatever the shards before it took; damage changes nothing."""
    words = ("run", "concurrent-duplicates", "atomic-hit-count", "--executor", "model", "--schedules", "1")
    stress(tmp_path, *words)
    kept = tmp_path / "reports" / "seconds.json"
    seconds = json.loads(kept.read_text())
    assert sorted(seconds) == sorted(f"{one['scenario']} on {one['target']}" for one in results(tmp_path))
    whole = {tuple(name.split(" on ")) for name in seconds}
    slow = ("atomic-hit-count", "redis-atomic")
    kept.write_text(json.dumps({**dict.fromkeys(seconds, 0.2), " on ".join(slow): 2.0}))
    parts = []
    for shard in ("2/2", "1/2"):
        stress(tmp_path, *words, "--shard", shard)
        parts.append({(one["scenario"], one["target"]) for one in results(tmp_path)})
    assert parts == [whole - {slow}, {slow}]
    assert json.loads(kept.read_text())[" on ".join(slow)] == 2.0
    for text in ("[", "[]", '{"a on b": NaN}', '{"a on b": "long"}', '{"a on b": 2}'):
        kept.write_text(text)
        stress(tmp_path, *words, "--shard", "1/2")
        assert len(results(tmp_path)) == 3


def test_a_shard_without_a_case_is_done(tmp_path: Path) -> None:
    """Two cases in three shards: the third says so, exits 0, and leaves the reports of no case."""
    said = stress(tmp_path, "run", "atomic-hit-count", "--shard", "3/3", "--json")
    assert (said.code, json.loads(said.out)) == (0, [])
    assert said.err == "nothing to do: shard 3/3 has none of the cases, of which there are 2\n"
    assert results(tmp_path) == []


@pytest.mark.measured_once
@pytest.mark.parametrize(
    ("words", "executor", "evidence"),
    [
        ((), "both", ["model", "live"]),
        (("--executor", "live"), "live", ["live"]),
        (("--executor", "model"), "model", ["model"]),
    ],
)
def test_a_case_is_searched_in_the_executors_asked_for(
    tmp_path: Path, words: tuple[str, ...], executor: str, evidence: list[str]
) -> None:
    """A bundled target in both unless told otherwise; the evidence says which."""
    assert stress(tmp_path, "run", "atomic-hit-count", "--target", "redis-atomic", *words).code == 0
    result, _ = report(tmp_path)
    assert (result["executor"], [one["executor"] for one in result["search"]["evidence"]]) == (executor, evidence)


def test_json_is_valid_and_alone_whatever_happens(tmp_path: Path) -> None:
    """A target that is not there, one that hangs, Ctrl-C: standard output is a list of results, and nothing else."""
    run = own_files(tmp_path, "silent")
    (tmp_path / "none.yaml").write_text("name: none\nstart: {command: [no-program]}\n")
    said = stress(tmp_path, *run, "--target", "none.yaml", "--json")
    assert said.code == 69
    assert [(one["verdict"], bool(one["faults"])) for one in json.loads(said.out)] == [("inconclusive", True)] * 2
    assert said.err.startswith("unavailable: Gateway 1 does not start: no-program")
    for mode, faults in (("SIGINT-1", []), ("SIGTERM-10", [["interrupted"]])):
        said = stress(tmp_path, *own_files(tmp_path, mode), "--json")
        assert said.code == 130
        assert [one["faults"] for one in json.loads(said.out)] == faults


def test_the_same_seed_draws_the_same_schedules(tmp_path: Path) -> None:
    """A random walk repeats with its seed, as the trace of its last run shows; another seed walks another way."""
    scenario = (bundled("") / "t2-one-then-three.yaml").read_text() + "search: {scheduler: random_walk}\n"
    (tmp_path / "walk.yaml").write_text(re.sub(r"(?m)^search:.*\n(?=[^s])", "", scenario))
    found = []
    for seed in ("7", "7", "8"):
        words = ("--target", "redis-optimistic", "--executor", "model", "--schedules", "3", "--seed", seed)
        assert stress(tmp_path, "run", "walk.yaml", *words).code == 2
        result, events = report(tmp_path)
        assert result["seed"] == int(seed)
        found.append(events)
    assert found[0] == found[1] != found[2]


@pytest.mark.unmeasured
def test_a_search_may_be_cut_by_schedules_and_by_seconds(tmp_path: Path) -> None:
    """One schedule is not enough for the expected race (exit 3); a millisecond ends a search of thousands."""
    words = ("run", "atomic-hit-count", "--target", "redis-read-modify-write", "--executor", "model")
    assert stress(tmp_path, *words, "--schedules", "1").code == 3
    assert report(tmp_path)[0]["search"]["schedules"] == 1
    words = ("run", "t1-five-at-once", "--target", "redis-optimistic", "--executor", "model")
    assert stress(tmp_path, *words, "--seconds", "0.001").code == 2
    result, _ = report(tmp_path)
    assert (result["verdict"], result["search"]["exhausted"]) == ("inconclusive", False)
    assert result["reason"].startswith("not exhausted: ")


@pytest.mark.unmeasured
def test_ctrl_c_ends_everything(tmp_path: Path) -> None:
    """Interrupted in a search, the command exits 130 and leaves no process behind."""
    words = command("run", "concurrent-duplicates", "--target", "redis-named-by-second", "--seconds", "60", "--json")
    process = subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while len(pids := children(process.pid)) < 2:
        assert process.poll() is None
        os.sched_yield()
    process.send_signal(signal.SIGINT)
    output, reported = process.communicate(timeout=20)
    assert (process.returncode, reported) == (130, "interrupted: what was found until then is in reports\n")
    assert isinstance(json.loads(output), list)
    assert [pid for pid in pids if Path(f"/proc/{pid}").exists()] == []


@pytest.mark.unmeasured
def test_a_reader_that_goes_away_is_no_traceback(tmp_path: Path) -> None:
    """What is printed goes into a pipe that nobody reads any more: exit 74 without a word."""
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        command("schema", "target"), cwd=tmp_path, stdout=writing, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (74, "")


def test_a_quiet_run_is_a_line_for_each_case(tmp_path: Path) -> None:
    """Without stories and table: the race with the command that replays it, and the fixed counterpart that holds."""
    said = stress(tmp_path, "run", "atomic-hit-count", "--executor", "model", "--quiet")
    assert said.code == 0
    lines = said.out.splitlines()
    assert len(lines) == 3
    assert lines[0] == "race: atomic-hit-count on redis-read-modify-write: hits_equal_answers, distinct_counts"
    assert re.fullmatch(r"  replay: \S*stress-gateway replay reports/\S+/schedule\.txt", lines[1])
    assert lines[2] == "holds: atomic-hit-count on redis-atomic"


# --- bad use -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("run no-such", "no-such:1:1: no such file or bundled name (known: "),
        ("run atomic-hit", "atomic-hit:1:1: no such file or bundled name (did you mean 'atomic-hit-count'?)"),
        ("run missing.yaml", "missing.yaml:1:1: can't be read: No such file or directory (check the path)"),
        ("run two.yaml", "Error: no target: the scenario expects nothing of any, so name one with --target"),
        ("run two.yaml --target redis-atomics", "redis-atomics:1:1: no such file or bundled name (did you mean "),
        (
            "run two.yaml --target own.yaml --executor model",
            "own.yaml:1:7: own has no model executor: only a bundled `protocol`",
        ),
        (
            "run two.yaml --target own.yaml --executor both",
            "own.yaml:1:7: own has no model executor: only a bundled `protocol`",
        ),
        ("run --executor moon", "Error: Invalid value for '--executor': 'moon' is not one of 'live', 'model', 'both'."),
        ("run --schedules 0", "Error: Invalid value for '--schedules': 0 is not in the range x>=1."),
        ("run --seconds 0", "Error: Invalid value for '--seconds': 0.0 is not in the range x>0."),
        ("run --seconds nan", "Error: Invalid value for '--seconds': nan is no number of seconds"),
        ("run --shard 0/3", "Error: Invalid value for '--shard': there is no shard 0 of 3: they are 1/3 to 3/3"),
        ("run --shard 4/3", "Error: Invalid value for '--shard': there is no shard 4 of 3: they are 1/3 to 3/3"),
        ("run --shard x/y", "Error: Invalid value for '--shard': 'x/y' is no shard: write NUMBER/OF, such as 1/3"),
        ("run --workers 0", "Error: Invalid value for '--workers': 0 is not in the range x>=1."),
        ("run --seed x", "Error: Invalid value for '--seed': 'x' is not a valid integer."),
        ("run --profile slow", "Error: Invalid value for '--profile': 'slow' is not one of 'quick', 'nightly'."),
        ("run --frob", "Error: No such option '--frob'."),
        ("replay", "Error: Missing argument 'SCHEDULE_FILE'."),
        ("replay schedule.txt --times 0", "Error: Invalid value for '--times': 0 is not in the range x>=1."),
        ("replay two.yaml", "two.yaml:1:1: not a schedule file (its first line must be `gateway-stress schedule 1`)"),
        (
            "schema schedule",
            "Error: Invalid value for '{scenario|target}': 'schedule' is not one of 'scenario', 'target'.",
        ),
        (
            "gateway --protocol redis-atomic --port 8080",
            "Error: --redis is missing: redis-atomic keeps its state in Redis",
        ),
        ("frobnicate", "Error: No such command 'frobnicate'."),
    ],
)
def test_bad_use_is_one_clear_line(tmp_path: Path, words: str, message: str) -> None:
    """A wrong name, file, value, option or command exits 64 and says what would be right; nothing is started."""
    own_files(tmp_path, "well")
    said = stress(tmp_path, *words.split())
    lines = [line for line in said.err.splitlines() if line and not line.startswith(("Usage: ", "Try "))]
    assert (said.code, said.out, len(lines)) == (64, "", 1)
    assert lines[0].startswith(message)


def test_every_wrong_file_is_reported_once(tmp_path: Path) -> None:
    """Two scenarios and two targets that are not there: a line for each, however many cases they make."""
    said = stress(tmp_path, "run", "a.yaml", "b.yaml", "--target", "c.yaml", "--target", "d.yaml")
    assert said.code == 64
    assert [line.partition(":")[0] for line in said.err.splitlines()] == ["a.yaml", "b.yaml"]


# --- the other commands ------------------------------------------------------------------------------


def test_list_and_schema_tell_what_there_is(tmp_path: Path) -> None:
    """List names every bundled scenario with its story and targets; the schemas name the keys."""
    listed = stress(tmp_path, "list").out
    names = sorted(path.stem for path in bundled("").glob("*.yaml"))
    assert sorted(re.findall(r"^([a-z0-9-]+): .+ \[[a-z, -]+\]$", listed, re.MULTILINE)) == names
    assert "concurrent" in json.loads(stress(tmp_path, "schema", "scenario").out)["properties"]
    assert "patience" in json.loads(stress(tmp_path, "schema", "target").out)["properties"]


@pytest.mark.parametrize("name", sorted(LATER))
def test_the_help_of_each_command_ends_with_examples(tmp_path: Path, name: str) -> None:
    """Each example stands on a line of its own, to be copied."""
    said = stress(tmp_path, name, "--help")
    text, _, examples = said.out.partition("  Examples:\n")
    lines = examples.splitlines()
    assert (said.code, "\b" in said.out, r"\b" in said.out) == (0, False, False)
    assert text.startswith("Usage: ")
    assert lines != []
    assert [line for line in lines if not line.startswith(f"    stress-gateway {name}")] == []


def test_a_bundled_gateway_needs_its_store(tmp_path: Path) -> None:
    """Without a store the Gateway exits 69 and says so."""
    words = ("gateway", "--protocol", "redis-atomic", "--redis", "redis://127.0.0.1:1/0", "--port", "1")
    said = stress(tmp_path, *words)
    assert said.code == 69
    assert said.err.startswith("unavailable: the store does not answer")


def test_uvloop_runs_the_commands_where_it_is_installed(tmp_path: Path) -> None:
    """With the extra `fast` the same race is found on uvloop's event loop."""
    pytest.importorskip("uvloop", reason="the extra `fast` is not installed")
    words = ("run", "atomic-hit-count", "--target", "redis-read-modify-write", "--executor", "live")
    assert "1 preemption; failed again in 3 of 3 replays" in real(*words, folder=tmp_path, code=0)
