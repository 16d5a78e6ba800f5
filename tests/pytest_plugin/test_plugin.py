"""The plugin for pytest, in a project that has nothing of gateway-stress but the installed package."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
from argparse import ArgumentTypeError
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from xml.etree import ElementTree as ET

import pytest
from commands import nothing_left

from stress import pytest_plugin
from stress.core.schedule import parse
from stress.engine.campaign import Job
from stress.engine.example_database import Folder
from stress.pytest_plugin import sessions
from stress.pytest_plugin.sessions import Session, Unexpected

if TYPE_CHECKING:
    from collections.abc import Iterator

GATEWAY = Path(__file__).parent.parent / "gateways" / "lock_gateway.py"
SIGNAL = 'signal: {labels: {pod: "p-{fresh}"}}\n'
SCENARIOS = {
    "hits": "invariants: [no_server_error, one_created_answer]\nexpect: {locked: holds, racy: holds, gone: holds}\n",
    "known": "invariants: [one_created_answer]\nexpect: {racy: {race: [one_created_answer]}}\n",
    "absent": "invariants: [no_server_error]\nexpect: {racy: {race: [no_server_error]}}\nsearch: {schedules: 1}\n",
    "cut": "invariants: [no_server_error]\nexpect: {locked: holds}\nsearch: {schedules: 1}\n",
    "none": "invariants: [no_server_error]\n",
    "wrong": "invariants: [no_server_eror]\nexpect: {locked: holds}\n",
    "misfit": "invariants: [no_server_error]\nactors: {expiry: {at_most: 1}}\nexpect: {locked: holds}\n",
    "lost": "invariants: [no_server_error]\nexpect: {elsewhere: holds}\n",
}
OWN_TESTS = """
import asyncio
import json

import aiohttp
import pytest

BODY = json.dumps({"alerts": [{"labels": {"pod": "p"}}]})


async def post(url):
    async with aiohttp.ClientSession() as session, session.post(url, data=BODY) as answer:
        return answer.status


@pytest.mark.asyncio
async def test_without_a_target(gateway):
    pass


@pytest.mark.asyncio
@pytest.mark.stress_target("targets/gone.yaml")
async def test_gone(gateway):
    pass


@pytest.mark.asyncio
@pytest.mark.stress_target("targets/racy.yaml")
async def test_gate(gateway, gate):
    gate.close()
    both = [asyncio.create_task(post(gateway.url)) for _ in range(2)]
    for command in ("GET", "SET"):
        first, second = await gateway.parked(2)
        assert [first.command, second.command] == [command] * 2
        await gate.release(first, 5)
        await gate.release(second, 5)
    assert [await one for one in both] == [201, 201]
    with pytest.raises(TimeoutError, match="0 of 1 store commands are parked after 0.01 s"):
        await gateway.parked(seconds=0.01)


@pytest.mark.asyncio
@pytest.mark.stress_target("targets/locked.yaml", "targets/racy.yaml")
async def test_drawn(interleavings):
    with pytest.raises(pytest.fail.Exception, match="^scenarios/wrong.yaml:4:14: invariants.0: unknown invariant"):
        await interleavings("wrong.yaml")
    with pytest.raises(pytest.fail.Exception, match="^scenarios/targets/.*.yaml:1:1: environment.exp"):
        await interleavings("misfit.yaml")
    assert await interleavings("hits.yaml", examples=10) == 10
