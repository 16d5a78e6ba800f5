"""Results for the tests of the reports, searched in the model executor: real traces of the bundled Gateways."""

from __future__ import annotations

import dataclasses
import re
from functools import cache
from typing import TYPE_CHECKING, Any

from stress.checks import cause, run_checks
from stress.config.formats import find
from stress.config.scenario import Scenario
from stress.config.target import Target
from stress.core.outcomes import Outcome, together
from stress.core.schedule import Head, Schedule
from stress.core.trace import Answer, Details, Event, Kind, Snapshot, Trace
from stress.core.verdict import Evidence, Violation, judge
from stress.executors.model.executor import ModelExecutor
from stress.protocols.kube.outcomes import outcome_of as of_request
from stress.protocols.redis.outcomes import of_command, of_transaction, value_of
from stress.protocols.redis.replies import ReplyError
from stress.report.events import Finding, Result
from stress.schedulers.exhaustive import Exhaustive

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from stress.core.step import Move

RACE = ("atomic-hit-count", "redis-read-modify-write")
TWO_RACES = ("concurrent-duplicates", "redis-named-by-second")
HOLDS = ("atomic-hit-count", "redis-atomic")
CLEANUP = ("t2-one-then-three-cleanup", "redis-atomic")


@cache
def found(scenario: str, target: str) -> tuple[Finding, ...]:
    """Search in the model; give the first failing schedule of each invariant, each schedule once."""
    executor = ModelExecutor(Scenario.load(find(scenario, "")), Target.load(find(target, "targets")))
    scheduler = Exhaustive(fused=True)
    first: dict[str, Finding] = {}
    for _ in range(400):
        if not scheduler.more():
            break
        trace = executor.run(scheduler)
        scheduler.learn(trace)
        violations = tuple(run_checks(executor.scenario.invariants, trace))
        schedule = Schedule(
            tuple(trace.moves), Head(scenario=scenario, target=target, executor="model", outcome="race")
        )
        finding = (
            Finding(schedule, trace, violations, cause(violations), "model", replays=(3, 3)) if violations else None
        )
        for one in violations:
            first.setdefault(one.invariant, finding)  # type: ignore[arg-type]
    return tuple({finding.schedule: finding for finding in first.values()}.values())


def trace_of(scenario: str, target: str) -> Trace:
    """Give the trace of the first schedule: each request by itself, one after another."""
    executor = ModelExecutor(Scenario.load(find(scenario, "")), Target.load(find(target, "targets")))
    scheduler = Exhaustive(fused=True)
    scheduler.more()
    return executor.run(scheduler)


def result(case: tuple[str, str], *, fault: str = "", as_expected: bool = True, **changes: Any) -> Result:  # noqa: ANN401 - any field
    """Make a result of a case; with a ``fault`` it is inconclusive and has the trace so far."""
    findings = () if fault else found(*case)
    evidence = Evidence("model", "exhaustive", 20, 1.25, exhausted=not fault, total=None if fault else 20, bound=1)
    made = Result(
        scenario=Scenario.load(find(case[0], "")),
        target=Target.load(find(case[1], "targets")),
        executor="model",
        verdict=judge(
            [one for finding in findings for one in finding.violations], [evidence], [fault] if fault else []
        ),
        expected="race: hits_equal_answers, distinct_counts" if findings else "holds",
        as_expected=as_expected and not fault,
        findings=findings,
        faults=(fault,) if fault else (),
        last_trace=trace_of(*case) if fault else None,
        seconds=1.25,
    )
    return dataclasses.replace(made, **changes)


def hand_made(
    events: Sequence[Event],
    answers: Sequence[Answer] = (),
    states: Sequence[Snapshot] = (Snapshot(None, None),),
    held: Sequence[Move] = (),
) -> Trace:
    """Make a trace of given events, for what no bundled Gateway does; ``held`` was not delivered by a watch."""
    return Trace("live", "f", "fp", 2, (), lambda: Details(answers, states, events, held))


def with_lines(one: Result, lines: Mapping[int, tuple[str, ...]]) -> Result:
    """Give a result whose first race has these lines of code, by the index of their event."""
    first, *others = one.findings
    first = dataclasses.replace(first, trace=first.trace.with_lines(lines))
    return dataclasses.replace(one, findings=(first, *others))


def answer(actor: str, status: int = 201, **changes: Any) -> Answer:  # noqa: ANN401 - any field
    """Make an answer that created (201) or counted (202)."""
    made = Answer(actor, status, None, None, 0, 9, created=status == 201, duplicate=status == 202)
    return dataclasses.replace(made, **changes)


def hostile(text: str) -> Result:
    """Make a result in which every text from outside is ``text``."""
    one = result(RACE)
    start = Event(0, Kind.START, text, "start")
    step = Event(1, Kind.STEP, text, text, text, text, text, lines=(text, text))
    trace = hand_made(
        [start, step], [answer(text, 500, record=text, error=text, body=text)], [Snapshot((text,), {text: 1}, text)]
    )
    violation = Violation(text, text, text, (text,))
    finding = dataclasses.replace(one.findings[0], trace=trace, violations=(violation,), executor=text, confirmed=False)
    return dataclasses.replace(
        one,
        scenario=one.scenario.model_copy(update={"name": text, "story": text, "invariants": [text]}),
        target=one.target.model_copy(update={"name": text}),
        verdict=dataclasses.replace(one.verdict, reason=text),
        expected=text,
        as_expected=False,
        findings=(finding,),
        faults=(text,),
        notes=(text,),
        missing=(text,),
        unexpected=(text,),
    )


def came_to(command: str, text: str, reply: str) -> Outcome:
    """Give what a step came to whose reply is written as it is printed: ``nil``, ``[a b]``, ``200 [rr-1]``."""
    if command[:1].islower():
        status, _, reported = reply.partition(" ")
        names = [{"metadata": {"name": name}} for name in reported[1:-1].split(", ") if name]
        listed = {"items": names} if reported.startswith("[") else {"metadata": {"name": reported}}
        return of_request(int(status or 200), listed)
    names = command.removeprefix("EXEC(").removesuffix(")").split("+")
    parsed = _parsed(reply)
    several = [(name.encode(),) for name in names]
    if command.startswith("EXEC("):
        return of_transaction(several, parsed)
    if len(names) == 1:
        return of_command([word.encode() for word in text.split(" ")] or several[0], parsed)
    if not isinstance(parsed, list) or len(parsed) != len(names):
        return Outcome(value=value_of(parsed, str))
    return together([of_command(args, one) for args, one in zip(several, parsed, strict=True)])


def _parsed(reply: str) -> object:
    if reply.startswith("["):
        return [_parsed(one) for one in reply[1:-1].split(" ") if one]
    if re.match("[A-Z]{3,} [a-z A-Z]", reply):
        return ReplyError(*reply.split(" ", 1))
    return None if reply == "nil" else int(reply) if reply.isdecimal() else reply.encode()
