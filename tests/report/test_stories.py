"""The story of each bundled race: it names the steps of the race, and says nothing that they do not show."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from conftest import scenario_of, target_of
from following import Follow
from test_pattern import RACES, trace_of

from stress.checks import run_checks
from stress.config.formats import bundled
from stress.config.scenario import Scenario
from stress.core.step import Move
from stress.core.trace import Kind
from stress.executors.model.executor import ModelExecutor
from stress.report.explain.locks import locks
from stress.report.explain.story import reported, story
from stress.report.explain.telling import telling
from stress.schedulers.random_walk import Walk

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stress.core.trace import Event, Trace
    from stress.core.verdict import Violation

GUIDE = [
    [cell.strip(" `") for cell in line.strip("|").split("|")]
    for line in (bundled("") / "README.md").read_text().split("## Bundled over")[1].split("## What")[0].splitlines()
    if line.startswith("| ") and not line.startswith("| scenario")
]
DRAWN = 15
"""How many random schedules of each bundled race are told."""
RECORD = "remediationrequests/prod-payments/rr-{fingerprint:12}-{time:1}"
SECOND = "remediationrequests/prod-payments/rr-{fingerprint:12}-{time:2}"
LEASE = "leases/gateway-stress/gw-lock-{fingerprint:16}"
UNHEARD = "before any watch event of it was delivered"
REFUSED = "A's create of it, which was refused (409); B was answered 201 and A was answered 201 all the same"
ACROSS = (
    f"Check-then-act: B's create of {SECOND} came between A's list, which found nothing, and A's create of {RECORD},"
    " while the clock moved on to the next second; both were answered 201, and 2 active records are left."
)
TABLE = {
    "concurrent-duplicates": ACROSS,
    "t1-five-at-once": (
        f"Name collision: B's create of {RECORD.replace('prod-payments', 'gw-dedup-test')} came between A's list,"
        f" which found nothing, and {REFUSED}, A and B were each answered that they created the record, and"
    ),
    "r1-across-a-second": ACROSS,
    "r2-same-second-losers": (
        f"Name collision: B's create of {RECORD} came between A's list, which found nothing, and {REFUSED}, and A and B"
        " were each answered that they created the record."
    ),
    "r3-status-init-lost": (
        f"Stale read: A wrote nothing to {RECORD} after its create of it, and was answered 201 {UNHEARD}; no number is"
        " stored for the 1 hit that was answered."
    ),
    "r4-loser-without-cache": (
        f"Stale read: B's create of {RECORD}, which was refused (409), came after A's create of it and {UNHEARD};"
        " A was answered 201 and B was answered 500."
    ),
    "r5-stale-list": (
        f"Stale read: B's create of {SECOND} came after A's create of {RECORD} and {UNHEARD}, while the clock moved on"
        " to the next second; both were answered 201, and 2 active records are left."
    ),
    "r6-retry-exhaustion": (
        f"Lost update: A's update/status of {RECORD} was refused (409) in all 4 attempts, as B, C, D and E had changed"
        " it each time since A read it; A was answered 202 all the same, 5 hits are stored of the 6 that were answered,"
    ),
    "r7-stale-cache-conflict": (
        f"Stale read: B's update/status of {RECORD} was refused (409) in all 4 attempts after A's update/status had"
        f" changed it and {UNHEARD}; B was answered 202 all the same, and 2 hits are stored of the 3 that were"
        " answered."
    ),
    "r8-phase-flip": "Writer acted after before1 was answered and before A's list; 0 hits are stored of the 1 that was",
    "r9-delete-under-foot": (
        "Delete under foot: Cleanup deleted the records after A's list and before A's get; 0 hits are stored of the 1"
    ),
    "l1-reentrant-lock": (
        f"Re-entrant lock: B's get saw {LEASE}, which A had taken and not given back, and B's create of"
        f" {RECORD.replace('time:1', 'id:2')} followed all the same; both were answered 201, and 2 active records are"
    ),
    "l2-early-release": (
        f"Re-entrant lock: B's delete deleted {LEASE}, which A had taken; A was answered 202 and B was answered 201,"
    ),
    "l3-foreign-delete": (
        f"Delete under foot: A's delete deleted {LEASE}, which C had taken after A's get of it; A was answered 201 and"
    ),
    "l4-stolen-release": (
        f"Lock expiry: A's delete deleted {LEASE}, which B had taken after expiry acted and after A's get of it; A was"
    ),
    "l5-leaked-lease": f"A's client hung up after A's create and before A was answered; expected {LEASE} deleted,",
    "l6-unrenewed-lease": (
        f"Lock expiry: B's update took {LEASE}, which A had taken before expiry acted; both were answered 201, and 2"
    ),
}


def broken(executor: ModelExecutor, trace: Trace, lead: str = "") -> list[Violation]:
    """Give what a run breaks, what is to be told of first."""
    found = run_checks(executor.scenario.invariants, trace)
    return sorted(found, key=lambda one: one.invariant != lead)


@pytest.mark.parametrize(("name", "race", "target", "invariant", "actors"), GUIDE)
def test_each_race_over_kubernetes_is_reported_by_its_steps(
    name: str, race: str, target: str, invariant: str, actors: str
) -> None:
    """The pattern and the sentence of the minimal schedule that the guide tells."""
    del race
    executor = ModelExecutor(scenario_of(name), target_of(target))
    trace = executor.run(Follow(actors))
    violations = broken(executor, trace, invariant)
    assert reported(trace, violations)[: len(TABLE[name])] == TABLE[name]
    assert unfounded(trace, violations) == []


KINDS = ("clock", "cache", "lock", "expiry", "watch")


def unfounded(trace: Trace, violations: Sequence[Violation]) -> list[str]:
    """List what a story says that the steps that it names, and those between them, do not show."""
    about = telling(trace, violations)
    # What objects are called is none of the story's words.
    said = " ".join(
        word for word in reported(trace, violations).split() if "/" not in word and ":" not in word.rstrip(":")
    )
    named = [trace.events[index] for index in about.steps]
    between = trace.events[min(about.steps, default=0) : max(about.steps, default=-1) + 1]
    wrong = [kind for kind in KINDS if re.search(rf"\b{kind}\b", said.lower()) and not shows(trace, between, kind)]
    steps = {(event.actor, event.command) for event in named if event.kind in (Kind.STEP, Kind.START)}
    wrong += [
        f"{actor} {command}"
        for actor, command in re.findall(r"([A-Z]|before\d)'s ([\w/+()]+)", about.cause)
        if (actor, command) not in steps and command not in ("client", "own")
    ]
    if "refused" in about.cause and not any(event.outcome.how == "refused" for event in named):
        wrong.append("refused")
    for actor in re.findall(r"([A-Z]) was answered \d+ all the same", story(trace, violations)):
        tries = [event for event in named if event.actor == actor and event.outcome.how in ("refused", "absent")]
        accepted = [answer for answer in trace.answers if answer.actor == actor and answer.accepted]
        wrong += [] if tries and accepted else [f"{actor} all the same"]
    return wrong


def shows(trace: Trace, between: Sequence[Event], kind: str) -> bool:
    """Tell whether one of these events is of a kind; what a watch still holds at the end was not delivered in them."""
    if kind == "lock":
        return any(locks(event) for event in between)
    if kind in ("cache", "watch"):
        return bool(trace.held) or any(event.actor.startswith("watch") for event in between)
    return any(event.actor == kind and event.kind is Kind.ENVIRONMENT for event in between)


BUNDLED = [
    pytest.param(scenario, target, id=f"{scenario.name}-{target}")
    for scenario in map(Scenario.load, sorted(bundled("").glob("*.yaml")))
    for target, expected in scenario.expect.items()
    if expected != "holds"
]


@pytest.mark.measured_once
@pytest.mark.parametrize(("scenario", "target"), BUNDLED)
def test_no_story_says_what_its_steps_do_not_show(scenario: Scenario, target: str) -> None:
    """No clock, cache, lock or expiry, no refusal and nobody's step, whatever schedule breaks whatever."""
    executor = ModelExecutor(scenario, target_of(target))
    draws = Walk(7, DRAWN)
    while draws.more():
        trace = executor.run(draws)
        draws.learn(trace)
        for one in run_checks(scenario.invariants, trace):
            violations = broken(executor, trace, one.invariant)
            assert unfounded(trace, violations) == [], reported(trace, violations)


@pytest.mark.parametrize("race", RACES)
def test_no_story_of_the_contract_says_what_its_steps_do_not_show(race: str) -> None:
    """That holds of traces that no bundled Gateway makes, too."""
    _, violations, lines = RACES[race]
    assert unfounded(trace_of(*lines), violations) == []


def test_what_no_watch_delivered_is_known_at_the_end() -> None:
    """That A made the record, in a run that never lets it through; else what B changed in it."""
    executor = ModelExecutor(scenario_of("r4-loser-without-cache"), target_of("kube-status-cached"))
    held, heard = (executor.run(Follow(actors)).held for actors in ("A A B B", "A A watch:1 B B"))
    assert (list(held), list(heard)) == ([Move("watch:1", "ADDED", RECORD)], [Move("watch:1", "MODIFIED", RECORD)])
