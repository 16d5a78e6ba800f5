"""Orders that run at once through one Gateway: each has the trace that it has when it runs alone."""

from __future__ import annotations

import asyncio
import sys
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from conftest import scenario_of, target_of

from stress.explore.base import Diverged
from stress.explore.interleaving import Interleaving
from stress.explore.replay import Replay
from stress.explore.walk import Walk
from stress.order import Order
from stress.running import follow_each
from stress.scenario import Scenario
from stress.step import Move
from stress.target import Target
from stress.worlds.asked import Asked, Memory
from stress.worlds.habits import Habits
from stress.worlds.lanes import Lanes
from stress.worlds.wire import WireWorld

if TYPE_CHECKING:
    from collections.abc import Callable

    from stress.explore.base import Explorer
    from stress.trace import Trace

GATEWAYS = Path(__file__).parent / "gateways"
TWO = Scenario.model_validate({"name": "own", "story": "Two at once.", "signal": {"labels": {"pod": "p-{fresh}"}}})
TIMED = (scenario_of("concurrent-duplicates"), target_of("redis-named-by-second"))
OF_POD = {"sha256": "{labels.pod}"}


def own_target(program: str, mode: str, fingerprint: object = OF_POD, *more: str) -> Target:
    """Make a target of one of the Gateways that know nothing of the harness."""
    command = [sys.executable, str(GATEWAYS / program), "{port}", "{redis_port}", mode, *more]
    data = {"name": "own", "start": {"command": command, "ready": {"path": "/ready"}}, "fingerprint": fingerprint}
    return Target.model_validate(data)


PLAIN = own_target("shared_gateway.py", "plain")


def walk(seed: int) -> Explorer:
    """Make what draws one random order."""
    return Walk(seed, 1)


async def traces(lanes: Lanes, orders: int, explorer: Callable[[int], Explorer] = walk) -> list[Trace]:
    """Run orders, and see that no key is left of them."""
    found = [trace async for trace in lanes.run(Asked(explorer(number)) for number in range(orders))]
    assert await lanes.world.ask([("DBSIZE",)]) == [0]
    assert lanes.world.gate.open
    return found


async def beside(
    scenario: Scenario, target: Target, most: int, orders: int, explorer: Callable[[int], Explorer] = walk
) -> tuple[bool, int, str]:
    """Run orders in lanes on a new Gateway, then alone.

    Give whether all traces are the same, how many orders were begun in lanes, and why there is one lane.
    """
    async with WireWorld(scenario, target) as world:
        lanes = Lanes(world, most)
        told = [trace.signature for trace in await traces(lanes, orders, explorer)]
        reason = lanes.reason
        alone = [trace.signature for trace in await traces(Lanes(world, 1), orders, explorer)]
    return told == alone, lanes.begun, reason


# --- the same traces ---------------------------------------------------------------------------------


@pytest.mark.asyncio
@pytest.mark.parametrize(("target", "most"), [("redis-read-modify-write", (2, 4, 8)), ("redis-atomic", (4,))])
async def test_each_order_has_the_trace_that_it_has_alone(target: str, most: tuple[int, ...]) -> None:
    """With 2, 4 and 8 lanes every random order has the events, replies, answers and state that it has with one."""
    async with WireWorld(scenario_of("atomic-hit-count"), target_of(target)) as world:
        alone = [trace.signature for trace in await traces(Lanes(world, 1), 16)]
        assert len(set(alone)) > 1
        for number in most:
            lanes = Lanes(world, number)
            assert [trace.signature for trace in await traces(lanes, 16)] == alone
            assert (lanes.begun, lanes.reason) == (16, "")


@pytest.mark.asyncio
async def test_sleepers_and_steps_after_the_answer_are_the_same_too() -> None:
    """A Gateway that naps on a taken lock, and one that writes after it has answered, are followed in lanes."""
    assert (await beside(TWO, target_of("redis-pseudo-lock"), 4, 5))[::2] == (True, "")
    assert (await beside(TWO, own_target("shared_gateway.py", "after"), 4, 6))[::2] == (True, "")


@pytest.mark.asyncio
async def test_orders_that_wait_for_the_clock_cross_one_second_together() -> None:
    """Twenty orders that move the clock wait together, though four are at work at once: records tell their seconds."""
    active, both = "gw:active:{fingerprint}", "gw:active:{fingerprint} gw:hits:{fingerprint}"
    a, b = ((Move(name, "start", ""), Move(name, "SMEMBERS", active), Move(name, "EVAL", both)) for name in ("A", "B"))
    order = Order((*a[:2], Move("clock", "clock", ""), *b, a[2]))
    async with WireWorld(*TIMED) as world:
        found = [trace async for trace in follow_each([order] * 20, world, 4)]
    assert [trace.fault for trace in found] == [""] * 20
    assert len({trace.signature for trace in found}) == 1
    seconds = {
        max(answer.body[answer.body.index("rr-") :].split('"')[0] for answer in trace.answers)[-10:] for trace in found
    }
    assert len(seconds) < 6


