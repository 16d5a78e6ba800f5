"""The model executor: every bundled protocol explored to the end, and the same traces as on the wire."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import pytest
from conftest import scenario_of, target_of
from following import Follow

from stress.checks import cause, run_checks
from stress.config.formats import bundled
from stress.config.gateways import REDIS_PROTOCOLS
from stress.config.scenario import EnvironmentActor, Race, Scenario
from stress.core.errors import UsageFault
from stress.core.registry import CHECKS
from stress.core.trace import Details, Trace
from stress.executors.live.executor import LiveExecutor
from stress.executors.model.executor import ModelExecutor, effects_of
from stress.schedulers.dependence import Dependence, effects
from stress.schedulers.dpor.scheduler import Dpor
from stress.schedulers.exhaustive import Exhaustive
from stress.schedulers.random_walk import Walk
from stress.schedulers.replay import Replay

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stress.config.target import Target
    from stress.core.verdict import Violation
    from stress.schedulers.dependence import Effect

pytestmark = pytest.mark.unmeasured

FIXED = ("redis-atomic", "redis-optimistic")
_MOST_ON_THE_WIRE = 60
KEYS = ("busy_is_temporary", "nothing_left_processing", "one_effect")
"""What services with idempotency keys promise, and these Gateways do not."""
INVARIANTS = tuple(name for name in CHECKS.names() if name not in KEYS)
ASSERTIONS = [name for name in INVARIANTS if CHECKS[name].environment]
PROMISES = [name for name in INVARIANTS if name not in ASSERTIONS]


def situation(*actors: str, before: int = 0, concurrent: int = 2, invariants: Sequence[str] = PROMISES) -> Scenario:
    """Make a scenario of some requests, and of an environment whose actors act once each."""
    changes = {
        "before": before,
        "concurrent": concurrent,
        "actors": {name: EnvironmentActor() for name in actors},
        "invariants": list(invariants),
    }
    return scenario_of("t2-one-then-three").model_copy(update=changes)


class Explored(NamedTuple):
    """What a search to the end found: how many schedules, how many break each invariant, and the first that does."""

    schedules: int
    broken: dict[str, int]
    first: dict[str, str]
    causes: set[str]


def explored(scenario: Scenario, target: Target) -> Explored:
    """Run every schedule in the model, those with the fewest preemptions first."""
    executor, scheduler = ModelExecutor(scenario, target), Exhaustive(fused=True)
    broken: Counter[str] = Counter()
    first: dict[str, str] = {}
    causes: set[str] = set()
    while scheduler.more():
        trace = executor.run(scheduler)
        assert trace.fault == ""
        scheduler.learn(trace)
        if found := run_checks(scenario.invariants, trace):
            causes.add(str(cause(found)))
        for one in found:
            broken[one.invariant] += 1
            first.setdefault(one.invariant, word(trace))
    return Explored(scheduler.schedules, dict(broken), first, causes)


def word(trace: Trace) -> str:
    """Give the actors of a schedule; a request's first move is its start."""
    return " ".join(move.actor for move in trace.moves)


CASES: list[tuple[str, Scenario, int, dict[str, tuple[int, str]]]] = [
    ("redis-atomic", situation(), 2, {}),
    ("redis-atomic", situation("clock"), 12, {}),
    ("redis-atomic", situation("cleanup"), 8, {}),
    ("redis-atomic", situation("expiry", before=1), 8, {}),
    ("redis-atomic", situation(concurrent=5), 120, {}),
    ("redis-optimistic", situation(), 20, {}),
    ("redis-optimistic", situation("clock"), 264, {}),
    ("redis-optimistic", situation("cleanup"), 214, {}),
    ("redis-optimistic", situation("expiry"), 214, {}),
    (
        "redis-read-modify-write",
        situation(before=1),
        20,
        dict.fromkeys(("hits_equal_answers", "distinct_counts", "linearizable_hits"), (12, "A A A B B B B A")),
    ),
    (
        "redis-named-by-second",
        situation("clock"),
        54,
        {
            **dict.fromkeys(("one_created_answer", "linearizable_hits"), (28, "A A B B B A A")),
            **dict.fromkeys(("one_active_record", "same_answer"), (8, "A A clock B B B A")),
        },
    ),
    (
        "redis-store-overwrite",
        situation(),
        26,
        dict.fromkeys(("one_created_answer", "hits_equal_answers", "linearizable_hits"), (24, "A A B B B B A A A")),
    ),
    (
        "redis-pseudo-lock",
        situation("clock"),
        222,
        {
            **dict.fromkeys(("one_created_answer", "linearizable_hits"), (116, "A A A B B B B A A")),
            **dict.fromkeys(("one_active_record", "same_answer"), (20, "A A A clock B B B B A")),
        },
    ),
]