"""


class Ran(NamedTuple):
    """What a run of pytest came to: the text that each test has by its name, and all that was printed."""

    passed: list[str]
    reported: dict[str, tuple[str, str]]
    out: str
    folder: Path


def in_project(folder: Path, *words: str) -> str:
    """Run pytest in a project; give what it prints."""
    run = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *words]
    return subprocess.run(run, cwd=folder, capture_output=True, text=True, check=False).stdout


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a project: a Gateway, its targets, scenarios, tests of its own, and YAML of other kinds."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "scenarios" / "targets").mkdir(parents=True)
    shutil.copyfile(GATEWAY, folder / "gateway.py")
    (folder / "pytest.ini").write_text("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    for mode in ("locked", "racy"):
        words = json.dumps([sys.executable, "gateway.py", "{port}", "{redis_port}", mode])
        text = f"name: {mode}\nstart: {{command: {words}, folder: ../..}}\npatience: 0.1\n"
        (folder / "scenarios" / "targets" / f"{mode}.yaml").write_text(text)
    (folder / "scenarios" / "targets" / "gone.yaml").write_text("name: gone\nstart: {command: [./no-such-program]}\n")
    for name, text in SCENARIOS.items():
        begin = f"name: {name}\nstory: Two identical signals at once.\n{SIGNAL}"
        (folder / "scenarios" / f"{name}.yaml").write_text(begin + text)
    (folder / "scenarios" / "test_own.py").write_text(OWN_TESTS)
    (folder / "compose.yaml").write_text("name: compose\nservices: {}\n")
    (folder / "signal.yml").write_text("name: signal\nsignal: 9\n")
    return folder


@pytest.fixture(scope="module")
def ran(project: Path) -> Ran:
    """Run all of it, once."""
    words = ("--continue-on-collection-errors", "--stress-seconds", "30", "--junitxml", "junit.xml")
    out = in_project(project, *words)
    passed: list[str] = []
    reported: dict[str, tuple[str, str]] = {}
    for case in ET.parse(project / "junit.xml").iter("testcase"):  # noqa: S314 - written just now
        name = str(case.get("name") or "")
        name = name if name.startswith("test_") else f"{case.get('classname')}::{name}"
        passed += [] if len(case) and case[0].tag != "properties" else [name]
        reported.update((name, (one.tag, str(one.text))) for one in case if one.tag != "properties")
    return Ran(sorted(passed), reported, out, project)


def line(ran: Ran, name: str) -> tuple[str, str]:
    """Give how a test that did not pass ended, and the first line of why."""
    kind, text = ran.reported[name]
    return kind, text.splitlines()[0]


def test_each_scenario_is_a_test_on_each_target(ran: Ran) -> None:
    """What ends as its scenario expects passes; other YAML, and the targets, are no tests."""
    own = ["test_drawn[targets/locked.yaml]", "test_gate"]
    assert ran.passed == ["scenarios.hits.yaml::locked", "scenarios.known.yaml::racy", *own]
    assert sorted(ran.reported) == [
        "::scenarios.lost.yaml",
        "::scenarios.misfit.yaml",
        "::scenarios.none.yaml",
        "::scenarios.wrong.yaml",
        "scenarios.absent.yaml::racy",
        "scenarios.cut.yaml::locked",
        "scenarios.hits.yaml::gone",
        "scenarios.hits.yaml::racy",
        "test_drawn[targets/racy.yaml]",
        "test_gone",
        "test_without_a_target",
    ]


@pytest.mark.parametrize("name", ["scenarios.hits.yaml::racy", "test_drawn[targets/racy.yaml]"])
def test_a_race_fails_with_its_story(name: str, ran: Ran) -> None:
    """A scenario and schedules drawn by a test of one's own: the schedule in columns, its cause, how to replay it."""
    kind, text = ran.reported[name]
    begin = (
        "hits on racy: expected holds, and it is race: broken: one_created_answer\n\nRACE one_created_answer: hits on"
    )
    assert (kind, text[: len(begin)]) == ("failure", begin)
    assert "  >  GET hits:{id:1} -> nil\n" in text
    assert "  one_created_answer: expected 1 answer says created rr-{id:1}; observed 2 of 2\n" in text
    assert "  cause: gateway. An invariant is broken: the Gateway must change.\n  1 preemption;" in text
    (path,) = re.findall(r"(?m)^  replay: \S+ replay (reports/\S+)$", text)
    schedule = parse((ran.folder / path).read_text())
    assert schedule.actors == "A A B B B A"
    assert text.endswith(f"report: {Path(path).parent}/index.html")


def test_an_schedule_file_brings_the_files_of_its_case(ran: Ran) -> None:
    """They are named from where pytest was started, so that a replay there finds them."""
    _, text = ran.reported["scenarios.hits.yaml::racy"]
    (path,) = re.findall(r"(reports/\S+/schedule.txt)", text)
    files = [name for name, _ in parse((ran.folder / path).read_text()).attachments]
    assert files == ["scenario scenarios/hits.yaml", "target scenarios/targets/racy.yaml"]


