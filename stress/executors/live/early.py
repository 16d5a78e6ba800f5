"""Environment actors that need the fingerprint before an answer names it."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from stress.config.placeholders import filled
from stress.config.target_parts import FromAnswer
from stress.core.errors import Fault, UsageFault
from stress.core.masking import clean
from stress.executors.fingerprint import of_signal
from stress.executors.live.observed import changed
from stress.executors.observe import field, text_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stress.config.target import Target
    from stress.core.trace import Answer
    from stress.executors.live.preflight import Sample
    from stress.executors.live.seen import Seen


def early(seen: Seen) -> UsageFault | None:
    """See whether expiry or cleanup may act on keys of a fingerprint that is still a guess, and a wrong one."""
    target, scenario = seen.target, seen.scenario
    acting = [name for name in ("expiry", "cleanup") if name in scenario.actors and _asks(target, name)]
    if scenario.earlier or not acting or not isinstance(target.fingerprint, FromAnswer):
        return None
    for sample in seen.samples:
        guess, reported = (
            seen.marks.fingerprint(sample.trace.fresh),
            fingerprint_in(sample.trace.answers, seen.marks.field),
        )
        if reported == guess or (reported is None and _uses(sample)):
            continue
        known = f"answers {reported!r}" if reported is not None else "never answers it"
        message = (
            f"fingerprint: `{acting[0]}` of the scenario acts before an answer tells the fingerprint, and it can't be "
            f"guessed: the service {known}, not {guess!r}"
        )
        way = way_of(seen, sample.trace.fresh, reported) or '"a text over the signal, as {labels.pod}"'
        ways = f"`fingerprint: {way}` in the target, or `before: 1` in the scenario"
        return UsageFault([Fault(target.place("fingerprint"), clean(message), f"say one of: {ways}")])
    return None


def _asks(target: Target, actor: str) -> bool:
    """Tell whether what an actor does depends on the fingerprint."""
    part = getattr(target.environment, actor)
    if part is None:
        return False
    records = target.observe.records if target.observe is not None else None
    usual = getattr(part, "where", ()) is None and records is not None  # then it acts on the records
    return "{fingerprint}" in part.model_dump_json() + (records.model_dump_json() if usual and records else "")


def fingerprint_in(answers: Sequence[Answer], path: str | None) -> str | None:
    """Give the fingerprint that an answer tells, or None."""
    return next((reported for one in answers if (reported := text_of(field(one.body, path))) is not None), None)


def _uses(sample: Sample) -> bool:
    """Tell whether a key that requests wrote has the guessed fingerprint in its name."""
    return any("{fingerprint}" in name for name in changed([sample]))


def way_of(seen: Seen, fresh: str, reported: str | None) -> str:
    """Write the fingerprint as a value that is sent, or its hash, where that is what was answered; else nothing."""
    signal = seen.scenario.signal
    sent_first = sorted(of_signal(signal).items(), key=lambda one: signal.adapter == "prometheus" and "." not in one[0])
    for name, value in sent_first:
        sent = filled(value, {"fresh": fresh})
        if sent == reported:
            return f'"{{{name}}}"'
        if hashlib.sha256(sent.encode()).hexdigest() == reported:
            return f'{{sha256: "{{{name}}}"}}'
    return ""
