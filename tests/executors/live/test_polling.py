"""A request that asks the same again and again lets others go first, and its repetitions are one step."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from stress.config.scenario import Scenario
from stress.config.target import Target
from stress.core.step import Move
from stress.executors.live.executor import LiveExecutor
from stress.executors.live.polling import Ending, Ends, Loop, ending
from stress.executors.live.record import Try
from stress.schedulers.exhaustive import Exhaustive
from stress.schedulers.replay import Replay

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stress.core.trace import Trace
    from stress.protocols.gate import Frame

pytestmark = pytest.mark.unmeasured

CASE = Path(__file__).parent.parent.parent / "cases" / "polls"
SCENARIO = Scenario.model_validate({"name": "polls", "story": "Two at once.", "signal": {"labels": {"pod": "{fresh}"}}})
LOCK, HITS = "lock:{fresh}", "hits:{fresh}"


def polling(how: str, tries: int, patience: float = 5.0) -> LiveExecutor:
    """Give a deployment of the service of the cases, which asks so many times for its lock (0: without end)."""
    env = {"PORT": "{port}", "REDIS_PORT": "{redis_port}", "PYTHONPATH": "..", "HOW": how, "MODE": "correct"}
    start = {"command": ["python3", "service.py"], "env": {**env, "TRIES": str(tries)}, "ready": {"path": "/ready"}}
    target = {"name": "polls", "start": start, "fingerprint": "{labels.pod}", "patience": patience}
    return LiveExecutor(SCENARIO, Target.model_validate(target), CASE)


def schedule(*words: str) -> Replay:
    """Follow a schedule, written as in its file; then everyone goes on."""
    moves = []
    for word in words:
        actor, command, *rest = word.split()
        occurrence = int(rest.pop()[1:]) if rest and rest[-1].startswith("#") else 1
        moves.append(Move(actor, command, rest[0] if rest else "", occurrence))
    replay = Replay(moves, prefix=True)
    replay.more()
    return replay


def reported(trace: Trace) -> list[tuple[str, int]]:
    """Give who was answered what."""
    return sorted((answer.actor, answer.status) for answer in trace.answers)


def steps(trace: Trace, actor: str) -> list[str]:
    """Give the steps of a request in words."""
    return [str(event).removeprefix(f"{actor} ") for event in trace.steps_of(actor)]


GIVES_UP = "B giving up after more than 1 s of polling"
HELD: Sequence[str] = ("A start", f"A SET {LOCK}", "B start", f"B SET {LOCK}", f"B SET {LOCK} #2")


@pytest.mark.asyncio
async def test_who_polls_waits_until_another_has_changed_what_it_asks_for() -> None:
    """After one repetition a request is let go again only when the lock was given back; then it has it."""
    async with polling("set", tries=0) as executor:
        trace = await executor.run(schedule(*HELD, f"A GET {HITS}", f"A SET {HITS}", f"A DEL {LOCK}"))
        assert (trace.fault, trace.polling, reported(trace)) == ("", GIVES_UP, [("A", 201), ("B", 202)])
        assert [str(move) for move in trace.moves if move.actor == "B"][3:] == [
            f"B SET {LOCK} #3",
            f"B GET {HITS}",
            f"B SET {HITS}",
            f"B DEL {LOCK}",
        ]
        early = await executor.run(schedule(*HELD, f"B SET {LOCK} #3"))
        assert early.fault == f"DIVERGED at step 6: expected B SET {LOCK} #3, saw A GET {HITS}"
        assert list(executor.loops.values()) == [Ending(Ends.LATE)]


@pytest.mark.asyncio
async def test_of_a_lock_that_is_polled_for_every_schedule_is_run() -> None:
    """Two requests have 20 schedules, in 12 of which one waits.

    One comes after the other, or asks in vain at one of three places, and once more there, later, or not at all.
    """
    scheduler, polled = Exhaustive(fused=True), 0
    async with polling("set", tries=0) as executor:
        while scheduler.more():
            trace = await executor.run(scheduler)
            scheduler.learn(trace)
            assert (trace.fault, [status for _, status in reported(trace)]) in (("", [201, 202]), ("", [202, 201]))
            polled += bool(trace.polling)
    assert (scheduler.schedules, polled) == (20, 12)


@pytest.mark.asyncio
async def test_giving_up_soon_is_one_step_however_often_it_asks() -> None:
    """A request that gives up after 12 tries has them in three steps, and a replay tells the same."""
    async with polling("set", tries=12) as executor:
        traces = [await executor.run(schedule(*HELD, f"B SET {LOCK} #3")) for _ in range(2)]
        assert list(executor.loops.values()) == [Ending(Ends.SOON)]
    for trace in traces:
        assert (trace.fault, reported(trace)) == ("", [("A", 201), ("B", 503)])
        assert trace.polling == "another between the last two tries of B"
        assert steps(trace, "B") == [
            f"SET {LOCK} 1 EX 60 NX -> nil",
            f"SET {LOCK} 1 EX 60 NX -> nil",
            f"SET {LOCK} 1 EX 60 NX (10 times) -> nil",
        ]
    assert traces[0].signature == traces[1].signature


@pytest.mark.parametrize(
    ("times", "seconds", "saw", "ends"),
    [
        (3, 0.01, "", Ending(Ends.STEPS)),
        (4, 0.01, "", Ending(Ends.SOON, 6, sure=False)),
        (3, 0.06, "", Ending(Ends.SOON, 5, sure=False, slow=True)),
        (3, 0.01, "changed", Ending(Ends.SOON)),
        (90, 0.99, "", Ending(Ends.SOON, 92, sure=False, slow=True)),
        (90, 1.01, "", Ending(Ends.LATE)),
        (3, 0.01, "more", Ending(Ends.LATE)),
    ],
)
def test_few_tries_without_a_sleep_are_steps(times: int, seconds: float, saw: str, ends: Ending) -> None:
    """Up to three more repetitions are a step each, unless the request sleeps between; after 1 s it is late."""
    loop = Loop((Try(cast("Frame", None), 0),), taken=2)
    assert ending(times, seconds, loop, more=saw == "more", changed=saw == "changed") == ends


QUICK, SLOW = Ending(Ends.SOON, 9, sure=False), Ending(Ends.SOON, 9, sure=False, slow=True)


@pytest.mark.parametrize(
    ("first", "second", "known"),
    [
        (QUICK, QUICK, Ending(Ends.SOON, 9)),
        (SLOW, QUICK, Ending(Ends.SOON, 9)),
        (QUICK, SLOW, Ending(Ends.SOON, 9)),
        (SLOW, SLOW, Ending(Ends.SOON)),
        (QUICK, QUICK._replace(steps=8), Ending(Ends.SOON)),
        (SLOW, Ending(Ends.STEPS), Ending(Ends.STEPS)),
        (SLOW, Ending(Ends.LATE), Ending(Ends.LATE)),
        (QUICK, Ending(Ends.LATE), Ending(Ends.SOON)),
    ],
)
def test_a_busy_machine_does_not_make_a_sleep_of_a_slow_step(first: Ending, second: Ending, known: Ending) -> None:
    """Steps are counted where two looks gave the same number, of which at least one was too quick for a sleep."""
    assert first.seen(second) == known


@pytest.mark.asyncio
async def test_a_time_that_runs_out_is_no_change() -> None:
    """A request that is told for how long the lock lasts still, less each time, makes no progress."""
    script = "EVALSHA " + LOCK
    async with polling("ttl", tries=0) as executor:
        trace = await executor.run(schedule("A start", f"A {script}", "B start", f"B {script}", f"B {script} #2"))
    assert (trace.fault, trace.polling, reported(trace)) == ("", GIVES_UP, [("A", 201), ("B", 202)])


@pytest.mark.asyncio
async def test_who_polls_for_what_nobody_will_change_is_named() -> None:
    """Where a lock is never given back, the run ends with who asks for what, once nobody else is left."""
    async with polling("set", tries=0, patience=1.0) as executor:
        await executor.run(schedule(*HELD))
        await executor.deployment.stores["redis"].store.ask([("SET", "lock:leaked", "1")])
        trace = await executor.run(schedule("A start"), fresh="leaked")
    asks = f"asks SET {LOCK} again and again"
    assert trace.fault == (
        f"the Gateway hangs: B {asks}; A {asks}, and nobody is left who could change the reply, for 1 s"
    )