@pytest.mark.parametrize(("protocol", "scenario", "schedules", "races"), CASES)
def test_every_schedule_of_a_protocol_and_its_minimal_races(
    protocol: str, scenario: Scenario, schedules: int, races: dict[str, tuple[int, str]]
) -> None:
    """Exactly so many schedules, exactly so many of them broken, and the first one with the fewest preemptions."""
    found = explored(scenario, target_of(protocol))
    assert found.schedules == schedules
    assert {name: (count, found.first[name]) for name, count in found.broken.items()} == races


@pytest.mark.parametrize("fixed", FIXED)
@pytest.mark.parametrize(
    ("scenario", "assertions"),
    [
        (situation("cleanup", invariants=INVARIANTS), set(ASSERTIONS)),
        (situation("cleanup", before=1, invariants=INVARIANTS), set(ASSERTIONS)),
        (situation("expiry", invariants=INVARIANTS), set(ASSERTIONS)),
        (situation("clock", "cleanup", concurrent=1, before=1, invariants=INVARIANTS), set(ASSERTIONS)),
        (situation("cleanup", "expiry", concurrent=1, before=1, invariants=INVARIANTS), set(ASSERTIONS)),
        (situation("clock", invariants=INVARIANTS), set()),
    ],
)
def test_a_fixed_breaks_no_promise_whatever_its_surroundings_do(
    fixed: str, scenario: Scenario, assertions: set[str]
) -> None:
    """Under cleanup and expiry only what the failing tests assert is broken, and the cause is the environment."""
    found = explored(scenario, target_of(fixed))
    assert set(found.broken) == assertions
    assert found.causes == ({"environment"} if assertions else set())


@pytest.mark.parametrize("name", ["t1-five-at-once-cleanup", "t2-one-then-three-cleanup"])
def test_the_failing_tests_fail_in_a_correct_gateway_when_records_are_deleted(name: str) -> None:
    """Of every schedule with a cleanup, those that break anything break the test's assertion alone."""
    scenario = scenario_of(name)
    found = explored(scenario, target_of("redis-atomic"))
    asserted = scenario.invariants[-1]
    assert (found.schedules, found.broken) == {
        "t1-five-at-once-cleanup": (840, {asserted: 120}),
        "t2-one-then-three-cleanup": (30, {asserted: 24}),
    }[name]
    assert found.causes == {"environment"}


CASES = [
    (path.stem, target)
    for path in sorted(bundled("").glob("*.yaml"))
    for target in Scenario.load(path).expect
    if target in REDIS_PROTOCOLS  # those over Kubernetes: test_kube_model.py
]


@pytest.mark.parametrize(("name", "protocol"), CASES)
def test_every_bundled_case_is_as_it_expects(name: str, protocol: str) -> None:
    """A race shows what it must and nothing else; a fixed counterpart holds in every schedule; both within 5000."""
    scenario, target = scenario_of(name), target_of(protocol)
    executor, scheduler = ModelExecutor(scenario, target), Exhaustive(fused=True, clock_apart=True)
    expected = scenario.expect[protocol]
    wanted = set(expected.race) if isinstance(expected, Race) else set()
    seen: set[str] = set()
    while scheduler.more() and not (wanted and seen == wanted):
        trace = executor.run(scheduler)
        scheduler.learn(trace)
        seen |= {one.invariant for one in run_checks(scenario.invariants, trace)}
        assert scheduler.schedules <= 5000
    assert seen == wanted
    assert wanted or scheduler.exhausted


GUIDE = [
    [cell.strip(" `") for cell in line.strip("|").split("|")]
    for line in (bundled("") / "README.md").read_text().split("## What is bundled")[1].splitlines()
    if line.startswith("| ") and not line.startswith("| scenario")
]


