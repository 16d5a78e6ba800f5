"""The name of a race's pattern, from its steps alone; each race of the contract (section 3) has one."""

from __future__ import annotations

from dataclasses import replace

import pytest
from made import CLEANUP, RACE, TWO_RACES, came_to, found, hand_made
from made import answer as answer_of

from stress.core.step import Access, Move, Touch
from stress.core.trace import Answer, Event, Kind, Trace
from stress.core.verdict import Violation
from stress.protocols.kube.requests import KubeEffect, touches_of
from stress.report.explain.locks import lost_locks
from stress.report.explain.pattern import Pattern
from stress.report.explain.story import reported, story
from stress.report.explain.telling import pattern, telling

_VERBS = ("get", "list", "create", "update", "delete")
LEASE, OTHER = "leases/kubernaut-system/gw-lock-{fingerprint:16}", "rr/prod/rr-1"


def trace_of(*lines: str) -> Trace:
    """Make a trace of lines: ``A list rr/prod/* 200 []``, ``A GET k read nil``, ``A answer 201 rr-1``, ``clock clock``.

    ``watch:1 held rr/prod/rr-1`` is an event that was not delivered, ``A blocked`` a sleep.
    """
    events: list[Event] = []
    answers: list[Answer] = []
    held = [Move("watch:1", "ADDED", line.split(" ")[2]) for line in lines if line.startswith("watch:1 held")]
    for index, line in enumerate(line for line in lines if not line.startswith("watch:1 held")):
        actor, command, *rest = line.split(" ")
        if command == "blocked":
            events.append(Event(index, Kind.BLOCKED, actor, command))
        elif command in ("start", "clock", "cleanup", "expiry", "writer"):
            kind = Kind.START if command == "start" else Kind.ENVIRONMENT
            events.append(Event(index, kind, actor, command))
        elif command == "answer":
            events.append(Event(index, Kind.ANSWER, actor, rest[0]))
            record = rest[1] if len(rest) > 1 else None
            answers.append(answer_of(actor, int(rest[0]), record=record, ended=index))
        else:
            events.append(_step(index, actor, command, rest))
    return hand_made(events, answers, held=held)


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


