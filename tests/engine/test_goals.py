"""Goals: which races a run is named by, when a search ends that has goals, and what they never change."""

from __future__ import annotations

import json
from contextlib import aclosing
from typing import TYPE_CHECKING

import pytest
from conftest import scenario_of, target_of

from stress.checks import run_checks
from stress.cli.common import await_it
from stress.cli.run import _named, _quick_seconds
from stress.config.formats import bundled
from stress.config.scenario import Scenario
from stress.core.letters import letters
from stress.engine.campaign import Budget, Campaign, Job, Where
from stress.engine.case import Case
from stress.engine.codes import code_of
from stress.engine.goals import conflict, met, shown
from stress.engine.limits import Limits
from stress.executors.model.executor import ModelExecutor
from stress.report.events import Finished, Started
from stress.report.explain.race import title
from stress.report.folder import document
from stress.report.html.overview import overview_page
from stress.report.html.page import case_page
from stress.report.junit import junit
from stress.report.markdown import summary
from stress.report.terminal import Terminal
from stress.schedulers.replay import Replay

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from stress.core.trace import Trace
    from stress.report.events import Happening, Result

LIMITS = Limits(20.0, 5000)
LISTED_FIRST = ("list remediationrequests", "create remediationrequests")
CREATED_FIRST = ("create remediationrequests", "list remediationrequests")


def unexpected(name: str, **changes: object) -> Scenario:
    """Load a bundled scenario that expects nothing of any target, as of a target of one's own."""
    return Scenario.model_validate({**scenario_of(name).model_dump(exclude_unset=True), "expect": {}, **changes})


def followed(name: str, target: str, schedule: str) -> Trace:
    """Follow a schedule in letters in the model."""
    scenario = scenario_of(name)
    replay = Replay(letters(schedule, scenario.concurrent), prefix=True)
    assert replay.more()
    trace = ModelExecutor(scenario, target_of(target)).run(replay)
    assert trace.fault == ""
    return trace


async def searched(scenario: Scenario, target: str) -> Result:
    """Search a case in the model."""
    return await Case(ModelExecutor(scenario, target_of(target)), None, LIMITS).result()


@pytest.mark.parametrize(
    ("name", "target", "schedule", "named"),
    [
        ("concurrent-duplicates", "kube-status", "A A clock B B B B B A", ("R1",)),
        ("concurrent-duplicates", "kube-status", "A A B B B B B A", ("R2",)),
        ("concurrent-duplicates", "redis-named-by-second", "A A clock B B B A", ("R1",)),
        ("concurrent-duplicates", "kube-status", "A A A A A B B B B", ()),
        ("expiry", "redis-store-overwrite", "A A expiry B B B B B A", ("A3", "A2")),
        ("expiry", "redis-store-overwrite", "expiry A A A A A B B B B B B B", ("A3",)),
        ("l4-stolen-release", "kube-lease", "A A A A A A A A expiry B B B A", ("L4",)),
        ("l5-leaked-lease", "kube-lease", "A A A client", ("L5",)),
        ("r8-phase-flip", "kube-status", "A A writer A", ("R8",)),
        ("r8-phase-flip", "kube-status", "writer A A A A A A", ()),
    ],
)
def test_a_run_is_named_by_what_it_breaks_and_what_conflicts(
    name: str, target: str, schedule: str, named: tuple[str, ...]
) -> None:
    """Both must fit: one that breaks the same by another conflict, or breaks nothing, has no name."""
    scenario, trace = scenario_of(name), followed(name, target, schedule)
    assert met(scenario, trace, run_checks(scenario.invariants, trace)) == named


@pytest.mark.parametrize(
    ("schedule", "listed_first", "created_first"),
    [("A clock B A B", True, False), ("A A clock B B", False, True)],
)
def test_a_start_takes_the_place_of_a_read_that_no_step_shows(
    schedule: str, *, listed_first: bool, created_first: bool
) -> None:
    """Lists come from a cache: both before a record is made is R1, one after it is R5, whose reader learned nothing."""
    trace = followed("r5-stale-list", "kube-status-cached", schedule)
    assert (conflict(LISTED_FIRST, trace), conflict(CREATED_FIRST, trace)) == (listed_first, created_first)


@pytest.mark.asyncio
async def test_a_search_goes_on_until_each_goal_is_met() -> None:
    """Two races of a target of which nothing is expected are found, each by the schedule of its goal; the exit is 1."""
    result = await searched(unexpected("concurrent-duplicates"), "redis-named-by-second")
    assert [(one.races, one.schedule.actors) for one in result.findings] == [
        (("R1",), "A A clock B B B A"),
        (("R2",), "A A B B B A A"),
    ]
    assert (result.open_goals, str(result.verdict.ruling), code_of(result)) == ((), "race", 1)
    assert result.verdict.evidence[0].covered == "2 schedules of goals run"


@pytest.mark.asyncio
async def test_goals_that_are_not_met_change_no_verdict() -> None:
    """A Gateway without the races holds, exhaustively, and ends with 0; the goals are named as not met."""
    result = await searched(unexpected("concurrent-duplicates"), "redis-atomic")
    assert (result.open_goals, str(result.verdict.ruling), code_of(result)) == (("R1", "R2"), "holds", 0)
    assert result.verdict.evidence[0].exhausted


@pytest.mark.asyncio
async def test_a_goal_whose_schedule_cannot_be_followed_is_met_by_the_search() -> None:
    """The schedule is of another Gateway, which has more steps: it is left out, and the hunt finds the race."""
    races: Mapping[str, object] = {
        "R2": {"breaks": "one_created_answer", "conflict": ["write *", "write *"], "schedule": "A A A A A A B"}
    }
    result = await searched(unexpected("concurrent-duplicates", races=races), "redis-named-by-second")
    assert [(one.races, one.schedule.actors) for one in result.findings] == [(("R2",), "A A B B B A A")]
    assert (result.verdict.evidence[0].aimed, result.open_goals) == (0, ())


