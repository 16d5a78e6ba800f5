"""The wire executor: real Gateways, a real Valkey, the gate between."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest
from conftest import scenario_of, target_of
from redis.asyncio import Redis

from stress.checks import run_checks
from stress.config.scenario import Scenario
from stress.config.target import Target
from stress.core.errors import Unavailable, UsageFault
from stress.engine.case import Case
from stress.engine.limits import Limits
from stress.engine.running import run, schedule_of
from stress.executors.live.executor import LiveExecutor
from stress.schedulers.exhaustive import Exhaustive
from stress.schedulers.random_walk import Walk

pytestmark = pytest.mark.unmeasured

OWN = Path(__file__).parent.parent.parent / "gateways" / "lock_gateway.py"


def own_target(mode: str, **changes: object) -> Target:
    """Make a target of a Gateway in its own process that is not one of the bundled."""
    data = {
        "name": f"own-{mode}",
        "start": {"command": [sys.executable, str(OWN), "{port}", "{redis_port}", mode], "ready": {"path": "/ready"}},
        "patience": 1.0,
        **changes,
    }
    return Target.model_validate(data)


def own_scenario(**changes: object) -> Scenario:
    """Make a scenario of two identical first requests that is judged by the answers alone."""
    data = {"name": "own", "story": "Two at once.", "signal": {"labels": {"pod": "p-{fresh}"}}, **changes}
    return Scenario.model_validate(data)


async def search(scenario: Scenario, target: Target, seconds: float = 600.0) -> tuple[object, ...]:
    """Search and give what matters: the ruling, what was broken, and the minimal schedules as actors."""
    async with LiveExecutor(scenario, target) as executor:
        result = await Case(None, executor, Limits(seconds, 5000)).result()
    schedules = tuple(finding.schedule.actors for finding in result.findings)
    return str(result.verdict.ruling), tuple(n for f in result.findings for n in f.invariants), schedules, result


@pytest.mark.asyncio
async def test_lost_hit_is_found_as_its_minimal_schedule() -> None:
    """The read-modify-write Gateway loses a hit in the one-preemption schedule, and each replay loses it again."""
    scenario, target = scenario_of("atomic-hit-count"), target_of("redis-read-modify-write")
    ruling, broken, schedules, result = await search(scenario, target)
    assert (ruling, broken, schedules) == ("race", ("hits_equal_answers", "distinct_counts"), ("A A A B B B B A",))
    assert result.findings[0].replays == (3, 3)
    assert result.as_expected


@pytest.mark.asyncio
async def test_every_schedule_of_the_racy_gateway_is_run_once() -> None:
    """Two requests of three steps each have exactly 20 schedules, and 12 of them lose a hit."""
    scenario, target = scenario_of("atomic-hit-count"), target_of("redis-read-modify-write")
    scheduler, seen, broken = Exhaustive(fused=True), set(), 0
    async with LiveExecutor(scenario, target) as executor:
        while scheduler.more():
            trace = await executor.run(scheduler)
            assert trace.fault == ""
            scheduler.learn(trace)
            seen.add(tuple(trace.moves))
            broken += bool(run_checks(scenario.invariants, trace))
    assert (len(seen), scheduler.schedules, scheduler.exhausted, broken) == (20, 20, True, BROKEN_OF_20)


BROKEN_OF_20 = 12
"""Schedules in which neither request's HSET comes before the other's HGET."""


@pytest.mark.asyncio
async def test_both_races_of_the_named_by_second_gateway_are_found() -> None:
    """Losers that answer 201 need one preemption, two records need one preemption at a second's end."""
    scenario, target = scenario_of("concurrent-duplicates"), target_of("redis-named-by-second")
    ruling, broken, schedules, _ = await search(scenario, target, 30.0)
    assert ruling == "race"
    assert broken == ("one_created_answer", "one_active_record")
    assert schedules == ("A A B B B A A", "A A clock B B B A")


@pytest.mark.asyncio
async def test_atomic_fixed_holds_in_every_schedule() -> None:
    """The atomic fixed counterpart is exhausted and holds."""
    scenario = scenario_of("atomic-hit-count")
    ruling, broken, _, result = await search(scenario, target_of("redis-atomic"))
    assert (ruling, broken) == ("holds", ())
    assert result.verdict.evidence[0].covered.startswith("exhausted 1 of 1 class up to renaming (2 schedules)")


