"""What requests one after another show of a target, for people: `stress-gateway try`."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

from stress.config.stores import protocols
from stress.core.masking import clean, mask_text
from stress.core.registry import PROTOCOLS
from stress.core.scopes import SOMETIMES, Made, made
from stress.core.step import WHOLE
from stress.core.trace import Kind
from stress.executors.live.early import fingerprint_in, way_of
from stress.executors.live.observed import changed
from stress.executors.live.said import body_of, fields_of
from stress.executors.observe import field, text_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from stress.core.trace import Answer, Event, Snapshot
    from stress.executors.live.executor import LiveExecutor
    from stress.executors.live.preflight import Sample
    from stress.executors.live.seen import Seen

_MADE_UP = re.compile(r"\{(?!fingerprint|fresh)[a-z0-9-]+(?::\d+)?\}")
_COUNTS = frozenset({"INCR", "INCRBY", "DECR", "DECRBY", "HINCRBY", "ZINCRBY"})
_SUCCESS, _MULTIPLE = 200, 300


def shown(executor: LiveExecutor) -> list[str]:
    """Give the lines that show the preflight of an executor that was entered: requests, what was learned, proposals."""
    seen = executor.seen
    lines = [f"{seen.scenario.name} on {seen.target.name}: requests one after another, {len(seen.samples)} times"]
    if not seen.samples:
        return lines
    sample = seen.samples[0]
    lines += ["", *_run(seen, sample), "", "learned:", *_indented(_learned(executor, seen))]
    if sample.trace.fault:
        lines += ["", clean(f"the run ended early: {sample.trace.fault}")]
    if proposals := [*_proposed(seen), *background(executor)]:
        lines += ["", f"proposed for {seen.target.place().path}:", *_indented(proposals)]
    return lines


def _indented(lines: Iterable[str]) -> list[str]:
    return [f"  {clean(line)}" for line in lines]


def _run(seen: Seen, sample: Sample) -> Iterator[str]:
    """Show one run: each request, the store commands that it caused with what they access, its answer, the state."""
    states = iter(sample.states)
    answers: dict[str, Answer] = {one.actor: one for one in sample.trace.answers}
    for event in sample.trace.events:
        if event.kind is Kind.START:
            if not event.actor.startswith("before"):
                yield from _state(next(states, None))
            yield clean(f"{event.actor} {seen.sent}")
        elif event.kind is Kind.STEP:
            yield clean(f"  {event if event.actor.startswith('watch:') else _step(event)}")
        elif event.kind is Kind.ANSWER:
            answer = answers[event.actor]
            yield f"  answered {answer.status or 'nothing'}{body_of(answer)}: {_meaning(answer)}"
        else:
            yield clean(f"  {event}")
    for state in states:
        yield from _state(state)


def _step(event: Event) -> str:
    """Write a command, its reply, and what it accesses."""
    touched = [f"{'the whole store' if name == WHOLE else name} ({access})" for name, access in event.touches]
    return f"{event.text} -> {event.reply}" + (f"   accesses {', '.join(touched)}" if touched else "")


def _meaning(answer: Answer) -> str:
    if answer.created or answer.duplicate or answer.either:
        kind = "created" if answer.created else "a duplicate" if answer.duplicate else "created or a duplicate"
    else:
        kind = "to be sent again later" if answer.refused else "no answer that the target lists"
    named = f", names {answer.record}" if answer.record is not None else ", names no record"
    counted = f", tells {answer.count}" if answer.count is not None else ""
    return clean(f"{kind}{named}{counted}")


def _state(state: Snapshot | None) -> Iterator[str]:
    """Show a state, where the target says how it is read."""
    if state is not None and state.records is not None:
        hits = state.hits or {}
        names = [f"{name} with {hits[name]} hits" if name in hits else name for name in state.records]
        yield clean(f"state: {', '.join(names) or 'no record'}")


def _learned(executor: LiveExecutor, seen: Seen) -> Iterator[str]:
    """Say what is normal for the target."""
    steps = [one for sample in seen.samples for one in sample.trace.events if one.kind is Kind.STEP]
    words = " ".join(f"{one.text} {one.reply}" for one in steps)
    words += " ".join(one.record or "" for one in seen.answers)
    counters = dict.fromkeys(one.object for one in steps if one.command in _COUNTS)
    passed = [f"{name} {count}x" for name, count in sorted(seen.heard.passed.items())]
    idle = [" ".join(one) for one in sorted(executor.learned.idle)]
    errors = [str(one) for one in seen.heard.errors]
    for name, found in (
        ("keys written", changed(seen.samples)),
        ("counters", list(counters)),
        ("generated values", sorted(set(_MADE_UP.findall(words)))),
        ("passed as background", passed),
        ("comes without a request", idle),
        ("workers", _worker(executor)),
        ("errors of the store", errors),
    ):
        yield f"{name}: {', '.join(found) or 'none'}"
    yield from map(_within, _made(executor))
    settle = executor.learned.settle
    yield f"settle time: {settle:g} s" if settle else "settle time: none, it is over when its processes sleep"


def _worker(executor: LiveExecutor) -> list[str]:
    """Say what works for no request and is an actor."""
    one = executor.learned.worker
    return (
        [] if one is None else [f"worker:<replica> looks for work with {' '.join(one.head)} each {one.seconds:.2g} s"]
    )


def _made(executor: LiveExecutor) -> list[Made]:
    """Give the generated values; what `second` tells is learned from when they were shown."""
    learned = executor.learned
    turned = [learned.turned] if learned.turned is not None and not learned.turned.trace.fault else []
    shown = [[one.shown for one in samples] for samples in (learned.samples, turned)]
    return made(shown[0], learned.patterns, time.time(), shown[1])


def _within(one: Made) -> str:
    """Say of a generated value where it stands and what it is equal within."""
    place = f"word {one.place} of {one.command}" if one.place else f"in a reply to {one.command}"
    if one.scope == SOMETIMES:
        return mask_text(f"generated, {one.scope}, a nondeterministic input: {', '.join(one.values)} ({place})")
    return mask_text(f"generated, the {one.scope}'s: {one.values[0]} ({place})")


def _proposed(seen: Seen) -> Iterator[str]:
    """Give the keys that would fit what was seen, where the file says something else or nothing."""
    sample = seen.samples[0]
    answers = [one for one in sample.trace.answers if _SUCCESS <= one.status < _MULTIPLE]
    if answers and not (answers[0].created or answers[0].duplicate or answers[0].either):
        more = f", duplicate: {answers[-1].status}" if answers[-1].status != answers[0].status else ""
        yield f"answers: {{created: {answers[0].status}{more}}}"
    if answers and all(one.record is None for one in answers) and (path := _naming(seen)):
        yield f"answers: {{record: {path}}}"
    if seen.marks.field is not None:
        reported = fingerprint_in(sample.trace.answers, seen.marks.field)
        if reported != seen.marks.fingerprint(sample.trace.fresh) and (
            way := way_of(seen, sample.trace.fresh, reported)
        ):
            yield f"fingerprint: {way}"
    yield from _hits(seen)


def background(executor: LiveExecutor) -> Iterator[str]:
    """Give the rule by which what is no request's passes, where no request has a command of that kind."""
    passing = executor.learned.passing
    steps = [one for sample in executor.learned.samples for one in sample.trace.events if one.kind is Kind.STEP]
    for name, parts in protocols().items():
        rule_of = PROTOCOLS[name].rule
        used = {
            rule_of(one.command, one.object) for one in steps if not executor.learned.passes(one.command, one.object)
        }
        if rules := sorted({rule_of(*one) for one in passing} - used - {""}):
            yield f"background: {{{name}: [{', '.join((*parts.usual, *rules))}]}}"


def _naming(seen: Seen) -> str:
    """Find a text that all answers of a run have in common and those of other runs do not: it may name the record."""
    bodies: list[list[Any]] = [[one.body for one in sample.trace.answers] for sample in seen.samples]
    for path in fields_of(bodies[0][0]) if bodies and bodies[0] else ():
        reported = [{text_of(field(body, path)) for body in run} for run in bodies]
        one_each = all(len(texts) == 1 and None not in texts for texts in reported)
        if one_each and path != seen.marks.field and len(set().union(*reported)) == len(reported) > 1:
            return path
    return ""


def _hits(seen: Seen) -> Iterator[str]:
    """Propose a counter as the hits of a record."""
    if seen.target.observe is not None and seen.target.observe.hits is not None:
        return
    for event in seen.samples[0].trace.events:
        for name in protocols() if event.kind is Kind.STEP else ():
            if how := PROTOCOLS[name].counter(event.command, event.text.split()):
                yield f"observe: {{hits: {{{name}: {how}}}}}"
                return