@pytest.mark.parametrize(("name", "race", "protocol", "invariant", "schedule"), GUIDE)
def test_the_guide_tells_the_minimal_schedule_of_each_race(
    name: str, race: str, protocol: str, invariant: str, schedule: str
) -> None:
    """The first schedule that breaks the invariant is that in the guide, and the cause is the environment or a race."""
    scenario = scenario_of(name)
    executor, scheduler = ModelExecutor(scenario, target_of(protocol)), Exhaustive(fused=True)
    found: list[Violation] = []
    while not any(one.invariant == invariant for one in found):
        assert scheduler.more()
        trace = executor.run(scheduler)
        scheduler.learn(trace)
        found = run_checks(scenario.invariants, trace)
    assert word(trace) == schedule
    assert cause(found) == ("environment" if race in ("T1", "T2") else "gateway")


def test_the_guide_names_every_bundled_scenario() -> None:
    """None is left out."""
    text = (bundled("") / "README.md").read_text()
    named = {line.split("|")[1].strip() for line in text.splitlines() if line.startswith("| ")}
    named |= set(re.findall(r"^`([\w-]+)`", text, re.MULTILINE))
    assert {path.stem for path in bundled("").glob("*.yaml")} <= named


def test_the_contracts_own_schedule_loses_a_counted_hit() -> None:
    """A1: C was answered 2, and the loser of the creation stores 1 over it (contract section 3)."""
    executor = ModelExecutor(situation(concurrent=3), target_of("redis-store-overwrite"))
    trace = executor.run(Follow("A A B B A A C C C B B B C C C C"))
    results = sorted((answer.actor, answer.status, answer.count) for answer in trace.answers)
    assert results == [("A", 201, None), ("B", 201, None), ("C", 202, 2)]
    assert trace.final.hits == {"rr-{fingerprint:16}": 1}
    assert [str(event) for event in trace.steps_of("B")] == [
        "B EXISTS gateway:dedup:fingerprint:{fingerprint} -> 0",
        "B SET gw:rr:{fingerprint} rr-{fingerprint:16} NX -> nil",
        "B GET gw:rr:{fingerprint} -> rr-{fingerprint:16}",
        (
            "B HSET gateway:dedup:fingerprint:{fingerprint} fingerprint {fingerprint} firstSeen {time} lastSeen {time}"
            " count 1 remediationRequestRef rr-{fingerprint:16} -> [0 1]"
        ),
    ]


def test_a_hash_that_runs_out_under_a_hit_becomes_a_ghost() -> None:
    """A2: between EXISTS and HINCRBY the hash is gone; the answer names no record (contract section 3)."""
    executor = ModelExecutor(situation("expiry", before=1, concurrent=1), target_of("redis-store-overwrite"))
    trace = executor.run(Follow("A A expiry A A A A A"))
    assert [(answer.status, answer.record, answer.count) for answer in trace.answers] == [
        (201, "rr-{fingerprint:16}", None),
        (202, "", 1),
    ]
    assert [answer.nameless for answer in trace.answers] == [False, True]


@pytest.mark.measured_once
def test_a_protocol_that_fails_is_a_server_error() -> None:
    """What a protocol raises in the model is the 500 that it would be on the wire."""
    target = target_of("redis-atomic").model_copy(update={"observe": None})
    executor = ModelExecutor(situation(concurrent=1), target)
    executor.rest.execute("SET", f"gw:dedup:{executor.run(Follow('A A')).fingerprint}", "not a hash")
    trace = executor.run(Follow("A A"))
    assert [(answer.status, answer.record, answer.error[:9]) for answer in trace.answers] == [(500, None, "WRONGTYPE")]
    assert [str(one) for one in run_checks(PROMISES, trace)] == [
        "no_server_error: expected an answer below 500 to A; observed 500"
    ]


def test_a_target_that_shows_no_state_is_judged_by_its_answers() -> None:
    """Without `observe` the final state is unknown, and the answers are as they were."""
    target = target_of("redis-atomic").model_copy(update={"observe": None})
    trace = ModelExecutor(situation(before=1, concurrent=1), target).run(Follow("A A"))
    assert (trace.final.records, trace.final.hits) == (None, None)
    assert [(answer.actor, answer.status) for answer in trace.answers] == [("before1", 201), ("A", 202)]


def test_an_schedule_that_can_not_be_followed_is_a_fault() -> None:
    """A replay of another protocol's moves names the step where it diverged."""
    moves = ModelExecutor(situation(), target_of("redis-atomic")).run(Follow("A A B B")).moves
    replay = Replay(moves)
    replay.more()
    trace = ModelExecutor(situation(), target_of("redis-optimistic")).run(replay)
    assert trace.fault == (
        "DIVERGED at step 2: expected A EVAL gw:dedup:{fingerprint}, saw A WATCH gw:dedup:{fingerprint} or B start"
    )


