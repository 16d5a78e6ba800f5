"""A run of several cases: what it exits with, what it spends on each, and what it says when it can't go on."""

from __future__ import annotations

import json
import resource
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import pytest
from click.testing import CliRunner
from commands import BAD, own_files, report, stress
from conftest import scenario_of, target_of
from made import RACE, TWO_RACES, result

from stress.cli.common import await_it
from stress.cli.main import Commands
from stress.config.formats import bundled
from stress.core.verdict import Evidence, judge
from stress.engine.campaign import Budget, Campaign, Job, Where, code_of, part_of
from stress.engine.limits import Limits
from stress.engine.shard import Shard

if TYPE_CHECKING:
    from stress.report.events import Result

# --- exit codes --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("codes", "severest"),
    [
        ((), 0),
        ((3,), 3),
        ((3, 2), 2),
        ((2, 3, 74), 74),
        ((74, 69, 3), 69),
        ((69, 74, 2, 1), 1),
        ((1, 70, 69), 70),
        ((130, 1, 2), 130),
        ((1, 2, 3, 69, 74, 130), 130),
    ],
)
def test_the_severest_code_wins(tmp_path: Path, codes: tuple[int, ...], severest: int) -> None:
    """Of several: 130 or 70, then 1, then 69, then 74, then 2, then 3."""
    batch = Campaign([], Budget(None, 1.0, None, 0), Where("model"), tmp_path, codes=set(codes))
    assert await_it(batch.run()) == severest


def unsure(**changes: Any) -> Result:  # noqa: ANN401 - any field
    """Make an inconclusive result."""
    return result(RACE, fault="the Gateway hangs", **changes)


@pytest.mark.parametrize(
    ("one", "code"),
    [
        (result(RACE), 0),
        (result(RACE, as_expected=False, unexpected=("distinct_counts",)), 1),
        (result(RACE, as_expected=False, unexpected=("distinct_counts",), missing=("one_active_record",)), 1),
        (result(TWO_RACES, as_expected=False, missing=("one_active_record",)), 3),
        (unsure(), 2),
        (unsure(missing=("hits_equal_answers",)), 2),
        (unsure(faults=()), 2),
        (unsure(faults=(), missing=("hits_equal_answers",)), 3),
        (unsure(stopped=69), 69),
        (unsure(faults=("interrupted",)), 130),
        (result(RACE, as_expected=False, unexpected=("distinct_counts",), faults=("interrupted",)), 130),
    ],
    ids=str,
)
def test_each_case_comes_to_a_code(one: Result, code: int) -> None:
    """As expected 0, an unexpected race 1, a fault 2, an expected race not found 3, not there 69, interrupted 130."""
    assert code_of(one) == code


def test_the_severest_case_of_a_run_decides(tmp_path: Path) -> None:
    """One case is not there (69), one is inconclusive (2), one finds no race (3): all are run, and 69 is given."""
    run = own_files(tmp_path, "silent")
    (tmp_path / "none.yaml").write_text("name: none\nstart: {command: [no-program]}\n")
    scenario = tmp_path / "two.yaml"
    text = scenario.read_text()
    (tmp_path / "missed.yaml").write_text(
        text.replace("two-at-once", "missed")
        + "expect: {redis-atomic: {race: [one_created_answer]}}\nsearch: {schedules: 1}\n"
    )
    assert stress(tmp_path, *run).code == 2
    assert stress(tmp_path, "run", "missed.yaml", "--executor", "model").code == 3
    said = stress(
        tmp_path,
        "run",
        "two.yaml",
        "missed.yaml",
        "--executor",
        "live",
        "--target",
        "none.yaml",
        "--target",
        "own.yaml",
    )
    assert said.code == 69
    line = "unavailable: Gateway 1 does not start: no-program: No such file or directory"
    assert [lines.partition(" (")[0] for lines in said.err.splitlines()[:2]] == [line] * 2
    results = json.loads((tmp_path / "reports" / "latest" / "results.json").read_text())
    assert [(one["scenario"], one["target"]) for one in results] == [
        ("two-at-once", "none"),
        ("two-at-once", "own"),
        ("missed", "none"),
        ("missed", "own"),
    ]
    assert [one["verdict"] for one in results] == ["inconclusive"] * 4


# --- what a run may spend ----------------------------------------------------------------------------


def job(scenario: str, target: str) -> Job:
    """Make a case of bundled files."""
    return Job(scenario_of(scenario), target_of(target), Path())


def test_cases_share_the_seconds_by_weight_and_leave_what_they_did_not_need() -> None:
    """Two requests weigh 2, with a clock that matters 16 times as much; what is left goes to those who come.

    The model may have five seconds in any case, so that no proof ends for want of a moment.
    """
    timed, plain = job("concurrent-duplicates", "redis-named-by-second"), job("atomic-hit-count", "redis-atomic")
    budget = Budget(34.0, None, None, 7)
    assert budget.share([timed, plain], 0.0) == Limits(32.0, timed.scenario.search.schedules, 7, proof=5.0)
    assert budget.share([plain], 4.0) == Limits(30.0, plain.scenario.search.schedules, 7, proof=5.0)
    assert budget.share([plain, plain], 33.0) == Limits(1.0, plain.scenario.search.schedules, 7, proof=5.0)


def test_seconds_and_schedules_may_be_given_for_each_case() -> None:
    """Without a total each case has what is asked for, else what its scenario says."""
    plain = job("atomic-hit-count", "redis-atomic")
    assert Budget(None, 3.0, 9, 0).share([plain, plain], 100.0) == Limits(3.0, 9, 0)
    search = plain.scenario.search
    assert Budget(None, None, None, 0).share([plain], 100.0) == Limits(search.seconds, search.schedules, 0)