@pytest.mark.asyncio
async def test_replays_give_the_same_trace() -> None:
    """A random schedule, its fresh value and fingerprint kept, gives the same trace in each of twenty replays."""
    scenario, target = scenario_of("atomic-hit-count"), target_of("redis-read-modify-write")
    async with LiveExecutor(scenario, target) as executor:
        trace = await executor.run(Walk(7))
        schedule = schedule_of(trace, executor, 7, ())
        signatures = {(await run(schedule, executor)).signature for _ in range(20)}
    assert signatures == {trace.signature}


@pytest.mark.asyncio
async def test_the_store_receives_commands_in_the_order_given() -> None:
    """MONITOR of the real store shows the Gateway's commands exactly as the schedule releases them."""
    scenario, target = scenario_of("atomic-hit-count"), target_of("redis-read-modify-write")
    async with LiveExecutor(scenario, target) as executor:
        assert executor.deployment.stores["redis"].store.valkey is not None
        client = Redis.from_url(executor.deployment.stores["redis"].store.valkey.url)
        async with client.monitor() as monitor:
            trace = await executor.run(Walk(3))
            steps = [event.command.split("+")[0] for event in trace.events if event.kind == "step"]
            seen: list[str] = []
            before = 2  # EXISTS and HSET+EXPIRE of the request before
            async for line in monitor.listen():
                words = line["command"].split()
                if words[0] in ("EXISTS", "HGET", "HSET"):
                    seen.append(words[0])
                if len(seen) == len(steps) + before:
                    break
        await client.aclose()
    assert seen[before:] == steps


@pytest.mark.asyncio
async def test_an_unknown_gateway_is_searched_by_its_answers() -> None:
    """A Gateway written without the harness in mind, with no way to observe it, is caught creating twice."""
    ruling, broken, schedules, _ = await search(own_scenario(), own_target("racy"))
    assert (ruling, broken, schedules) == ("race", ("linearizable_hits", "one_created_answer"), ("A A B B B A",))


