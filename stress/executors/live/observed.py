"""What a target file observes, beside what requests one after another changed in the store."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from stress.checks import Reads, check_named
from stress.config.target_parts import FromAnswer
from stress.core.errors import Fault, UsageFault
from stress.core.masking import clean
from stress.core.step import WHOLE, Access
from stress.core.trace import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from stress.config.stores import StatePart
    from stress.core.trace import Snapshot
    from stress.executors.live.preflight import Sample
    from stress.executors.live.seen import Seen

_MOST_KEYS = 10


def changed(samples: Sequence[Sample]) -> list[str]:
    """Name the keys and objects that requests wrote, each once: ``jobs:{fingerprint}``, ``db3:lock``."""
    steps = (one for sample in samples for one in sample.trace.events if one.kind is Kind.STEP)
    written = (touch.object for step in steps for touch in step.touches if touch.access is not Access.READ)
    return [name for name in dict.fromkeys(written) if name != WHOLE]


def hits_isolated(seen: Seen) -> UsageFault | None:
    """See whether hits are observed without the records that they are of."""
    observe = seen.target.observe
    if observe is None or observe.hits is None or observe.records is not None:
        return None
    message = "observe.hits: hits are read for each record, and observe.records is not there"
    return _fault(seen, ("observe", "hits"), message, "add observe.records")


def names_differ(seen: Seen) -> UsageFault | None:
    """See whether the records that are observed and those that answers name have nothing in common.

    That matters to checks that compare the two.
    """
    checks = map(check_named, seen.scenario.invariants)
    if not any(one.names and one.reads & {Reads.RECORDS, Reads.HITS} and not one.needs_one for one in checks):
        return None  # a check that needs one of several things takes what is observed
    observed: dict[str, None] = {}
    named: dict[str, None] = {}
    for sample in seen.samples:
        here = dict.fromkeys(name for state in _states(sample) for name in state.records or ())
        said = dict.fromkeys(one.record for one in sample.trace.answers if one.record is not None)
        if here.keys() & said.keys():
            return None
        observed |= here
        named |= said
    if not observed or not named:
        return None
    message = f"observe.records names {next(iter(observed))}, and answers name {next(iter(named))}: no name is in both"
    place = seen.target.place("observe", "records")
    return UsageFault([Fault(place, clean(message), "check observe.records and answers.record")])


def unchanged(seen: Seen) -> UsageFault | None:
    """See whether what is observed never changed, although requests were accepted.

    Records that are the same after every request are fine where requests change the key that they are read from.
    """
    observe = seen.target.observe
    if observe is None or observe.records is None or not seen.accepted:
        return None
    if not any(map(_records_live, seen.samples)) and not any(_moves_on(observe.records, one) for one in seen.samples):
        some = next((state.records for sample in seen.samples for state in _states(sample) if state.records), ())
        reported = f"always named {some[0]}" if some else "named nothing"
        how = observe.records.how
        message = f"observe.records: {how} {reported}, whatever was answered"
        return _fault(seen, ("observe", "records"), message, "", how)
    if observe.hits is None or isinstance(observe.hits, FromAnswer) or any(map(_hits_live, seen.samples)):
        return None
    how = observe.hits.how
    values = {value for sample in seen.samples for state in _states(sample) for value in (state.hits or {}).values()}
    reported = f"was always {next(iter(values))}" if values - {None} else "was never a number"
    return _fault(seen, ("observe", "hits"), f"observe.hits: {how} {reported}, whatever was answered", "", how)


def _states(sample: Sample) -> list[Snapshot]:
    return [*sample.states, *sample.trace.epochs]


def _records_live(sample: Sample) -> bool:
    """Tell whether the records of one run changed, or are what answers name."""
    names = [state.records for state in _states(sample) if state.records is not None]
    said = {one.record for one in sample.trace.answers}
    return len(set(names)) > 1 or any(said & set(one) for one in names)


def _moves_on(records: StatePart, sample: Sample) -> bool:
    """Tell whether requests write the object that records are read from, and leave it as it was, as a loan does."""
    trace, found = sample.trace, any(state.records for state in _states(sample))
    read = records.names({"fingerprint": trace.fingerprint, "fresh": trace.fresh}, found=found)
    return not set(changed([sample])).isdisjoint(
        word.replace(trace.fresh, "{fresh}").replace(trace.fingerprint, "{fingerprint}") for word in read
    )


def _hits_live(sample: Sample) -> bool:
    """Tell whether the hits of a record changed, or are 1, as those of a record that is never counted again."""
    reported: dict[str, set[int | None]] = {}
    for state in _states(sample):
        for record, value in (state.hits or {}).items():
            reported.setdefault(record, set()).add(value)
    taken = sum(one.accepted for one in sample.trace.answers)
    return any(len(values) > 1 or (values - {None, 0} and (taken < 2 or values == {1})) for values in reported.values())  # noqa: PLR2004 - one after another


def _fault(seen: Seen, where: tuple[str, ...], message: str, hint: str, how: str = "") -> UsageFault:
    """Say what is wrong, and what the requests did change."""
    names = changed(seen.samples)
    shown = ", ".join(names[:_MOST_KEYS]) + (" …" if len(names) > _MOST_KEYS else "")
    message += f"; requests changed {shown}" if names else "; requests changed nothing that is known by name"
    if any(one.startswith("db") for one in names) or seen.database:
        message += f" (without db<number>: database 0), and state is read in database {seen.database}"
    close = next(_close(how, names), "")
    hint = hint or (f"did you mean {close}?" if close else "observe what requests change")
    return UsageFault([Fault(seen.target.place(*where), clean(message), hint)])


def _close(how: str, names: list[str]) -> Iterator[str]:
    for word in how.split():
        yield from (one for one in get_close_matches(word, names, 1) if one != word)
