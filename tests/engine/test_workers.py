"""Several deployments of one target side by side: each schedule has the trace that it has alone."""

from __future__ import annotations

import asyncio
import sys
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from conftest import scenario_of, target_of

from stress.config.scenario import Scenario
from stress.config.target import Target
from stress.core.schedule import Schedule
from stress.core.step import Move
from stress.engine.limits import Limits
from stress.engine.running import WorkerCount, follow_each
from stress.engine.search import Search
from stress.executors.asked import ChoiceLog
from stress.executors.live.deployment import Deployment
from stress.executors.live.executor import LiveExecutor
from stress.schedulers.base import Diverged
from stress.schedulers.random_walk import Walk
from stress.schedulers.replay import Replay

if TYPE_CHECKING:
    from stress.core.trace import Trace

GATEWAYS = Path(__file__).parent.parent / "gateways"
TWO = Scenario.model_validate({"name": "own", "story": "Two at once.", "signal": {"labels": {"pod": "p-{fresh}"}}})
TIMED = (scenario_of("concurrent-duplicates"), target_of("redis-named-by-second"))


def own_target(program: str, mode: str, **more: Any) -> Target:  # noqa: ANN401 - as the YAML has it
    """Make a target of one of the Gateways that know nothing of the harness."""
    command = [sys.executable, str(GATEWAYS / program), "{port}", "{redis_port}", mode]
    data = {"name": "own", "start": {"command": command, "ready": {"path": "/ready"}}, **more}
    return Target.model_validate(data)


