"""The Gateway in Go over controller-runtime, searched on the wire before the embedded API server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from conftest import scenario_of
from following import Follow
from test_foreign_kube import HERE, built

from stress.checks import run_checks
from stress.config.target import Target
from stress.engine.case import Pair
from stress.engine.limits import Limits
from stress.executors.live.deployment import Site
from stress.executors.live.executor import WireWorld

if TYPE_CHECKING:
    from collections.abc import Callable

    from stress.config.scenario import Scenario

pytestmark = pytest.mark.unmeasured

ORDERS = 50
"""A few more than the corrected mode has: the plain random walk draws what is left of them."""


@pytest.fixture
def site_of(pytestconfig: pytest.Config) -> Callable[[str], Site]:
    """Give a maker of sites by the mode of the Gateway; where it can't be built the test is skipped."""
    folder = built(pytestconfig.cache.mkdir("gateways"))

    def make(mode: str) -> Site:
        target = Target.load(HERE / "go-kube.yaml")
        assert target.start is not None
        start = target.start.model_copy(update={"command": [*target.start.command[:-1], mode]})
        return Site(target.model_copy(update={"start": start}), folder)

    return make


def world(site: Site, scenario: Scenario) -> WireWorld:
    """Play a scenario on a site."""
    return WireWorld(scenario, site.target, site=site)


def two_at_once(*actors: str) -> Scenario:
    """Give the scenario of two first requests, with those of its other actors that are named."""
    scenario = scenario_of("concurrent-duplicates")
    kept = {name: times for name, times in scenario.actors.items() if name in actors}
    return scenario.model_copy(update={"actors": kept})


@pytest.mark.asyncio
async def test_the_search_finds_who_lost_the_name_and_says_created(site_of: Callable[[str], Site]) -> None:
    """R2: while A is between its list and its create, all of B comes; the create that fails is answered 201 too."""
    async with site_of("racy") as site, world(site, two_at_once()) as wire:
        result = await Pair(None, wire, Limits(20, 3)).result()
    (finding,) = result.findings
    assert (str(result.verdict.ruling), result.faults) == ("race", ())
    assert finding.invariants == ("one_created_answer",)
    assert (finding.order.actors, finding.replays) == ("A A B B B B B A A A A", (3, 3))
    assert [answer.status for answer in finding.trace.answers] == [201, 201]
    (record,) = finding.trace.final.records or ()
    assert finding.trace.final.hits == {record: 2}


@pytest.mark.asyncio
async def test_a_second_between_two_requests_makes_two_records(site_of: Callable[[str], Site]) -> None:
    """R1: the clock moves while A is between its list and its create."""
    scenario = two_at_once("clock")
    async with site_of("racy") as site, world(site, scenario) as wire:
        trace = await wire.run(Follow("A A clock B B B B B A A A"))
    broken = [one.invariant for one in run_checks(scenario.invariants, trace)]
    assert (trace.fault, broken) == ("", ["one_active_record"])
    assert list((trace.final.hits or {}).values()) == [1, 1]


@pytest.mark.asyncio
async def test_a_cache_that_was_not_told_yet_loses_a_hit_or_fails(site_of: Callable[[str], Site]) -> None:
    """R3 and R4: A's create is held back from its cache, so that its own status is not set, and B's name is taken."""
    told = {}
    async with site_of("cached") as site:
        for name in ("r3-status-init-lost", "r4-loser-without-cache"):
            async with world(site, scenario_of(name)) as wire:
                result = await Pair(None, wire, Limits(20, 1)).result()
            told[name] = [(one.invariants, one.order.actors, one.replays) for one in result.findings]
    assert told == {
        "r3-status-init-lost": [(("hits_equal_answers",), "A A A watch:1 B B B", (3, 3))],
        "r4-loser-without-cache": [(("no_server_error",), "A A A B B", (3, 3))],
    }


@pytest.mark.asyncio
async def test_the_corrected_mode_holds_in_every_order(site_of: Callable[[str], Site]) -> None:
    """Named by its fingerprint, with the conflict as the lock: two requests hold in each of the 40 classes."""
    async with site_of("corrected") as site, world(site, two_at_once()) as wire:
        result = await Pair(None, wire, Limits(20, ORDERS)).result()
    (evidence,) = result.verdict.evidence
    assert (str(result.verdict.ruling), result.faults, evidence.exhausted) == ("holds", (), True)
    assert (evidence.classes, evidence.orders) == (15, 25)
