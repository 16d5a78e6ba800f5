"""The name of a race's pattern, from its steps alone; each race of the contract (section 3) has one."""

from __future__ import annotations

import pytest
from made import CLEANUP, RACE, TWO_RACES, came_to, found, hand_made
from made import answer as answer_of

from stress.core.step import Access, Touch
from stress.core.trace import Answer, Event, Kind, Trace
from stress.core.verdict import Violation
from stress.protocols.kube.requests import KubeEffect, touches_of
from stress.report.explain.pattern import Pattern, pattern, telling
from stress.report.explain.story import story, told

_VERBS = ("get", "list", "create", "update", "delete")
LEASE, OTHER = "leases/kubernaut-system/gw-lock-{fingerprint:16}", "rr/prod/rr-1"


def trace_of(*lines: str) -> Trace:
    """Make a trace of lines: ``A list rr/prod/* 200 []``, ``A GET k read nil``, ``A answer 201 rr-1``, ``A clock``."""
    events: list[Event] = []
    answers: list[Answer] = []
    for index, line in enumerate(lines):
        actor, command, *rest = line.split(" ")
        if command in ("start", "clock", "cleanup", "expiry", "writer"):
            kind = Kind.START if command == "start" else Kind.ENVIRONMENT
            events.append(Event(index, kind, actor, command))
        elif command == "answer":
            events.append(Event(index, Kind.ANSWER, actor, rest[0]))
            record = rest[1] if len(rest) > 1 else None
            answers.append(answer_of(actor, int(rest[0]), record=record, ended=index))
        else:
            events.append(_step(index, actor, command, rest))
    return hand_made(events, answers)


def _step(index: int, actor: str, command: str, rest: list[str]) -> Event:
    name, *words = rest
    verb = command.split("/", maxsplit=1)[0]
    if verb in _VERBS:
        resource, namespace, one = name.split("/")
        subresource = command.partition("/")[2]
        effect = KubeEffect(verb, "g", resource, namespace, one.replace("*", ""), subresource)
        text, reply = f"{command} {name}", " ".join(words)
        came = came_to(command, text, reply)
        return Event(index, Kind.STEP, actor, command, name, text, reply, touches_of(effect), outcome=came)
    if command.isupper() and actor.startswith("watch"):
        return Event(index, Kind.STEP, actor, command, name, command, command)
    touch = Touch(name, Access(words[0]))
    text, reply = f"{command} {name}", " ".join(words[1:])
    came = came_to(command, text, reply)
    return Event(index, Kind.STEP, actor, command, name, text, reply, (touch,), outcome=came)


HITS = (Violation("hits_equal_answers", "2 hits", "1", ("A", "B")),)
RECORDS = (Violation("one_active_record", "1", "2", ("A", "B")),)
ERRORS = (Violation("no_server_error", "2xx", "500", ("B",)),)
LEASES = (Violation("lease_deleted_by_owner", "the owner", "another"),)