PLAIN = own_target("shared_gateway.py", "plain")


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start further deployments however long the first took: the machine may have other work."""
    monkeypatch.setattr("stress.executors.live.deployment._START_SECONDS", 3600.0)


async def walked(executor: LiveExecutor, workers: int, schedules: int) -> list[Trace]:
    """Run random schedules; give their traces."""
    found = [trace async for trace in follow_each([Walk(seed, 1) for seed in range(schedules)], executor, workers)]
    assert await executor.deployment.stores["redis"].store.ask([("DBSIZE",)]) == [0]
    return found


@pytest.mark.unmeasured
@pytest.mark.asyncio
@pytest.mark.parametrize("target", [target_of("redis-read-modify-write"), own_target("lock_gateway.py", "locked")])
async def test_each_schedule_has_the_trace_that_it_has_alone(target: Target) -> None:
    """With three workers every random schedule has the events, replies, answers and state that it has with one."""
    async with LiveExecutor(scenario_of("atomic-hit-count") if target.protocol else TWO, target) as executor:
        single = [trace.signature for trace in await walked(executor, 1, 12)]
        assert len(set(single)) > 1
        assert [trace.signature for trace in await walked(executor, 3, 12)] == single
        assert len(executor._beside) == 2


@pytest.mark.asyncio
async def test_schedules_that_wait_for_the_clock_cross_one_second_together() -> None:
    """Eight schedules with a clock step on eight deployments wait together: records name their seconds."""
    active, both = "gw:active:{fingerprint}", "gw:active:{fingerprint} gw:hits:{fingerprint}"
    a, b = ((Move(name, "start", ""), Move(name, "SMEMBERS", active), Move(name, "EVAL", both)) for name in ("A", "B"))
    schedule = Schedule((*a[:2], Move("clock", "clock", ""), *b, a[2]))
    workers = WorkerCount.chosen(None).of(schedule.moves)
    async with LiveExecutor(*TIMED) as executor:
        found = [trace async for trace in follow_each([schedule] * 8, executor, workers)]
    assert workers == 8
    assert [trace.fault for trace in found] == [""] * 8
    assert len({trace.signature for trace in found}) == 1
    seconds = {
        max(answer.body[answer.body.index("rr-") :].split('"')[0] for answer in trace.answers)[-10:] for trace in found
    }
    assert len(seconds) < 4


@pytest.mark.unmeasured
@pytest.mark.asyncio
@pytest.mark.parametrize(("schedules", "deployments"), [(1, 1), (2, 2), (5, 3)])
async def test_no_more_deployments_are_started_than_schedules_come(schedules: int, deployments: int) -> None:
    """With up to three, one schedule needs one, two need two."""
    async with LiveExecutor(TWO, PLAIN) as executor:
        assert [trace.fault for trace in await walked(executor, 3, schedules)] == [""] * schedules
        assert len(executor._beside) == deployments - 1


@pytest.mark.asyncio
async def test_a_deployment_that_does_not_start_is_left_out(tmp_path: Path) -> None:
    """The program starts once and never again: all schedules run on the one deployment, which says why."""
    once = f'[ -e {tmp_path}/once ] && exit 3; touch {tmp_path}/once; exec "$@"'
    command = ["sh", "-c", once, "sh", sys.executable, str(GATEWAYS / "shared_gateway.py")]
    start = {"command": [*command, "{port}", "{redis_port}", "plain"], "ready": {"path": "/ready"}}
    async with LiveExecutor(TWO, Target.model_validate({"name": "own", "start": start})) as executor:
        assert [trace.fault for trace in await walked(executor, 3, 6)] == [""] * 6
        assert len(executor._beside) == 0
        assert executor.deployment.left_out.startswith("Gateway 1 died (exit code 3) before it was ready")


START = {"command": ["gateway", "{port}", "{redis_port}"]}


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ({"start": START}, ""),
        ({"start": START, "stores": {"redis": {"listen": 8766}}}, "it needs fixed ports"),
        ({"start": {"command": ["gateway", "8765"]}}, "it needs fixed ports"),
        ({"url": "http://127.0.0.1:8765", "stores": {"redis": {"listen": 8766}}}, "its Gateway was not started here"),
        ({"start": START, "stores": {"redis": {"url": "redis://127.0.0.1:6379/0"}}}, "its store was not started here"),
    ],
)
def test_a_target_that_can_not_be_started_twice_has_one_deployment(target: dict[str, Any], reason: str) -> None:
    """A service that runs already, a store of the user's own and fixed ports allow of one alone."""
    assert Deployment(Target.model_validate({"name": "own", **target})).single == reason


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("seconds", "size", "reason"), [(3.1, 1, "it takes 3.1 s to start"), (0.1, 600 << 20, "it takes 600 MB")]
)
async def test_a_slow_or_large_target_has_one_deployment(
    seconds: float, size: int, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A start of over 3 s or processes of over 500 MB are not repeated."""
    async with Deployment(PLAIN) as deployment:
        monkeypatch.setattr("stress.executors.live.deployment._START_SECONDS", 3.0)
        monkeypatch.setattr(deployment, "seconds", seconds)
        monkeypatch.setattr(Deployment, "_bytes", size)
        assert deployment.single == reason
        assert await deployment.beside(4) == [deployment]


@pytest.mark.unmeasured
@pytest.mark.asyncio
@pytest.mark.parametrize("dies", ["Gateway", "store"])
async def test_every_schedule_from_then_on_says_who_died(dies: str) -> None:
    """The Gateway or store of one deployment is killed: its schedules have that as their fault, the others none."""
    async with LiveExecutor(TWO, PLAIN) as executor:
        valkey = executor.deployment.stores["redis"].store.valkey
        process = executor.replicas[1].process if dies == "Gateway" else valkey.process if valkey else None
        assert process is not None
        faults = []
        async for trace in follow_each([Walk(seed, 1) for seed in range(24)], executor, 2):
            faults.append(trace.fault.partition(" (see whether")[0])
            if len(faults) == 10:
                process.kill()
                process.wait()
    said = {"Gateway": "Gateway 1 died", "store": "store lost: the Valkey that was started for the Gateway died"}[dies]
    assert len(faults) == 24
    assert set(faults) == {"", f"{said} (killed by signal 9)"}


@pytest.mark.asyncio
async def test_who_interrupts_leaves_nothing_behind() -> None:
    """Cancelled in the middle: no schedule goes on, no key stays, the trace so far is there, the executor goes on."""
    async with LiveExecutor(TWO, PLAIN) as executor:
        heard = asyncio.Event()

        async def listen() -> None:
            async with aclosing(follow_each((Walk(seed, 1) for seed in range(10_000)), executor, 2)) as traces:
                async for _ in traces:
                    heard.set()

        task = asyncio.create_task(listen())
        await heard.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert asyncio.all_tasks() == {asyncio.current_task()}
        for one in await executor.beside(2):
            assert await one.deployment.stores["redis"].store.ask([("DBSIZE",)]) == [0]
        trace = executor.abandoned("interrupted")
        assert trace is not None
        assert trace.fault == "interrupted"
        assert (await executor.run(Walk(1, 1))).fault == ""


@pytest.mark.asyncio
async def test_who_stops_listening_ends_what_runs_ahead() -> None:
    """Closed after six traces: what was under way is run to its end, and its keys are deleted."""
    async with LiveExecutor(TWO, PLAIN) as executor:
        heard = 0
        async with aclosing(follow_each((Walk(seed, 1) for seed in range(10_000)), executor, 2)) as traces:
            async for _ in traces:
                heard += 1
                if heard == 6:
                    break
        assert asyncio.all_tasks() == {asyncio.current_task()}
        for one in await executor.beside(2):
            assert await one.deployment.stores["redis"].store.ask([("DBSIZE",)]) == [0]


def test_choices_are_made_again_and_a_divergence_too() -> None:
    """A run that is repeated asks the scheduler nothing that it has answered, and diverges where it did."""
    start, read = Move("A", "start", ""), Move("A", "GET", "a")
    memory = ChoiceLog(Replay([start, read]))
    for _ in range(2):
        assert memory.choose([start], done=False) == start
        with pytest.raises(Diverged, match="step 2: expected A GET a, saw A start"):
            memory.choose([start], done=False)
        memory.restart()
    with pytest.raises(Diverged, match="step 1: expected A start, saw A GET a"):
        memory.choose([read], done=False)


@pytest.mark.asyncio
@pytest.mark.parametrize(("started_in", "deployments"), [(2.9, 1), (0.1, 2)])
async def test_no_more_are_started_where_that_takes_the_time_of_the_search(
    started_in: float, deployments: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A search that is not as long as ten starts has the one deployment that is there."""
    async with LiveExecutor(TWO, PLAIN) as executor:
        monkeypatch.setattr(executor.deployment, "seconds", started_in)
        await Search(executor, Limits(5.0, 20, workers=WorkerCount.chosen(2))).run()
        assert len(executor._beside) + 1 == deployments