@pytest.mark.parametrize(
    ("name", "target", "race"),
    [
        (one.name, target, race)
        for one in (Scenario.load(path) for path in sorted(bundled("").glob("*.yaml")))
        for target, expected in one.expect.items()
        for race, goal in one.races.items()
        if not isinstance(expected, str) and goal.breaks in expected.race
    ],
)
@pytest.mark.asyncio
async def test_a_schedule_of_each_goal_meets_it_on_the_bundled_gateway_that_has_the_race(
    name: str, target: str, race: str
) -> None:
    """The first that the Gateway can follow breaks what the goal says, by the conflict that it says."""
    executor = ModelExecutor(scenario_of(name), target_of(target))
    async with aclosing(shown(executor.scenario.races[race], executor)) as traces:
        met_by = [met(executor.scenario, one, run_checks(executor.scenario.invariants, one)) async for one in traces]
    assert race in met_by[0]


class Noted(Terminal):
    """Keeps which searches have begun."""

    def __init__(self) -> None:
        """Begin with none."""
        super().__init__(quiet=True)
        self.begun: list[str] = []

    def handle(self, happening: Happening) -> None:
        """Note a beginning."""
        self.begun += [happening.scenario] if isinstance(happening, Started) else []


def test_goals_of_all_cases_come_before_the_search_of_any(tmp_path: Path) -> None:
    """A case whose goals are met is done; the one whose goal is not is searched after the schedules of the others."""
    noted, target = Noted(), target_of("redis-read-modify-write")
    scenarios = [unexpected("concurrent-duplicates"), unexpected("atomic-hit-count")]
    jobs = [Job(one, target, tmp_path) for one in scenarios]
    batch = Campaign(jobs, Budget(10.0, None, None, 0), Where("model"), tmp_path, terminal=noted)
    assert await_it(batch.run()) == 1
    assert noted.begun == ["concurrent-duplicates", "atomic-hit-count", "concurrent-duplicates"]
    results = {one.job.scenario.name: one.result for one in batch.kept}
    assert results["concurrent-duplicates"].open_goals == ("R1",)
    assert results["concurrent-duplicates"].verdict.evidence[0].schedules > 10
    assert results["atomic-hit-count"].open_goals == ()


def test_a_target_names_its_scenarios_and_what_the_quick_profile_spends_on_it(tmp_path: Path) -> None:
    """They take the place of the two default ones: bundled by name, or files beside the target."""
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "one.yaml").write_text("name: one\nstory: One at once.\nconcurrent: 1\n")
    text = "name: mine\nprotocol: redis-atomic\nscenarios: [atomic-hit-count, one.yaml]\nseconds: 40\n"
    (tmp_path / "own" / "mine.yaml").write_text(text)
    names = ["atomic-hit-count", str(tmp_path / "own" / "one.yaml")]
    target = str(tmp_path / "own" / "mine.yaml")
    assert _named((), (target, "redis-atomic"), quick=True) == [
        ("atomic-hit-count", [target, "redis-atomic"]),
        (names[1], [target]),
        ("concurrent-duplicates", ["redis-atomic"]),
    ]
    assert _named(("store-overwrite",), (target,), quick=True) == [("store-overwrite", (target,))]
    assert _quick_seconds([Job.load(name, target) for name in names]) == 40
    assert _quick_seconds([Job.load("atomic-hit-count", "redis-atomic")]) == 15


@pytest.mark.parametrize("name", ["kubernaut-head", "kubernaut-2026-01"])
def test_the_targets_of_kubernaut_list_scenarios_that_have_goals(name: str) -> None:
    """Each is there, and its one goal is the race that it is named by."""
    target = target_of(name)
    races = [race for one in target.scenario_paths() for race in scenario_of(one).races]
    assert [race.lower() for race in races] == [one.partition("-")[0] for one in target.scenarios]
    assert target.seconds == 120


@pytest.mark.asyncio
async def test_reports_name_races_and_goals_that_were_not_met(capsys: pytest.CaptureFixture[str]) -> None:
    """Terminal, page, markdown, JSON and JUnit show the name with the race, and what no run met."""
    races = scenario_of("concurrent-duplicates").model_dump(exclude_unset=True)["races"]
    other = {"X9": {"breaks": "no_server_error", "conflict": ["start", "clock"]}}
    scenario = unexpected("concurrent-duplicates", races={"R2": races["R2"], **other})
    result = await searched(scenario, "redis-named-by-second")
    where = "concurrent-duplicates on redis-named-by-second"
    titles = [title(result, one) for one in result.findings]
    assert titles == [f"RACE R2 one_created_answer: {where}", f"RACE one_active_record: {where}"]
    assert result.open_goals == ("X9",)
    Terminal().handle(Finished(result))
    assert {*titles, f"goals not met: X9: {where}"} <= {*capsys.readouterr().out.splitlines()}
    written = document(result)
    assert written["goals"] == {"met": ["R2"], "not_met": ["X9"]}
    assert [one["races"] for one in written["findings"]] == [["R2"], []]
    page = case_page(result, "")
    assert "<h2>Race 1 R2: one_created_answer</h2>" in page
    assert "<b>Goals not met:</b> X9" in page
    assert "goals not met: X9" in overview_page([result], [""])
    assert "goals not met: X9" in summary([result], [""])
    assert b'<property name="goals not met" value="X9" />' in junit([result])
    assert json.dumps(written)