def test_what_is_inconclusive_fails_with_its_reason(ran: Ran) -> None:
    """A search that was cut off is no proof, whatever was expected."""
    cut = "inconclusive: cut off: 1 schedule, cut off below one preemption, assuming that requests share only the store"
    assert line(ran, "scenarios.cut.yaml::locked") == ("failure", f"cut on locked: expected holds, and it is {cut}")
    _, text = ran.reported["scenarios.absent.yaml::racy"]
    assert text.startswith(f"absent on racy: expected race: no_server_error, and it is {cut}\n")
    assert "\nexpected but not found: no_server_error\n" in text


@pytest.mark.parametrize("name", ["scenarios.hits.yaml::gone", "test_gone"])
def test_what_is_not_there_is_an_error_and_no_failure(name: str, ran: Ran) -> None:
    """A Gateway that does not start is told in a line."""
    kind, text = ran.reported[name]
    begin = "unavailable: Gateway 1 does not start: ./no-such-program: No such file or directory"
    assert (kind, text) == ("error", f"{begin} (check start.command and start.folder)")


@pytest.mark.parametrize(
    ("name", "reported"),
    [
        (
            "wrong",
            "wrong.yaml:4:14: invariants.0: unknown invariant 'no_server_eror' (did you mean 'no_server_error'?)",
        ),
        ("misfit", "targets/locked.yaml:1:1: environment.expiry is missing (scenario misfit needs it)"),
        ("lost", "lost.yaml:5:10: 'elsewhere' is no bundled name and no file"),
    ],
)
def test_a_file_that_is_wrong_is_reported_by_its_place(name: str, reported: str, ran: Ran) -> None:
    """One line for each fault, and no traceback."""
    kind, text = ran.reported[f"::scenarios.{name}.yaml"]
    assert kind == "error"
    assert text.startswith(f"scenarios/{reported}")
    assert "Traceback" not in ran.out


def test_a_scenario_that_names_no_target_is_skipped(ran: Ran) -> None:
    """The reason says what to do."""
    kind, text = ran.reported["::scenarios.none.yaml"]
    reason = "Skipped: it expects nothing of any target: add one to `expect`, or name one with --stress-target"
    assert (kind, reason in text) == ("skipped", True)


def test_a_test_that_has_no_target_says_how_to_name_one(ran: Ran) -> None:
    """By a marker or by an option."""
    reported = "no target: mark the test with stress_target(FILE), or name one with --stress-target FILE"
    assert line(ran, "test_without_a_target") == ("error", reported)


def test_only_what_is_wrong_leaves_a_report(ran: Ran) -> None:
    """Each has a folder of its own, and nobody else writes there."""
    names = sorted(path.name.split("-", 2)[2] for path in (ran.folder / "reports").iterdir())
    assert [name.removesuffix("-2") for name in names] == ["absent-racy", "cut-locked", "hits-racy", "hits-racy"]


@pytest.mark.unmeasured
def test_targets_can_be_named_and_scenarios_deselected(project: Path) -> None:
    """With targets of the command line a scenario is a test on each; the marker tells scenarios from other tests."""
    targets = ("--stress-target", "scenarios/targets/locked.yaml", "--stress-target", "redis-atomic")
    out = in_project(project, "--collect-only", "-q", "-m", "stress", *targets, "scenarios/none.yaml", "scenarios")
    assert [line for line in out.splitlines() if "none" in line or "test_own" in line] == [
        "scenarios/none.yaml::locked",
        "scenarios/none.yaml::redis-atomic",
    ]


@pytest.mark.cases
def test_workers_share_the_tests_and_each_has_its_own_targets(project: Path) -> None:
    """Two of pytest-xdist run each test once, on processes of their own."""
    out = in_project(project, "-n", "2", "--stress-seconds", "30", "scenarios/hits.yaml", "scenarios/known.yaml")
    assert re.findall(r"\d+ (?:passed|failed|error)", out.splitlines()[-1]) == ["1 failed", "2 passed", "1 error"]


# --- in this process ---------------------------------------------------------------------------------