@pytest.mark.parametrize(
    ("exhausted", "require", "code"), [(True, "exhausted", 0), (False, "exhausted", 2), (False, "", 0)]
)
def test_what_holds_may_be_required_to_be_exhausted(*, exhausted: bool, require: str, code: int) -> None:
    """With `--require exhausted` a bounded `holds` exits 2; an exhausted one, or a bounded one without it, 0."""
    evidence = Evidence("live", "auto", 9, 1.0, exhausted=exhausted, total=9 if exhausted else None, bound=2)
    held = replace(result(RACE), findings=(), verdict=judge([], [evidence]), as_expected=True)
    assert held.verdict.holds
    assert code_of(held, require) == code


# --- a part of a run ---------------------------------------------------------------------------------


@pytest.mark.parametrize("of", [1, 2, 3, 4, 7, 40])
def test_the_shards_of_all_bundled_cases_have_each_of_them_once(of: int) -> None:
    """Together they are the run, each in its order; of forty, a case that takes real seconds has one for itself."""
    scenarios = [scenario_of(path.stem) for path in sorted(bundled("").glob("*.yaml"))]
    jobs = [Job(one, target_of(name), Path()) for one in scenarios for name in one.expect]
    names = [(one.scenario.name, one.target.name) for one in jobs]
    shards = [
        [names.index((j.scenario.name, j.target.name)) for j in part_of(jobs, Shard(i + 1, of), {})] for i in range(of)
    ]
    assert sorted(at for shard in shards for at in shard) == list(range(len(jobs)))
    assert all(shard == sorted(shard) for shard in shards)
    heavy = names.index(("concurrent-duplicates", "redis-named-by-second"))
    assert ([heavy] in shards) == (of >= 40)


# --- a disk that refuses, and our own bugs -----------------------------------------------------------


def test_a_full_disk_exits_74_and_tells_the_verdict(tmp_path: Path) -> None:
    """No file may grow beyond 100 bytes: each report is named, and the table still says what was found."""
    run = own_files(tmp_path, "well")
    scenario = tmp_path / "two.yaml"
    scenario.write_text(scenario.read_text().replace(", one_created_answer", ""))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        said = stress(tmp_path, *run)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert said.code == 74
    lines = said.err.splitlines()
    assert [line.partition(": ")[0] for line in lines] == ["the report can't be written"] * 2
    assert all(
        line.endswith("(raise the limit of a file's size (ulimit -f), or write elsewhere with --reports FOLDER)")
        for line in lines
    )
    assert "two-at-once" in said.out
    assert "holds" in said.out


def test_a_race_outweighs_a_report_that_can_not_be_written(tmp_path: Path) -> None:
    """A file is where the reports go: exit 1, and the race is reported with its order."""
    (tmp_path / "reports").write_text("")
    said = stress(tmp_path, *own_files(tmp_path, "well"))
    assert said.code == 1
    assert "the report can't be written: reports/" in said.err
    assert "RACE one_created_answer: two-at-once on own" in said.out


@pytest.mark.parametrize("room", [True, False])
def test_an_unforeseen_error_is_our_own_bug(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, room: bool) -> None:
    """Whatever is not foreseen exits 70 in one line, which names a file with the traceback if there is room for one."""

    @click.group(cls=Commands)
    def group() -> None:
        """Hold a command."""

    @group.command()
    def broken() -> None:
        raise LookupError("no such thing")

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path if room else tmp_path / "gone"))
    done = CliRunner().invoke(group, ["broken"])
    files = list(tmp_path.glob("gateway-stress-bug-*.txt"))
    where = f"please report it with {files[0]}" if files else "and no room to write down where"
    assert (done.exit_code, done.output) == (70, f"a bug of gateway-stress: no such thing ({where})\n")
    assert [" in broken\n" in file.read_text() for file in files] == [True] * room


# --- what a target shows before its search -----------------------------------------------------------


def test_a_case_that_ends_before_its_search_does_not_end_others(tmp_path: Path) -> None:
    """A fault that only requests show ends its own case with 64; the other is searched, and its report written."""
    run = own_files(tmp_path, "well")
    (tmp_path / "wrong.yaml").write_text(
        (tmp_path / "own.yaml").read_text().replace("name: own", "name: wrong") + "answers: {created: 299}\n"
    )
    said = stress(tmp_path, *run, "--target", "wrong.yaml")
    assert said.code == 1
    assert said.err.startswith("wrong.yaml:4:20: answers.created: POST /api/v1/signals/prometheus was answered 201 [")
    results = json.loads((tmp_path / "reports" / "latest" / "results.json").read_text())
    assert [(one["target"], one["verdict"]) for one in results] == [("own", "race"), ("wrong", "inconclusive")]
    assert stress(tmp_path, "run", "two.yaml", "--target", "wrong.yaml").code == 64


def test_a_search_in_which_nothing_is_accepted_concludes_nothing(tmp_path: Path) -> None:
    """Every request is answered 429, also one alone: neither race nor holds, and status and body are shown (exit 2)."""
    gateway = tmp_path / "gateway.py"
    gateway.write_text(BAD.read_text().replace("said(201 if count == 1 else 202", "said(429"))
    said = stress(tmp_path, *own_files(tmp_path, "well", program=gateway))
    result, _ = report(tmp_path)
    assert (said.code, result["verdict"], result["findings"]) == (2, "inconclusive", [])
    assert result["reason"].startswith('no request of any run was accepted: A was answered 429 [{"fingerprint": ')
