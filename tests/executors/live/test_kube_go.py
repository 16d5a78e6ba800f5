"""The Gateway in Go over controller-runtime, searched on the wire before the embedded API server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from conftest import scenario_of
from following import Follow
from test_foreign_kube import HERE, built

from stress.checks import run_checks
from stress.config.target import Target
from stress.engine.case import Case
from stress.engine.limits import Limits
from stress.executors.live.deployment import Deployment
from stress.executors.live.executor import LiveExecutor

if TYPE_CHECKING:
    from collections.abc import Callable

    from stress.config.scenario import Scenario

pytestmark = pytest.mark.unmeasured

SCHEDULES = 50
"""A few more than the corrected mode has: the plain random walk draws what is left of them."""


@pytest.fixture
def deployment_of(pytestconfig: pytest.Config) -> Callable[[str], Deployment]:
    """Give a maker of deployments by the mode of the Gateway; where it can't be built the test is skipped."""
    folder = built(pytestconfig.cache.mkdir("gateways"))

    def make(mode: str) -> Deployment:
        target = Target.load(HERE / "go-kube.yaml")
        assert target.start is not None
        start = target.start.model_copy(update={"command": [*target.start.command[:-1], mode]})
        return Deployment(target.model_copy(update={"start": start}), folder)

    return make


def executor(deployment: Deployment, scenario: Scenario) -> LiveExecutor:
    """Play a scenario on a deployment."""
    return LiveExecutor(scenario, deployment.target, deployment=deployment)


def two_at_once(*actors: str) -> Scenario:
    """Give the scenario of two first requests, with those of its other actors that are named."""
    scenario = scenario_of("concurrent-duplicates")
    kept = {name: times for name, times in scenario.actors.items() if name in actors}
    return scenario.model_copy(update={"actors": kept})


@pytest.mark.asyncio
async def test_the_search_finds_who_lost_the_name_and_says_created(deployment_of: Callable[[str], Deployment]) -> None:
    """R2: while A is between its list and its create, all of B comes; the create that fails is answered 201 too."""
    async with deployment_of("racy") as deployment, executor(deployment, two_at_once()) as wire:
        result = await Case(None, wire, Limits(20, 3)).result()
    (finding,) = result.findings
    assert (str(result.verdict.ruling), result.faults) == ("race", ())
    assert finding.invariants == ("one_created_answer",)
    assert (finding.schedule.actors, finding.replays) == ("A A B B B B B A A A A", (3, 3))
    assert [answer.status for answer in finding.trace.answers] == [201, 201]
    (record,) = finding.trace.final.records or ()
    assert finding.trace.final.hits == {record: 2}


@pytest.mark.asyncio
async def test_a_second_between_two_requests_makes_two_records(deployment_of: Callable[[str], Deployment]) -> None:
    """R1: the clock moves while A is between its list and its create."""
    scenario = two_at_once("clock")
    async with deployment_of("racy") as deployment, executor(deployment, scenario) as wire:
        trace = await wire.run(Follow("A A clock B B B B B A A A"))
    broken = [one.invariant for one in run_checks(scenario.invariants, trace)]
    assert (trace.fault, broken) == ("", ["one_active_record"])
    assert list((trace.final.hits or {}).values()) == [1, 1]


@pytest.mark.asyncio
async def test_a_cache_that_was_not_reported_yet_loses_a_hit_or_fails(
    deployment_of: Callable[[str], Deployment],
) -> None:
    """R3 and R4: A's create is held back from its cache, so that its own status is not set, and B's name is taken."""
    reported = {}
    async with deployment_of("cached") as deployment:
        for name in ("r3-status-init-lost", "r4-loser-without-cache"):
            async with executor(deployment, scenario_of(name)) as wire:
                result = await Case(None, wire, Limits(20, 1)).result()
            reported[name] = [(one.invariants, one.schedule.actors, one.replays) for one in result.findings]
    assert reported == {
        "r3-status-init-lost": [(("hits_equal_answers",), "A A A watch:1 B B B", (3, 3))],
        "r4-loser-without-cache": [(("no_server_error",), "A A A B B", (3, 3))],
    }


@pytest.mark.asyncio
async def test_the_corrected_mode_holds_in_every_schedule(deployment_of: Callable[[str], Deployment]) -> None:
    """Named by its fingerprint, with the conflict as the lock: two requests hold in each of the 40 classes."""
    async with deployment_of("corrected") as deployment, executor(deployment, two_at_once()) as wire:
        result = await Case(None, wire, Limits(20, SCHEDULES)).result()
    (evidence,) = result.verdict.evidence
    assert (str(result.verdict.ruling), result.faults, evidence.exhausted) == ("holds", (), True)
    assert (evidence.classes, evidence.schedules) == (15, 25)