@pytest.mark.asyncio
async def test_a_request_that_waits_for_a_lock_is_known_as_blocked() -> None:
    """Behind an in-process lock the second request blocks, the run goes on, and the Gateway holds in all schedules."""
    scheduler, fresh = Exhaustive(fused=False), own_scenario()
    blocked = []
    async with LiveExecutor(fresh, own_target("locked")) as executor:
        while scheduler.more():
            trace = await executor.run(scheduler)
            assert trace.fault == ""
            scheduler.learn(trace)
            assert run_checks(fresh.invariants, trace) == []
            blocked.append(any(event.kind == "blocked" for event in trace.events))
        waited = sorted(executor.blocked_seconds)
    assert scheduler.exhausted
    assert any(blocked)
    assert waited[len(waited) // 2] < executor.patience


@pytest.mark.asyncio
async def test_a_gateway_that_dies_makes_the_run_inconclusive() -> None:
    """A Gateway killed in the middle of a search ends it as inconclusive, and says how it died."""
    scenario, target = scenario_of("atomic-hit-count"), target_of("redis-read-modify-write")
    async with LiveExecutor(scenario, target) as executor:
        process = executor.replicas[1].process
        assert process is not None
        process.kill()
        process.wait()
        result = await Case(None, executor, Limits(5, 10)).result()
    assert str(result.verdict.ruling) == "inconclusive"
    assert result.faults == ("Gateway 1 died (killed by signal 9)",)


@pytest.mark.asyncio
async def test_a_store_killed_between_schedules_makes_the_run_inconclusive() -> None:
    """A store killed by SIGKILL is named as lost, whatever the Gateway answers."""
    scenario, target = own_scenario(), own_target("racy")
    async with LiveExecutor(scenario, target) as executor:
        assert executor.deployment.stores["redis"].store.valkey is not None
        os.kill(executor.deployment.stores["redis"].store.valkey.process.pid, signal.SIGKILL)
        executor.deployment.stores["redis"].store.valkey.process.wait()
        result = await Case(None, executor, Limits(5, 10)).result()
    assert str(result.verdict.ruling) == "inconclusive"
    assert result.faults[0].startswith("store lost: ")


@pytest.mark.asyncio
async def test_a_gateway_that_hangs_makes_the_run_inconclusive() -> None:
    """Requests that show neither a step nor an answer within the patience are named."""
    with pytest.raises(Unavailable, match="the Gateway did not answer a warm-up request in time"):
        async with LiveExecutor(own_scenario(), own_target("hang", patience=0.05)):
            pass


@pytest.mark.asyncio
async def test_a_gateway_that_does_not_start_is_unavailable() -> None:
    """A command that ends at once is reported with its exit code and its last line."""
    target = own_target("racy", start={"command": [sys.executable, "-c", "raise SystemExit('no config')"]})
    with pytest.raises(Unavailable, match=r"Gateway 1 died \(exit code 1\) before it was ready: no config"):
        async with LiveExecutor(own_scenario(), target):
            pass


@pytest.mark.asyncio
async def test_a_missing_command_is_unavailable() -> None:
    """A program that is not there is named."""
    target = own_target("racy", start={"command": ["no-such-gateway"]})
    with pytest.raises(Unavailable, match="Gateway 1 does not start: no-such-gateway: No such file or directory"):
        async with LiveExecutor(own_scenario(), target):
            pass


def test_a_scenario_that_needs_more_than_the_target_says_is_refused() -> None:
    """A missing environment entry is a fault of the target file."""
    with pytest.raises(UsageFault, match=r"environment.cleanup is missing \(scenario own needs it\)"):
        LiveExecutor(own_scenario(actors={"cleanup": {}}), own_target("racy"))


@pytest.mark.asyncio
async def test_a_fixed_holds_when_a_sibling_test_cleans_up() -> None:
    """Invariants count per epoch: a cleanup at any place is no race of the atomic fixed."""
    data = {**scenario_of("atomic-hit-count").model_dump(), "actors": {"cleanup": {}, "expiry": {}}}
    scenario = Scenario.model_validate(data)
    ruling, broken, _, result = await search(scenario, target_of("redis-atomic"))
    assert (ruling, broken, result.verdict.evidence[0].exhausted) == ("holds", (), True)


@pytest.mark.asyncio
async def test_nothing_is_left_behind() -> None:
    """After a search no process of ours lives and the store's keys of each schedule are gone."""
    async with LiveExecutor(own_scenario(), own_target("racy")) as executor:
        await executor.run(Walk(1))
        assert await executor.deployment.stores["redis"].store.ask([("DBSIZE",)]) == [0]
        pids = [executor.replicas[1].process.pid, executor.deployment.stores["redis"].store.valkey.process.pid]  # type: ignore[union-attr]
    await asyncio.sleep(0)
    assert [pid for pid in pids if Path(f"/proc/{pid}").exists()] == []  # noqa: ASYNC240 - the kernel's own table


@pytest.mark.asyncio
async def test_requests_that_hang_in_an_schedule_are_named() -> None:
    """Requests that show neither a step nor an answer within the patience end the run as inconclusive."""
    async with LiveExecutor(own_scenario(), own_target("stall", patience=0.1)) as executor:
        trace = await executor.run(Walk(1))
    assert trace.fault == "the Gateway hangs: A, B show neither a step nor an answer for 0.1 s"


@pytest.mark.asyncio
async def test_a_sleeper_is_waited_out() -> None:
    """A request that sleeps less than the patience is not blocked: its timer is seen and waited for."""
    async with LiveExecutor(own_scenario(), own_target("nap")) as executor:
        trace = await executor.run(Walk(1))
    assert (trace.fault, [event.kind for event in trace.events if event.kind == "blocked"]) == ("", [])


@pytest.mark.asyncio
async def test_walk_alone_is_never_proof() -> None:
    """Random schedules that find nothing are inconclusive."""
    scenario = Scenario.model_validate(
        {**scenario_of("atomic-hit-count").model_dump(), "search": {"scheduler": "random_walk"}}
    )
    async with LiveExecutor(scenario, target_of("redis-atomic")) as executor:
        result = await Case(None, executor, Limits(5, 6)).result()
    assert (str(result.verdict.ruling), result.verdict.evidence[0].sampled) == ("inconclusive", 6)
    assert result.verdict.reason == "cut off: sampled only: 6 schedules, assuming that requests share only the store"


@pytest.mark.asyncio
async def test_a_sibling_tests_cleanup_fails_t2_on_the_fixed() -> None:
    """With a cleanup T2 fails even on the atomic counterpart while invariants hold: the environment is the cause."""
    ruling, broken, _, result = await search(scenario_of("t2-one-then-three-cleanup"), target_of("redis-atomic"))
    assert (ruling, broken) == ("race", ("test_t2_hits_at_least_requests",))
    assert (result.findings[0].cause, result.as_expected) == ("environment", True)


@pytest.mark.cases
@pytest.mark.asyncio
async def test_the_fixed_holds_with_the_failing_tests_own_numbers() -> None:
    """One request and then three have 6 schedules on the atomic fixed counterpart, five at once have 120: all hold."""
    for name, schedules in (("t2-one-then-three", 7), ("t1-five-at-once", 121)):
        ruling, broken, _, result = await search(scenario_of(name), target_of("redis-atomic"))
        assert (ruling, broken, result.verdict.evidence[0].total) == ("holds", (), schedules)