RACES: dict[str, tuple[Pattern, tuple[Violation, ...], tuple[str, ...]]] = {
    "A1, both store a count of one": (
        Pattern.LOST_UPDATE,
        HITS,
        ("A EXISTS k read 0", "B EXISTS k read 0", "B HSET k write 3", "A HSET k write 0"),
    ),
    "A2, what expired is counted up": (
        Pattern.DELETE_UNDER_FOOT,
        HITS,
        ("A EXISTS k read 1", "expiry expiry", "A HINCRBY k write 1"),
    ),
    "A4, both see no window": (
        Pattern.CHECK_THEN_ACT,
        RECORDS,
        ("A GET w read nil", "B GET w read nil", "B SET w write OK", "A SET w write OK"),
    ),
    "B1, records of two names": (
        Pattern.CHECK_THEN_ACT,
        RECORDS,
        (
            "A list rr/prod/* 200 []",
            "B list rr/prod/* 200 []",
            "A create rr/prod/rr-1 201 rr-1",
            "clock clock",
            "B create rr/prod/rr-2 201 rr-2",
            "A answer 201 rr-1",
            "B answer 201 rr-2",
        ),
    ),
    "R1, both reads from a cache that was right": (
        Pattern.CHECK_THEN_ACT,
        RECORDS,
        (
            "A start",
            "clock clock",
            "B start",
            "A create rr/prod/rr-1 201 rr-1",
            "watch:1 ADDED rr/prod/rr-1",
            "B create rr/prod/rr-2 201 rr-2",
            "A update/status rr/prod/rr-1 200 rr-1",
            "A answer 201 rr-1",
            "B update/status rr/prod/rr-2 200 rr-2",
            "B answer 201 rr-2",
        ),
    ),
    "R2, live reads": (
        Pattern.NAME_COLLISION,
        RECORDS,
        (
            "A list rr/prod/* 200 []",
            "B list rr/prod/* 200 []",
            "A create rr/prod/rr-1 201 rr-1",
            "B create rr/prod/rr-1 409 AlreadyExists rr-1",
            "B get rr/prod/rr-1 200 rr-1",
            "B update/status rr/prod/rr-1 200 rr-1",
            "A answer 201 rr-1",
            "B answer 201 rr-1",
        ),
    ),
    "R2, reads from a cache that was told": (
        Pattern.NAME_COLLISION,
        RECORDS,
        (
            "A start",
            "B start",
            "A create rr/prod/rr-1 201 rr-1",
            "watch:1 ADDED rr/prod/rr-1",
            "B create rr/prod/rr-1 409 AlreadyExists rr-1",
            "A update/status rr/prod/rr-1 200 rr-1",
            "A answer 201 rr-1",
            "B answer 201 rr-1",
        ),
    ),
    "R3, its own creation is not in the cache": (
        Pattern.STALE_READ,
        HITS,
        (
            "A start",
            "A create rr/prod/rr-1 201 rr-1",
            "A answer 201 rr-1",
            "watch:1 ADDED rr/prod/rr-1",
            "B start",
            "B update/status rr/prod/rr-1 200 rr-1",
            "B answer 202 rr-1",
        ),
    ),
    "R4, the winner is not in the cache": (
        Pattern.STALE_READ,
        ERRORS,
        (
            "A start",
            "B start",
            "A create rr/prod/rr-1 201 rr-1",
            "B create rr/prod/rr-1 409 AlreadyExists rr-1",
            "B answer 500",
            "watch:1 ADDED rr/prod/rr-1",
            "A update/status rr/prod/rr-1 200 rr-1",
            "A answer 201 rr-1",
        ),
    ),
    "R5, the list is older than the record": (
        Pattern.STALE_READ,
        RECORDS,
        (
            "A start",
            "A create rr/prod/rr-1 201 rr-1",
            "A answer 201 rr-1",
            "clock clock",
            "B start",
            "B create rr/prod/rr-2 201 rr-2",
            "B answer 201 rr-2",
        ),
    ),
    "R6, refused until it gives up": (
        Pattern.LOST_UPDATE,
        HITS,
        (
            "A get rr/prod/rr-1 200 rr-1",
            "B get rr/prod/rr-1 200 rr-1",
            "B update/status rr/prod/rr-1 200 rr-1",
            "A update/status rr/prod/rr-1 409 Conflict rr-1",
            "A answer 202 rr-1",
            "B answer 202 rr-1",
        ),
    ),
    "R7, the cache stays behind while a write is tried again": (
        Pattern.STALE_READ,
        HITS,
        (
            "B start",
            "C start",
            "B update/status rr/prod/rr-1 200 rr-1",
            "C update/status rr/prod/rr-1 409 Conflict rr-1",
            "C update/status rr/prod/rr-1 409 Conflict rr-1",
            "C answer 202 rr-1",
            "watch:1 MODIFIED rr/prod/rr-1",
        ),
    ),
    "R8, the record is finished meanwhile": (
        Pattern.STALE_READ,
        HITS,
        ("A list rr/prod/* 200 [rr-1]", "writer writer", "A update/status rr/prod/rr-1 200 rr-1"),
    ),
    "R9, the record is deleted meanwhile": (
        Pattern.DELETE_UNDER_FOOT,
        HITS,
        ("A list rr/prod/* 200 [rr-1]", "cleanup cleanup", "A get rr/prod/rr-1 404 NotFound rr-1"),
    ),
    "a request deletes what another has seen": (
        Pattern.DELETE_UNDER_FOOT,
        HITS,
        ("A GET k read 1", "B DEL k delete 1", "A SET k write OK"),
    ),
    "L1, one pod enters twice": (
        Pattern.REENTRANT_LOCK,
        RECORDS,
        (
            f"A get {LEASE} 404 NotFound",
            f"A create {LEASE} 201 lock",
            "A list rr/prod/* 200 []",
            f"B get {LEASE} 200 lock",
            "B list rr/prod/* 200 []",
            "A create rr/prod/rr-1 201 rr-1",
            "B create rr/prod/rr-2 201 rr-2",
        ),
    ),
    "L3, a lock is deleted that is another's by now": (
        Pattern.DELETE_UNDER_FOOT,
        LEASES,
        (
            f"A create {LEASE} 201 lock",
            f"A get {LEASE} 200 lock",
            f"B get {LEASE} 200 lock",
            f"A delete {LEASE} 200",
            f"C create {LEASE} 201 lock",
            f"B delete {LEASE} 200",
        ),
    ),
    "L4, a lock that ran out is taken over": (
        Pattern.LOCK_EXPIRY,
        LEASES,
        (
            f"A create {LEASE} 201 lock",
            f"C get {LEASE} 200 lock",
            f"C update {LEASE} 200 lock",
            f"A delete {LEASE} 200",
        ),
    ),
    "L6, the time of a lock is over": (
        Pattern.LOCK_EXPIRY,
        RECORDS,
        (f"A create {LEASE} 201 lock", "A list rr/prod/* 200 []", "expiry expiry", "A create rr/prod/rr-1 201 rr-1"),
    ),
    "a lock in Redis runs out by itself": (
        Pattern.LOCK_EXPIRY,
        RECORDS,
        ("A SET my:lock create-if-absent OK", "B SET my:lock create-if-absent OK", "A SET k write OK"),
    ),
    "another holds the lock in Redis, and B goes on": (
        Pattern.REENTRANT_LOCK,
        RECORDS,
        ("A SET my:lock create-if-absent OK", "B GET my:lock read pod-1", "B SET k write OK", "A SET k write OK"),
    ),
    "what was read is used elsewhere": (
        Pattern.STALE_READ,
        RECORDS,
        ("A GET k read 1", "B SET k write OK", "A SET other write OK"),
    ),
}