@pytest.mark.asyncio
@pytest.mark.parametrize(("orders", "lanes"), [(1, 1), (3, 3), (6, 6)])
async def test_no_more_lanes_are_opened_than_orders_come(orders: int, lanes: int) -> None:
    """Where the clock is waited for 32 could be; opening one takes as long as an order."""
    async with WireWorld(*TIMED) as world:
        walks = [walk(seed) for seed in range(orders)]
        assert [trace.fault async for trace in follow_each(walks, world, 4)] == [""] * orders
        assert len(world._crew) == lanes


@pytest.mark.asyncio
async def test_an_order_that_diverges_leaves_the_others_as_they_are() -> None:
    """Every third order asks for a step that no request shows: it ends there, and nothing else changes."""

    def some(number: int) -> Explorer:
        return walk(number) if number % 3 else Replay([Move("A", "start", ""), Move("A", "DEL", "x")])

    async with WireWorld(TWO, PLAIN) as world:
        alone = await traces(Lanes(world, 1), 12, some)
        lanes = Lanes(world, 4)
        told = await traces(lanes, 12, some)
    assert [trace.fault.partition(" saw")[0] for trace in told[:2]] == ["DIVERGED at step 2: expected A DEL x,", ""]
    assert [(trace.fault, trace.signature) for trace in told] == [(trace.fault, trace.signature) for trace in alone]
    assert (lanes.begun, lanes.reason) == (12, "")


@pytest.mark.asyncio
async def test_what_can_not_be_read_is_told_of_all_that_were_under_way() -> None:
    """A Gateway sends its store garbage once: nobody knows whose it is; the orders that begin later have their traces.

    Its lanes have eight requests to warm up, the world four, and two orders run alone before.
    """
    async with WireWorld(TWO, own_target("shared_gateway.py", "garbage", OF_POD, "24")) as world:
        lanes = Lanes(world, 4)
        found = [trace async for trace in lanes.run(Asked(Interleaving(())) for _ in range(12))]
    faults = [trace.fault.partition(":")[0] for trace in found]
    assert set(faults) == {"", "a frame of the Gateway could not be read"}
    assert 1 <= len(faults) - faults.count("") <= 4
    assert (faults[-1], lanes.reason) == ("", "")


# --- one lane, and why -------------------------------------------------------------------------------


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("target", "begun", "reason"),
    [
        (own_target("lock_gateway.py", "racy", {"answer": "fingerprint"}), 0, "GET does not carry the fingerprint"),
        (own_target("lock_gateway.py", "locked"), 0, "a request waits inside the Gateway"),
        (own_target("queue_gateway.py", "token"), 0, "its store answers BLPOP later than it is asked"),
        (own_target("lock_gateway.py", "racy", "always"), 0, "each order has the same fingerprint"),
        (
            own_target("shared_gateway.py", "pipe"),
            4,
            "one connection serves requests of several orders at once",
        ),
        (
            own_target("shared_gateway.py", "memory"),
            20,
            "too often an order had to run alone (a request goes on in several ways from one point)",
        ),
    ],
    ids=["no-mark", "lock", "store", "always", "pipe", "memory"],
)
async def test_orders_that_may_meet_run_one_after_another(target: Target, begun: int, reason: str) -> None:
    """Where lanes could touch each other, or hardly ever run, there is one, and it is told why; traces are the same."""
    same, in_lanes, told = await beside(TWO, target, 4, 32 if begun > 4 else 8)
    assert (same, in_lanes >= begun, told) == (True, True, reason)


@pytest.mark.asyncio
async def test_an_answer_that_was_never_given_after_such_replies_is_checked_alone() -> None:
    """Six orders in turn teach that a first hit is answered 1; two at once are answered 2: they run again alone."""
    async with WireWorld(TWO, own_target("shared_gateway.py", "memory")) as world:
        lanes = Lanes(world, 2)
        found = await traces(lanes, 8, lambda number: Interleaving((0, 1, 0, 1) if number > 5 else ()))
    assert [sorted(answer.count or 0 for answer in trace.answers) for trace in found] == [[1, 2]] * 6 + [[2, 2]] * 2
    # Once the first of them is in doubt the other may not have begun: then that runs alone from its beginning.
    assert lanes._odd in (1, 2)


