"""Random programs: the search sees exactly the outcomes that brute force sees, straight on the store.

`make test` compares a few, `make test-cases` more, the nightly job thousands. The number of a program and the seed
(`make test-cases SEED=7`, `STRESS_ORACLE_SEED=7`) say all of it: its features go by the number, the simplest first.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from brute_force import Outcome, Truth, reading
from program import Made, made

from stress.config.scenario import Scenario
from stress.config.target import Target
from stress.engine.limits import Limits
from stress.engine.search import Search
from stress.executors.live.deployment import Deployment
from stress.executors.live.executor import LiveExecutor

if TYPE_CHECKING:
    from brute_force import BruteForce

    from stress.core.trace import Trace
    from stress.schedulers.base import Scheduler

SERVICE = Path(__file__).with_name("service.py")
SEED = int(os.environ.get("STRESS_ORACLE_SEED", "1"))
NIGHTLY = os.environ.get("STRESS_NIGHTLY") == "1"
FEW, MORE = 15, 5000 if NIGHTLY else 60
SIZE = 5
"""Programs of one test: one with each feature."""
SERVICES = ("asyncio pool", "threads request", "asyncio request", "threads pool")
LIMITS = Limits(seconds=600.0, schedules=3000)
"""Far more than a program needs: in schedules, so that what is exhausted does not depend on the machine."""


class Numbers(NamedTuple):
    """Programs with the numbers from ``first`` on, run by one service."""

    first: int
    service: str

    def __str__(self) -> str:
        """Name the test of them."""
        return f"seed{SEED}-{self.first}-to-{self.first + SIZE - 1}-{self.service.replace(' ', '-')}"


def blocks(first: int, count: int) -> list[Numbers]:
    """Deal so many programs out to the services."""
    return [Numbers(at, SERVICES[at // SIZE % len(SERVICES)]) for at in range(first, first + count, SIZE)]


def target_of(kind: str) -> Target:
    """Make the target of one kind of service, with a replica for each request of a program whose requests differ."""
    words = [sys.executable, str(SERVICE), "{port}", "{redis_port}", "{replica}", *kind.split()]
    return Target.model_validate(
        {
            "name": kind.replace(" ", "-"),
            "start": {"command": words, "ready": {"path": "/ready"}},
            "replicas": 3,
            "correlation": None,
            "fingerprint": "{labels.pod}",
            "answers": {"created": 200, "record": None},
            "observe": {"records": {"redis": list(reading("{fresh}"))}},
        }
    )


class Recorded(LiveExecutor):
    """Remembers how each run ended, in the words of the program: what a report calls the same may differ here."""

    def __init__(self, scenario: Scenario, deployment: Deployment) -> None:
        """Take a deployment that is ready. What the preflight thinks of a random program does not matter."""
        super().__init__(scenario, deployment.target, deployment=deployment)
        self.judged = False
        self.outcomes: set[Outcome] = set()

    async def run(self, scheduler: Scheduler, fresh: str | None = None, also: frozenset[str] = frozenset()) -> Trace:
        """Run one schedule, and note its outcome."""
        trace = await super().run(scheduler, fresh, also)
        if not trace.fault:
            answers = sorted(trace.answers, key=lambda one: one.actor)
            (state,) = trace.final.records or ("",)
            self.outcomes.add(Outcome(tuple(json.loads(one.body)["replies"] for one in answers), state))
        return trace


class Seen(NamedTuple):
    """What a search saw: outcomes, whether it says that these are all, up to names or not, and what went wrong.

    ``in_order`` is whether it ran all there are but for those that it names as not explored.
    """

    outcomes: set[Outcome]
    exhausted: bool
    renamed: bool
    fault: str
    in_order: bool = False


async def searched(one: Made, deployment: Deployment, limits: Limits = LIMITS) -> Seen:
    """Search a program as any scenario is, but without drawing schedules at random."""
    requests = len(one.program)
    scenario = Scenario.model_validate(
        {
            "name": "oracle",
            "story": "No request fails.",
            "signal": {"labels": {"pod": "{fresh}", "program": json.dumps(one.program)}},
            "concurrent": requests,
            "replicas": None if one.alike else list(range(1, requests + 1)),
            "invariants": ["no_server_error"],
        }
    )
    async with Recorded(scenario, deployment) as executor:
        covered = await Search(executor, limits, baseline=False).run()
    fault = covered.fault or "; ".join(str(finding.violations) for finding in covered.found.values())
    evidence = covered.evidence
    return Seen(executor.outcomes, evidence.exhausted, evidence.renamed, fault, evidence.in_order)


def difference(all_there_are: set[Outcome], seen: Seen) -> str:
    """Say what a search says wrongly, or nothing."""
    if seen.renamed:
        all_there_are = {outcome._replace(replies=tuple(sorted(outcome.replies))) for outcome in all_there_are}
        outcomes = {outcome._replace(replies=tuple(sorted(outcome.replies))) for outcome in seen.outcomes}
    else:
        outcomes = seen.outcomes
    unknown, missing = sorted(outcomes - all_there_are), sorted(all_there_are - outcomes)
    if seen.fault:
        return seen.fault
    if unknown:
        return f"{len(unknown)} of {len(outcomes)} outcomes are none that brute force knows, such as {unknown[0]}"
    if missing and seen.exhausted:
        return f"{len(missing)} of {len(all_there_are)} outcomes are missing, such as {missing[0]}"
    return ""


async def compare(numbers: Numbers, brute_force: BruteForce, request: pytest.FixtureRequest) -> None:
    """Compare the search with brute force on some programs; name every difference."""
    differences, searches, exhausted = [], 0, 0
    async with Deployment(target_of(numbers.service)) as deployment:
        for number in range(numbers.first, numbers.first + SIZE):
            one = made(SEED, number)
            truth = brute_force.outcomes(one.program)
            if truth is None:
                continue
            seen = await searched(one, deployment)
            searches += 1
            exhausted += seen.exhausted
            if wrong := difference(truth.outcomes, seen):
                kind = f"{', '.join(one.features)}; requests {'alike' if one.alike else 'different'}; {numbers.service}"
                differences.append(f"seed {SEED}, program {number} ({kind}): {wrong}: {json.dumps(one.program)}")
    request.node.user_properties.append(("oracle", (SEED, searches, exhausted, SIZE - searches)))
    assert "\n".join(differences) == ""
    assert exhausted >= searches / 2, "too few are exhausted to say anything of them"


@pytest.mark.unmeasured
@pytest.mark.asyncio
@pytest.mark.parametrize("numbers", blocks(0, FEW), ids=str)
async def test_a_search_sees_what_brute_force_sees(
    numbers: Numbers, brute_force: BruteForce, request: pytest.FixtureRequest
) -> None:
    """A search that claims to be exhausted saw every outcome that there is; no search saw another."""
    await compare(numbers, brute_force, request)


@pytest.mark.cases
@pytest.mark.unmeasured
@pytest.mark.asyncio
@pytest.mark.parametrize("numbers", blocks(FEW, MORE), ids=str)
async def test_many_searches_see_what_brute_force_sees(
    numbers: Numbers, brute_force: BruteForce, request: pytest.FixtureRequest
) -> None:
    """The same of more programs than fit into each run of the tests."""
    await compare(numbers, brute_force, request)


def test_brute_force_runs_every_interleaving(brute_force: BruteForce) -> None:
    """Two requests that read, then write what they read plus one, have 6 interleavings and 3 outcomes."""
    code = [["GET", "@s0"], ["SET", "@s0", "$0"]]
    first, second = '[null, "OK"]', '["1", "OK"]'
    assert brute_force.outcomes([code, code]) == Truth(
        {Outcome((first, first), "s0=1"), Outcome((first, second), "s0=2"), Outcome((second, first), "s0=2")}, 6
    )


def test_brute_force_lets_a_transaction_fail_and_try_again(brute_force: BruteForce) -> None:
    """An actor that watches a key that another writes before EXEC receives nil, and counts at the second try."""
    code = [{"watch": "@s0", "before": [], "multi": [["INCR", "@s0"]], "tries": 2}]
    assert brute_force.outcomes([code, [["SET", "@s0", "5"]]]) == Truth(
        {
            Outcome(("[[6]]", '["OK"]'), "s0=6"),
            Outcome(("[[1]]", '["OK"]'), "s0=5"),
            Outcome(("[null, [6]]", '["OK"]'), "s0=6"),
        },
        3,
    )


def test_a_program_with_too_many_interleavings_is_skipped(brute_force: BruteForce) -> None:
    """Two requests of three commands have 20 interleavings: at most 19 are too few, at most 20 are not."""
    code = [["INCR", "@s0"]] * 3
    assert brute_force.outcomes([code, code], 19) is None
    assert brute_force.outcomes([code, code], 20) is not None


@pytest.mark.unmeasured
@pytest.mark.asyncio
async def test_the_oracle_sees_a_search_that_leaves_out_an_outcome(brute_force: BruteForce) -> None:
    """Of an outcome that was left out, and of one that is none, the oracle says so."""
    code = [["GET", "@s0"], ["SET", "@s0", "$0"]]
    truth = brute_force.outcomes([code, code])
    assert truth is not None
    async with Deployment(target_of("asyncio pool")) as deployment:
        seen = await searched(Made([code, code], ("value",), alike=True), deployment)
    assert (seen.exhausted, difference(truth.outcomes, seen)) == (True, "")
    lost = Outcome(('[null, "OK"]', '[null, "OK"]'), "s0=1")
    less = seen._replace(outcomes=seen.outcomes - {lost})
    assert difference(truth.outcomes, less) == f"1 of 2 outcomes are missing, such as {lost}"
    assert difference(truth.outcomes, less._replace(exhausted=False)) == ""
    assert difference(truth.outcomes - {lost}, seen) == (
        f"1 of 2 outcomes are none that brute force knows, such as {lost}"
    )