def test_only_a_bundled_protocol_has_a_model(here: object) -> None:
    """A target without what the scenario needs is a fault of the file."""
    del here
    with pytest.raises(UsageFault, match=r"environment.expiry is missing"):
        ModelExecutor(situation("expiry"), target_of("redis-named-by-second"))


SURROUNDED = situation("clock", "cleanup", before=1)


@pytest.mark.parametrize("protocol", REDIS_PROTOCOLS)
def test_what_each_move_did_is_known_without_words(protocol: str) -> None:
    """Moves, touched objects and answers are those of the events, and replies are equal only where events say so."""
    scenario = SURROUNDED if protocol in FIXED else situation("clock")
    executor, walk = ModelExecutor(scenario, target_of(protocol)), Walk(0, 50)
    while walk.more():
        trace = executor.run(walk)
        walk.learn(trace)
        lean, results = effects_of(trace), effects(trace)
        assert [one._replace(reply="") for one in lean] == [one._replace(reply="") for one in results]
        assert len({one.reply for one in lean}) == len(
            {(one.reply, other.reply) for one, other in zip(lean, results, strict=True)}
        )


@pytest.mark.parametrize("alike", [(), ("A", "B")])
@pytest.mark.parametrize("protocol", REDIS_PROTOCOLS)
def test_a_search_is_the_same_without_words(protocol: str, alike: Sequence[str]) -> None:
    """DPOR asks for the same schedules whether it reads the events or what the run says by itself."""

    def schedules(read: Callable[[Trace], Sequence[Effect]]) -> list[str]:
        executor, dpor = (
            ModelExecutor(situation("clock"), target_of(protocol)),
            Dpor(Dependence(fused=True), alike=alike, read=read),
        )
        found = []
        while dpor.more():
            trace = executor.run(dpor)
            dpor.learn(trace)
            found.append(word(trace))
        assert dpor.exhausted
        return found

    assert schedules(effects_of) == schedules(effects)


@pytest.mark.measured_once
def test_a_trace_of_the_wire_has_to_be_read_by_its_events() -> None:
    """Only the model tells what a move did without words."""
    with pytest.raises(TypeError, match="a trace of the model was expected, not one of live"):
        effects_of(Trace("live", "", "", 0, (), lambda: Details((), ())))


@pytest.mark.asyncio
@pytest.mark.parametrize("protocol", REDIS_PROTOCOLS)
async def test_the_model_tells_the_same_trace_as_the_wire(protocol: str) -> None:
    """Every schedule of two requests (of a large space: sixty) has the same moves, replies and outcome in both."""
    before = int(protocol == "redis-read-modify-write")
    repeats = protocol.startswith("redis-idempotency-key")  # whose repeated answers count nothing
    await agree(scenario_of("idempotency-key") if repeats else situation(before=before), target_of(protocol))


@pytest.mark.measured_once
@pytest.mark.asyncio
@pytest.mark.parametrize(("protocol", "actor"), [("redis-optimistic", "cleanup"), ("redis-store-overwrite", "expiry")])
async def test_both_executors_agree_on_what_the_environment_does(protocol: str, actor: str) -> None:
    """Cleanups and expiries, and the epochs that they end, are the same in both executors."""
    await agree(situation(actor, before=1), target_of(protocol))


async def agree(scenario: Scenario, target: Target) -> None:
    """Run schedules on the wire, each again in the model, and compare all that is recorded."""
    model, every = ModelExecutor(scenario, target), Exhaustive(fused=True)
    while every.more() and every.schedules <= _MOST_ON_THE_WIRE:
        every.learn(model.run(every))
    scheduler = Exhaustive(fused=True) if every.exhausted else Walk(1)
    async with LiveExecutor(scenario, target) as wire:
        for _ in range(min(every.schedules, _MOST_ON_THE_WIRE)):
            assert scheduler.more()
            trace = await wire.run(scheduler)
            scheduler.learn(trace)
            replay = Replay(trace.moves)
            replay.more()
            assert model.run(replay).signature == trace.signature, word(trace)
    assert not every.exhausted or not scheduler.more()
