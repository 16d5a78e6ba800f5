"""The adversary for retries, on a loop with a bound in the model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from conftest import scenario_of, target_of

from stress.checks import run_checks
from stress.core.schedule import Schedule
from stress.core.step import START, WHOLE, Access, Move, Touch
from stress.core.trace import Details, Event, Kind, Snapshot, Trace
from stress.executors import asked
from stress.executors.model.executor import ModelExecutor
from stress.executors.model.tree import ModelStore, Tree
from stress.gateways.store import Incoming, Outcome, listed
from stress.schedulers.adversaries.starve import Starve
from stress.schedulers.random_walk import Walk

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stress.gateways.protocols import Deduplicate
    from stress.gateways.store import Store
    from stress.schedulers.base import Scheduler


def bounded(attempts: int) -> Deduplicate:
    """Make a loop that counts a hit under WATCH, and after so many lost attempts says that it did (race R6)."""

    async def deduplicate(store: Store, signal: Incoming) -> Outcome:
        key, record = f"gw:dedup:{signal.fingerprint}", f"rr-{signal.fingerprint[:16]}"
        async with store.session() as connection:
            for _ in range(attempts):
                await connection.call("WATCH", key)
                count = int(str(listed(await connection.call("HMGET", key, "count"))[0])) + 1
                if await connection.execute(("HSET", key, "count", str(count))) is not None:
                    break
        return Outcome(created=False, record=record, count=count)

    return deduplicate


def executor_of(
    concurrent: int, protocol: Deduplicate | None = None, target: str = "redis-optimistic"
) -> ModelExecutor:
    """Make an executor of one signal before and so many at once, on a bundled protocol or one of ours."""
    scenario = scenario_of("atomic-hit-count").model_copy(update={"concurrent": concurrent})
    executor = ModelExecutor(scenario, target_of(target))
    if protocol is not None:
        signal = Incoming(executor._fingerprint, scenario.signal.title, scenario.signal.namespace)
        executor.tree = Tree(protocol, signal, executor._names, ModelStore(executor.rest.now))
        executor.starts = [executor.tree.start(actor) for actor in executor.number_of]
    return executor


def searched(executor: ModelExecutor, scheduler: Scheduler) -> tuple[list[Trace], list[bool]]:
    """Run all schedules; return which of them lose a hit."""
    traces = []
    while scheduler.more():
        traces.append(executor.run(scheduler))
        scheduler.learn(traces[-1])
    assert not any(trace.fault for trace in traces)
    return traces, [bool(list(run_checks(["hits_equal_answers"], trace))) for trace in traces]


def test_retry_exhaustion_is_met_in_the_first_schedule_with_a_victim() -> None:
    """Five writers and four attempts: each of the four others writes between a read and a write of A."""
    starve = Starve()
    traces, lost = searched(executor_of(5, bounded(4)), starve)
    assert lost == [False, True, True, True, True, True]
    attempt = "A A"
    assert Schedule(tuple(traces[1].moves)).actors == " ".join(
        [f"A {attempt}", *(f"{other} {other} {other} {other} A {attempt}" for other in "BCD"), "E E E E A"]
    )
    assert (starve.schedules, starve.more()) == (6, False)


@pytest.mark.unmeasured
def test_what_random_schedules_do_not_meet_is_met_with_the_first_victim() -> None:
    """Eight attempts and nine writers: none of 500 random schedules loses a hit, every schedule with a victim does."""
    assert not any(searched(executor_of(9, bounded(8)), Walk(1, 500))[1])
    assert searched(executor_of(9, bounded(8)), Starve())[1] == [False] + [True] * 9


def test_four_writers_can_not_exhaust_four_attempts() -> None:
    """With one writer less every hit counts, no matter which is the victim."""
    assert searched(executor_of(4, bounded(4)), Starve())[1] == [False] * 5


def test_a_loop_without_a_bound_is_starved_and_holds() -> None:
    """The fixed counterpart retries until it succeeds: its victim loses all attempts but one, and no hit is lost."""
    traces, lost = searched(executor_of(5), Starve())
    assert not any(lost)
    assert [len(traces[1].steps_of(actor)) for actor in "ABCDE"] == [15, 3, 3, 3, 3]


def test_who_writes_what_was_read_loses_a_hit_at_once() -> None:
    """Without a retry the victim's own write is the one that is wrong."""
    traces, lost = searched(executor_of(2, target="redis-read-modify-write"), Starve())
    assert lost == [False, True, True]
    assert [Schedule(tuple(trace.moves)).actors for trace in traces] == [
        "A A A A B B B B",
        "A A A B B B B A",
        "B B B A A A A B",
    ]