@pytest.mark.asyncio
async def test_a_lock_that_only_other_orders_hold_changes_nothing() -> None:
    """Requests one after another never wait alone; beside others they wait for the one lock, and tell the same."""
    target = own_target("lock_gateway.py", "locked")
    assert (await beside(TWO, target, 8, 16, lambda _: Interleaving(())))[0]


@pytest.mark.asyncio
async def test_a_step_that_belongs_to_no_order_ends_the_lanes() -> None:
    """A Gateway that begins to count all signals in one key: that key can be of any order, so all run again alone."""
    async with WireWorld(TWO, own_target("shared_gateway.py", "stray", OF_POD, "12")) as world:
        lanes = Lanes(world, 4)
        found = await traces(lanes, 8, lambda _: Interleaving(()))
    assert lanes.reason == "INCR came that belongs to no order under way"
    assert [trace.fault for trace in found] == [""] * 8


@pytest.mark.asyncio
async def test_without_lanes_an_order_that_was_never_seen_is_run_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing is known of what requests do next, every order is run alone again, and has its trace."""
    monkeypatch.setattr(Habits, "after", lambda *_: None)
    async with WireWorld(TWO, PLAIN) as world:
        alone = [trace.signature for trace in await traces(Lanes(world, 1), 8)]
        lanes = Lanes(world, 4)
        assert [trace.signature for trace in await traces(lanes, 8)] == alone
    assert lanes.begun > 0


# --- ends --------------------------------------------------------------------------------------------


@pytest.mark.asyncio
@pytest.mark.parametrize("dies", ["Gateway", "store"])
async def test_every_order_is_told_who_died(dies: str) -> None:
    """The Gateway or its store is killed while lanes are at work: each order from then on has that as its fault."""
    async with WireWorld(TWO, PLAIN) as world:
        valkey = world.site.store.valkey
        process = world.replicas[1].process if dies == "Gateway" else valkey.process if valkey else None
        assert process is not None
        faults = []
        async for trace in Lanes(world, 4).run(Asked(walk(seed)) for seed in range(40)):
            faults.append(trace.fault.partition(" (see whether")[0])
            if len(faults) == 10:
                process.kill()
                process.wait()
    told = {"Gateway": "Gateway 1 died", "store": "store lost: the Valkey that was started for the Gateway died"}[dies]
    assert len(faults) == 40
    assert set(faults) == {"", f"{told} (killed by signal 9)"}
    assert faults == sorted(faults)


@pytest.mark.asyncio
async def test_who_interrupts_lanes_leaves_nothing_behind() -> None:
    """Cancelled in the middle: no order goes on, no key stays, the trace so far is there, and the world goes on."""
    async with WireWorld(TWO, PLAIN) as world:
        lanes, told = Lanes(world, 4), asyncio.Event()

        async def listen() -> None:
            async for _ in lanes.run(Asked(walk(seed)) for seed in range(10_000)):
                if lanes.begun > 20:
                    told.set()

        task = asyncio.create_task(listen())
        await told.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert await world.ask([("DBSIZE",)]) == [0]
        trace = world.abandoned("interrupted")
        assert trace is not None
        assert trace.fault == "interrupted"
        assert (await world.run(walk(1))).fault == ""


@pytest.mark.asyncio
async def test_who_stops_listening_ends_the_lanes() -> None:
    """Closed after three traces: what ran ahead is ended, and its keys are deleted."""
    async with WireWorld(TWO, PLAIN) as world:
        heard = 0
        async with aclosing(follow_each((walk(seed) for seed in range(10_000)), world, 4)) as told:
            async for _ in told:
                heard += 1
                if heard == 6:
                    break
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert await world.ask([("DBSIZE",)]) == [0]


# --- the same choices again --------------------------------------------------------------------------


def test_choices_are_made_again_and_a_divergence_too() -> None:
    """A run that is repeated asks the explorer nothing that it has answered, and diverges where it did."""
    start, read = Move("A", "start", ""), Move("A", "GET", "a")
    memory = Memory(Replay([start, read]))
    for _ in range(2):
        assert memory.choose([start], done=False) == start
        with pytest.raises(Diverged, match="step 2: expected A GET a, saw A start"):
            memory.choose([start], done=False)
        memory.again()
    with pytest.raises(Diverged, match="step 1: expected A start, saw A GET a"):
        memory.choose([read], done=False)