@pytest.fixture
def session(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    """Make a session of its own, which has nothing of the one that runs this test; nothing may be left of it."""
    monkeypatch.setattr(request.config.option, "stress_reports", str(tmp_path / "reports"))
    monkeypatch.setattr(request.config.option, "stress_seconds", 2.0)
    with nothing_left(tmp_path):
        session = Session(request.config)
        session._examples = Folder(tmp_path / "examples")
        yield session
        session.close()


def case(project: Path, scenario: str, target: str) -> Job:
    """Load a case of the project."""
    folder = project / "scenarios"
    return Job.load(str(folder / f"{scenario}.yaml"), str(folder / "targets" / f"{target}.yaml"))


def test_the_scenarios_of_a_target_share_it(project: Path, session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its processes go on for the next scenario, and end when too many other targets are open."""
    monkeypatch.setattr(sessions, "_OPEN", 1)
    first = session.enter(case(project, "hits", "locked"))
    session.leave(first)
    second = session.enter(case(project, "cut", "locked"))
    session.leave(second)
    assert second.deployment is first.deployment
    assert not first.deployment.broken
    session.leave(session.enter(case(project, "hits", "racy")))
    assert first.deployment.broken


def test_a_disk_that_refuses_changes_no_verdict(project: Path, session: Session, tmp_path: Path) -> None:
    """Files stand where folders must be: two warnings say so, and the race is told."""
    (tmp_path / "reports").write_text("")
    (tmp_path / "examples").write_text("")
    job = case(project, "hits", "racy")
    executor = session.enter(job)
    with pytest.warns(pytest.PytestWarning) as warned, pytest.raises(Unexpected) as failed:
        session.search(job, executor)
    session.leave(executor)
    assert [str(one.message).partition(" be ")[0] for one in warned] == ["failing schedules can't", "the report can't"]
    assert str(failed.value).startswith("hits on racy: expected holds, and it is race: broken: one_created_answer\n")
    assert "report:" not in str(failed.value)


def test_who_interrupts_a_search_interrupts_the_session(project: Path, session: Session, tmp_path: Path) -> None:
    """Ctrl-C ends the search as it ends all tests, and the run that was under way is in the report."""
    job = case(project, "hits", "locked")
    executor = session.enter(job)
    run = executor.run

    def interrupted(*args: object, **more: object) -> object:
        signal.raise_signal(signal.SIGINT)
        return run(*args, **more)  # type: ignore[arg-type]

    executor.run = interrupted  # type: ignore[method-assign, assignment]
    with pytest.raises(KeyboardInterrupt):
        session.search(job, executor)
    session.leave(executor)
    (folder,) = (tmp_path / "reports").iterdir()
    assert json.loads((folder / "result.json").read_text())["faults"] == ["interrupted"]


def test_the_entry_point_imports_next_to_nothing() -> None:
    """It is imported in every project; what takes long waits for a scenario."""
    program = "import sys, stress.pytest_plugin; print(sorted(m for m in sys.modules if m.split('.')[0] in "
    program += "('stress', 'asyncio', 'aiohttp', 'hypothesis', 'pydantic', 'yaml', 'rich', 'click')))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "['stress', 'stress.pytest_plugin']\n"


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "soon"])
def test_seconds_are_a_number_above_nothing(text: str) -> None:
    """Anything else is told as an option of pytest is."""
    with pytest.raises(ArgumentTypeError, match=f"'{text}' is no number of seconds"):
        pytest_plugin._seconds(text)


@pytest.mark.parametrize(
    ("path", "text", "is_one"),
    [
        ("a.yaml", "name: a\nsignal: {}\ninvariants: []\n", True),
        ("deep/er/a.yaml", "# a comment\ninvariants : []\nsignal:\n  x: 1\nname: a\n", True),
        ("targets/a.yaml", "name: a\nsignal: {}\ninvariants: []\n", False),
        ("a.yaml", "name: a\nstart: {command: [x]}\n", False),
        ("a.yaml", "name: a\nwith:\n  signal: {}\n  invariants: []\n", False),
        ("a.yaml", "\xff\x00", False),
        ("a.yaml", None, False),
    ],
)
def test_a_scenario_is_known_by_its_keys(path: str, text: str | None, tmp_path: Path, *, is_one: bool) -> None:
    """All three stand at the left margin, and the file is not below a folder of targets."""
    file = tmp_path / path
    file.parent.mkdir(parents=True, exist_ok=True)
    if text is not None:
        file.write_text(text, encoding="latin-1")
    assert pytest_plugin._is_scenario(file, tmp_path) == is_one