@pytest.mark.parametrize("race", RACES)
def test_each_race_of_the_contract_has_its_name(race: str) -> None:
    """The pattern is told from what the steps touch and are told, whatever the scenario is called."""
    expected, violations, lines = RACES[race]
    assert pattern(trace_of(*lines), violations) is expected


BUNDLED = {
    (*RACE, 0): Pattern.LOST_UPDATE,
    ("t2-one-then-three", RACE[1], 0): Pattern.LOST_UPDATE,
    (*TWO_RACES, 0): Pattern.NAME_COLLISION,
    (*TWO_RACES, 1): Pattern.CHECK_THEN_ACT,
    ("concurrent-duplicates", "redis-pseudo-lock", 0): Pattern.NAME_COLLISION,
    ("concurrent-duplicates", "redis-pseudo-lock", 1): Pattern.CHECK_THEN_ACT,
    ("concurrent-duplicates", "redis-store-overwrite", 0): Pattern.LOST_UPDATE,
    (*CLEANUP, 0): Pattern.DELETE_UNDER_FOOT,
}


@pytest.mark.parametrize(("scenario", "target", "number"), BUNDLED)
def test_each_bundled_race_has_its_name(scenario: str, target: str, number: int) -> None:
    """The races of the bundled Gateways in Redis, as the model finds them."""
    finding = found(scenario, target)[number]
    assert pattern(finding.trace, finding.violations) is BUNDLED[scenario, target, number]


STORIES = {
    "L1, one pod enters twice": ((1, 3, 6), f"B's get saw {LEASE}, which A holds, and went in all the same"),
    "L3, a lock is deleted that is another's by now": ((2, 4, 5), f"B's delete deleted {LEASE}, which C holds"),
    "L4, a lock that ran out is taken over": ((0, 2), f"C's update took over {LEASE}, which A holds"),
    "a lock in Redis runs out by itself": ((0, 1), "B's SET took my:lock, which A holds"),
    "R3, its own creation is not in the cache": (
        (1, 2),
        "A was answered before the cache knew of its own create of rr/prod/rr-1; A was answered 201, and 1 hit is",
    ),
    "R4, the winner is not in the cache": (
        (2, 3),
        "A's create of rr/prod/rr-1 was not known to the cache when B's create, which was refused (409), came; A was",
    ),
    "R5, the list is older than the record": (
        (1, 5),
        "A's create of rr/prod/rr-1 was not known to the cache when B's create came, while the clock moved on to the",
    ),
    "R2, live reads": ((1, 2, 3), "A created the record (create) between B's list, which saw 200 [], and B's create"),
    "R9, the record is deleted meanwhile": (
        (1,),
        "Cleanup acted after A's list and before A's get; 1 hit is stored",
    ),
}


@pytest.mark.parametrize("race", STORIES)
def test_the_story_says_what_the_pattern_is_seen_by(race: str) -> None:
    """The steps that are marked, and a sentence about them."""
    _, violations, lines = RACES[race]
    trace = trace_of(*lines)
    assert (telling(trace, violations).steps, story(trace, violations)[: len(STORIES[race][1])]) == STORIES[race]


def test_a_lock_that_works_is_no_pattern() -> None:
    """Who waits for a lock, or finds it free, has not entered over another's head; nor does a lock end a race."""
    waits = trace_of(
        f"A create {LEASE} 201 lock",
        f"B get {LEASE} 200 lock",
        "A create rr/prod/rr-1 201 rr-1",
        f"A delete {LEASE} 200",
        f"B get {LEASE} 404 NotFound",
        f"B create {LEASE} 201 lock",
        "B update/status rr/prod/rr-1 200 rr-1",
        f"B delete {LEASE} 200",
    )
    assert pattern(waits, ()) is not Pattern.REENTRANT_LOCK
    assert pattern(waits, ()) is not Pattern.LOCK_EXPIRY


def test_nothing_between_has_no_name() -> None:
    """Where no step came between and nobody acted, the story stands alone; with a name it comes first."""
    alone = trace_of("A GET k read 1", "A answer 200")
    assert pattern(alone, ()) is None
    assert told(alone, ()) == "Nothing that was checked is broken."
    finding = found(*RACE)[0]
    assert told(finding.trace, finding.violations).startswith("Lost update: B's HSET changed gw:dedup:{fingerprint}")


def test_every_pattern_says_what_it_means() -> None:
    """A name alone explains nothing to who has not heard it."""
    assert [one.meaning.endswith(".") for one in Pattern] == [True] * 7