def test_who_reads_and_writes_in_one_step_is_no_victim() -> None:
    """Nothing can come between: one schedule, and the search is over."""
    starve = Starve()
    assert searched(executor_of(5, target="redis-atomic"), starve)[1] == [False]
    assert (starve.victim, starve.more()) == (None, False)


Program = dict[str, list[tuple[str, str, Access]]]
READ, WRITE = Access.READ, Access.WRITE


def run(starve: Starve, programs: Program, blocked: str = "", between: Sequence[Move] = ()) -> str:
    """Run one schedule of steps that are the same in every schedule; ``blocked`` goes only if it is the only one."""
    assert starve.more()
    left = {actor: [(START, "", WRITE), *steps] for actor, steps in programs.items()}
    taken: list[Move] = []
    events: list[Event] = []
    while any(left.values()):
        able = [Move(actor, *steps[0][:2]) for actor, steps in left.items() if steps and actor not in blocked]
        able = able or [Move(actor, *steps[0][:2]) for actor, steps in left.items() if steps]
        move = starve.choose([*able, *between], done=False)
        assert move is not None
        taken.append(move)
        command, key, access = left[move.actor].pop(0)
        touches = (Touch(key, access),) if key else ()
        kind = Kind.STEP if key else Kind.START
        events.append(Event(len(events), kind, move.actor, command, key, touches=touches))
    assert starve.choose(between, done=True) is None
    starve.learn(Trace("test", "", "", len(programs), taken, lambda: Details((), (Snapshot(None, None),), events)))
    return "".join(move.actor for move in taken)


def test_victims_that_do_something_else_come_first() -> None:
    """Of two that do the same the second is starved after all others; who has no rival is left alone."""
    same = [("GET", "k", READ), ("SET", "k", WRITE)]
    programs = {"A": same, "B": same, "C": [("HGET", "k", READ), ("HSET", "k", WRITE)], "D": [("GET", "d", READ)]}
    starve = Starve()
    victims = []
    run(starve, programs)
    for _ in range(3):
        run(starve, programs)
        victims.append(starve.victim)
    assert victims == ["A", "C", "B"]
    assert not starve.more()


def test_only_who_will_write_the_same_object_goes_first() -> None:
    """B writes elsewhere and waits its turn; C is stopped once it has written."""
    programs = {
        "A": [("GET", "k", READ), ("SET", "k", WRITE)],
        "B": [("SET", "other", WRITE)],
        "C": [("GET", "k", READ), ("INCR", "k", WRITE), ("GET", "more", READ)],
    }
    starve = Starve()
    assert run(starve, programs) == "AAABBCCCC"
    assert run(starve, programs, between=[Move("clock", "clock", "")]) == "AACCCABBC"


@pytest.mark.parametrize("read", [WHOLE, "k"])
def test_a_victim_that_reads_the_whole_store_is_starved_by_any_write(read: str) -> None:
    """A scan reads every object, and a flush writes every object."""
    write = WHOLE if read == "k" else "k"
    programs = {"A": [("READ", read, READ), ("SET", "k", WRITE)], "B": [("WRITE", write, WRITE)]}
    starve = Starve()
    assert [run(starve, programs), run(starve, programs)] == ["AAABB", "AABBA"]


def test_a_rival_that_waits_is_passed_over() -> None:
    """Where the one that should go first is blocked, the next one does; where none can, the victim goes on."""
    same = [("GET", "k", READ), ("SET", "k", WRITE)]
    starve = Starve()
    run(starve, {"A": same, "B": same, "C": same})
    assert run(starve, {"A": same, "B": same, "C": same}, blocked="B") == "AACCCABBB"
    starve = Starve()
    run(starve, {"A": same, "B": same})
    assert run(starve, {"A": same, "B": same}, blocked="B") == "AAABBB"


def test_a_request_that_tries_again_for_ever_ends_the_schedule(monkeypatch: pytest.MonkeyPatch) -> None:
    """A protocol of one's own asks until another request has written: the run says so, as on the wire, and ends."""

    async def waiting(store: Store, signal: Incoming) -> Outcome:
        async with store.session() as connection:
            while await connection.call("GET", f"sent:{signal.fingerprint}") is None:
                pass
        return Outcome(created=False, record="rr", count=1)

    monkeypatch.setattr(asked, "MOST_STEPS", 40)
    walk = Walk(1, 1)
    assert walk.more()
    trace = executor_of(2, waiting).run(walk)
    assert trace.fault in {f"{one} took 40 steps and has no answer yet: it tries again for ever" for one in "AB"}
    assert 40 <= len(trace.moves) <= 82