HITS = (Violation("hits_equal_answers", "2 hits", "1", ("A", "B", "C")),)
RECORDS = (Violation("one_active_record", "1", "2", ("A", "B")),)
ERRORS = (Violation("no_server_error", "2xx", "500", ("B",)),)
LEASED = (Violation("lease_deleted_as_seen", "the one that A saw", "another", ("A", "C"), (2, 3, 4)),)
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
    "R4, no event is known of": (
        Pattern.NAME_COLLISION,
        ERRORS,
        (
            "A start",
            "B start",
            "A create rr/prod/rr-1 201 rr-1",
            "B create rr/prod/rr-1 409 AlreadyExists rr-1",
            "B answer 500",
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
            "watch:1 held rr/prod/rr-1",
        ),
    ),
    "R5, the event comes after the list and before the record": (
        Pattern.STALE_READ,
        RECORDS,
        (
            "A start",
            "A create rr/prod/rr-1 201 rr-1",
            "A answer 201 rr-1",
            "B start",
            "watch:1 ADDED rr/prod/rr-1",
            "clock clock",
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
            "A get rr/prod/rr-1 200 rr-1",
            "C update/status rr/prod/rr-1 200 rr-1",
            "A update/status rr/prod/rr-1 409 Conflict rr-1",
            "A answer 202 rr-1",
            "B answer 202 rr-1",
            "C answer 202 rr-1",
        ),
    ),
    "a transaction is refused until it gives up": (
        Pattern.LOST_UPDATE,
        (Violation("no_server_error", "2xx", "500", ("A",)),),
        (
            "A WATCH k read OK",
            "B SET k write OK",
            "A EXEC(SET) k write nil",
            "A WATCH k read OK",
            "B SET k write OK",
            "A GET k read 2",
            "A EXEC(SET) k write nil",
            "A answer 500",
            "B answer 201",
        ),
    ),
    "a write that was refused is tried again": (
        Pattern.CHECK_THEN_ACT,
        HITS,
        (
            "A get rr/prod/rr-1 200 rr-1",
            "B update/status rr/prod/rr-1 200 rr-1",
            "A update/status rr/prod/rr-1 409 Conflict rr-1",
            "A get rr/prod/rr-1 200 rr-1",
            "A update/status rr/prod/rr-1 200 rr-1",
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
        Pattern.CHECK_THEN_ACT,
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
            "expiry expiry",
            f"C get {LEASE} 200 lock",
            f"C update {LEASE} 200 lock",
            f"A delete {LEASE} 200",
        ),
    ),
    "a lock that nobody deleted is taken over": (
        Pattern.LOCK_TAKEN,
        LEASES,
        (f"A create {LEASE} 201 lock", f"C get {LEASE} 200 lock", f"C update {LEASE} 200 lock"),
    ),
    "L4, the lock of who took it over is deleted": (
        Pattern.LOCK_EXPIRY,
        LEASED,
        (
            f"A create {LEASE} 201 lock",
            "expiry expiry",
            f"A get {LEASE} 200 lock",
            f"C update {LEASE} 200 lock",
            f"A delete {LEASE} 200",
        ),
    ),
    "L6, the time of a lock is over": (
        Pattern.LOCK_EXPIRY,
        RECORDS,
        (f"A create {LEASE} 201 lock", "A list rr/prod/* 200 []", "expiry expiry", "A create rr/prod/rr-1 201 rr-1"),
    ),
    "a lock in Redis is taken twice": (
        Pattern.LOCK_TAKEN,
        RECORDS,
        ("A SET my:lock create-if-absent OK", "B SET my:lock create-if-absent OK", "A SET k write OK"),
    ),
    "another holds the lock in Redis, and B goes on": (
        Pattern.REENTRANT_LOCK,
        RECORDS,
        (
            "A SET my:lock create-if-absent OK",
            "B GET my:lock read pod-1",
            "B SETNX k create-if-absent 1",
            "A SET k write OK",
        ),
    ),
    "what is written in two steps is read between them": (
        Pattern.TORN_READ,
        ERRORS,
        (
            "A start",
            "A SET body write OK",
            "B GET body read x",
            "B GET status read nil",
            "B answer 500",
            "A SET status write OK",
            "A EXPIRE body write 1",
            "A answer 201",
        ),
    ),
    "what was read is used elsewhere": (
        Pattern.CHECK_THEN_ACT,
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
    "R1, both reads from a cache that was right": (
        (2, 3, 5),
        "A's create of rr/prod/rr-1 came between B's start and B's create of rr/prod/rr-2; both were answered 201, and",
    ),
    "R2, live reads": (
        (1, 2, 3),
        (
            "A's create of rr/prod/rr-1 came between B's list, which found nothing, and B's create of it, which was"
            " refused (409); A was answered 201 and B was answered 201 all the same, and"
        ),
    ),
    "R3, its own creation is not in the cache": (
        (1, 2, 3),
        (
            "A wrote nothing to rr/prod/rr-1 after its create of it, and was answered 201 before any watch event of it"
            " was delivered; 1 hit is stored"
        ),
    ),
    "R4, the winner is not in the cache": (
        (2, 3, 5),
        (
            "B's create of rr/prod/rr-1, which was refused (409), came after A's create of it and before any watch"
            " event of it was delivered; A was answered 201 and B was answered 500."
        ),
    ),
    "R4, no event is known of": (
        (2, 3),
        "B's create of rr/prod/rr-1, which was refused (409), came after A's create of it; A was answered 201 and B",
    ),
    "R5, the list is older than the record": (
        (1, 5),
        (
            "B's create of rr/prod/rr-2 came after A's create of rr/prod/rr-1 and before any watch event of it was"
            " delivered, while the clock moved on to the next second; both were answered 201"
        ),
    ),
    "R5, the event comes after the list and before the record": (
        (1, 3, 4, 6),
        (
            "B started after A's create of rr/prod/rr-1 and before any watch event of it was delivered, and then came"
            " B's create of rr/prod/rr-2, while the clock moved on to the next second; both were answered 201"
        ),
    ),
    "R6, refused until it gives up": (
        (2, 3, 5, 6),
        (
            "A's update/status of rr/prod/rr-1 was refused (409) in all 2 attempts, as B and C had changed it each time"
            " since A read it; A was answered 202 all the same, and 1 hit is stored"
        ),
    ),
    "a transaction is refused until it gives up": (
        (1, 2, 4, 6),
        (
            "A's EXEC(SET) of k was refused in all 2 attempts, as B had changed it each time since A watched it; A was"
            " answered 500."
        ),
    ),
    "a write that was refused is tried again": (
        (0, 1, 2),
        (
            "B's update/status changed rr/prod/rr-1 between A's get, which found it, and A's update/status, which was"
            " refused (409); both were answered 202"
        ),
    ),
    "R7, the cache stays behind while a write is tried again": (
        (2, 3, 4, 6),
        (
            "C's update/status of rr/prod/rr-1 was refused (409) in all 2 attempts after B's update/status had changed"
            " it and before any watch event of it was delivered; C was answered 202 all the same"
        ),
    ),
    "R8, the record is finished meanwhile": ((0, 1, 2), "Writer acted after A's list and before A's update/status; 1"),
    "R9, the record is deleted meanwhile": ((0, 1, 2), "Cleanup acted after A's list and before A's get; 1 hit is"),
    "L1, one pod enters twice": (
        (1, 3, 6),
        f"B's get saw {LEASE}, which A had taken and not given back, and B's create of rr/prod/rr-2 followed all the",
    ),
    "L3, a lock is deleted that is another's by now": (
        (2, 4, 5),
        f"B's delete deleted {LEASE}, which C had taken after B's get of it",
    ),
    "L4, a lock that ran out is taken over": (
        (0, 1, 3),
        f"C's update took {LEASE}, which A had taken before expiry acted",
    ),
    "L4, the lock of who took it over is deleted": (
        (1, 2, 3, 4),
        f"A's delete deleted {LEASE}, which C had taken after expiry acted and after A's get of it",
    ),
    "L6, the time of a lock is over": (
        (0, 1, 2, 3),
        f"Expiry acted after A's create of {LEASE}, after A's list and before A's create; e",
    ),
    "a lock in Redis is taken twice": (
        (0, 1),
        "B's SET took my:lock, which A had taken and nobody had deleted; exp",
    ),
    "what is written in two steps is read between them": (
        (1, 2, 3, 5),
        (
            "B's GET of body, which saw x, came after A's SET of it, and B's GET of status, which found nothing, came"
            " before A's SET of it; A was answered 201 and B was answered 500."
        ),
    ),
}


@pytest.mark.parametrize("race", STORIES)
def test_the_story_says_what_the_pattern_is_seen_by(race: str) -> None:
    """The steps that are marked, and a sentence about them."""
    _, violations, lines = RACES[race]
    trace = trace_of(*lines)
    assert (telling(trace, violations).steps, story(trace, violations)[: len(STORIES[race][1])]) == STORIES[race]


KEPT_OUT = {
    "waits for a lock, or finds it free": (
        f"A create {LEASE} 201 lock",
        f"B get {LEASE} 200 lock",
        "A create rr/prod/rr-1 201 rr-1",
        f"A delete {LEASE} 200",
        f"B get {LEASE} 404 NotFound",
        f"B create {LEASE} 201 lock",
        "B update/status rr/prod/rr-1 200 rr-1",
        f"B delete {LEASE} 200",
    ),
    "is refused, sleeps, and counts outside of the lock": (
        f"A create {LEASE} 201 lock",
        f"B get {LEASE} 200 lock",
        "B blocked",
        "A create rr/prod/rr-1 201 rr-1",
        "B list rr/prod/* 200 [rr-1]",
        "B update/status rr/prod/rr-1 200 rr-1",
    ),
    "sleeps, and then makes something that needs no lock": (
        f"A create {LEASE} 201 lock",
        f"B get {LEASE} 200 lock",
        "B blocked",
        "B create rr/prod/rr-2 201 rr-2",
    ),
    "is refused the lock, and makes something that needs none": (
        f"A create {LEASE} 201 lock",
        f"B get {LEASE} 200 lock",
        f"B create {LEASE} 409 AlreadyExists lock",
        "B create rr/prod/rr-2 201 rr-2",
    ),
    "asks for it by a script, which says how long it lasts": (
        "A SET my:lock create-if-absent OK",
        "B EVAL my:lock write 5000",
        "A SET k write OK",
    ),
    "lets it last longer": (
        "A SET my:lock create-if-absent OK",
        "B EXPIRE my:lock write 1",
        "A SET k write OK",
    ),
}


@pytest.mark.parametrize("who", KEPT_OUT)
def test_a_lock_that_works_is_no_pattern(who: str) -> None:
    """Who does so has not entered over another's head, nor taken the lock: no pattern of locks is told."""
    lines = KEPT_OUT[who]
    assert lost_locks(trace_of(*lines).events) == []
    assert telling(trace_of(*lines), RECORDS).pattern not in {
        Pattern.REENTRANT_LOCK,
        Pattern.LOCK_TAKEN,
        Pattern.LOCK_EXPIRY,
    }


def test_an_event_that_stands_for_several_attempts_counts_as_so_many() -> None:
    """Who asks the same again and is told the same is followed in one step: its attempts are all told."""
    made = trace_of(
        "B update/status rr/prod/rr-1 200 rr-1",
        "A update/status rr/prod/rr-1 409 Conflict rr-1",
        "A update/status rr/prod/rr-1 409 Conflict rr-1",
        "A answer 202 rr-1",
    )
    events = [*made.events[:2], replace(made.events[2], times=3), made.events[3]]
    assert story(hand_made(events, made.answers), HITS).startswith(
        "A's update/status of rr/prod/rr-1 was refused (409) in all 4 attempts after B had changed it; A was answered"
    )


def test_nothing_between_has_no_name() -> None:
    """Where no step came between and nobody acted, the story stands alone; with a name it comes first."""
    isolated = trace_of("A GET k read 1", "A answer 200")
    assert pattern(isolated, ()) is None
    assert reported(isolated, ()) == "Nothing that was checked is broken."
    finding = found(*RACE)[0]
    assert reported(finding.trace, finding.violations).startswith(
        "Lost update: B's HSET changed gw:dedup:{fingerprint}"
    )


def test_every_pattern_says_what_it_means() -> None:
    """A name alone explains nothing to who has not heard it."""
    assert [one.meaning.endswith(".") for one in Pattern] == [True] * 9
