"""Whether a target can be tested, judged from requests one after another: what stops a run before any search.

Each rule looks at the samples of the preflight and gives the exception that ends the case, with cause, place and
remedy: a `UsageFault` where a file must change, `Unavailable` where something is not there, else `Untested`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stress.checks import run_checks
from stress.core.errors import Fault, Unavailable, Untested, UsageFault
from stress.core.masking import clean
from stress.core.registry import PROTOCOLS
from stress.core.trace import Kind
from stress.executors.live.early import early
from stress.executors.live.observed import hits_isolated, names_differ, unchanged
from stress.executors.live.said import body_of, encrypted, unsaid

if TYPE_CHECKING:
    from stress.executors.live.preflight import Sample
    from stress.executors.live.seen import Seen

_KEYS = {
    **dict.fromkeys((404, 405, 301, 302, 307, 308), ("request", "path")),
    **dict.fromkeys((401, 403, 415), ("request", "headers")),
    **dict.fromkeys((400, 422), ("request", "body")),
}
"""The key to look at, by the status of an answer that a change of the files fixes."""
_SUCCESS, _ERRORS, _SERVER_ERRORS = 200, 400, 500
_MOST_SHOWN = 3


Stop = UsageFault | Unavailable | Untested


def stop(seen: Seen) -> Stop | None:
    """Say why a target can't be tested as it is, or None; runs that ended with a fault show nothing."""
    good = [one for one in seen.samples if not one.trace.fault]
    seen = seen._replace(samples=good)
    if (reported := encrypted(seen.heard)) is not None:
        return reported
    rules = (
        _refused,
        _not_taken,
        _broken,
        _past_the_gate,
        unsaid,
        hits_isolated,
        names_differ,
        unchanged,
        early,
        _fails_isolated,
    )
    return next((found for rule in rules if seen.answers and (found := rule(seen)) is not None), None)


def bypassed(seen: Seen) -> bool:
    """Tell whether requests were accepted, or the state changed, and none of them sent a command through the gate."""
    good = [one for one in seen.samples if not one.trace.fault]
    return bool(good) and not any(map(_used, good)) and any(_moved(one) or one.trace.accepted_any for one in good)


def _used(sample: Sample) -> bool:
    """Tell whether a request sent a command through the gate; who only asks for the nodes of a store uses another."""
    steps = [one for one in sample.trace.events if one.kind is Kind.STEP]
    return sample.before or any(one.command.upper() not in ("CLUSTER", "SENTINEL", "READONLY") for one in steps)


def _moved(sample: Sample) -> bool:
    """Tell whether the state changed."""
    return len({(one.records, tuple((one.hits or {}).items())) for one in sample.states}) > 1


def _refused(seen: Seen) -> Stop | None:
    """See whether the store refused what the service asked, and no request was accepted."""
    refusals = [one for one in seen.heard.errors if one.refuses]
    hidden = all(one.status in (0, 401, 403) or one.status >= _SERVER_ERRORS for one in seen.answers)
    if seen.accepted or not refusals or not hidden:
        return None
    return _not_there(seen, "check the user and the rights that the service has in its store")


def _not_taken(seen: Seen) -> Stop | None:
    """See whether the first answer is none that the target lists, and a change of the files fixes it."""
    first = seen.answers[0]
    if first.created or first.duplicate or first.either or first.refused:
        return None
    key = _KEYS.get(first.status)
    if key is None:
        if not _SUCCESS <= first.status < _ERRORS:
            return None
        key = ("answers", "created")
    listed = "answers lists no such status" if key[0] == "answers" else "no request is accepted"
    hint = f"check {'.'.join(key)}" + (", and the scenario's signal" if key[1] == "body" else "")
    message = f"{'.'.join(key)}: {seen.sent} was answered {first.status}{body_of(first)}: {listed}"
    return UsageFault([Fault(seen.target.place(*key), clean(message), hint)])


def _broken(seen: Seen) -> Stop | None:
    """See whether every request fails, also alone."""
    if any(0 < one.status < _SERVER_ERRORS for one in seen.answers) or seen.accepted:
        return None
    return _not_there(seen, "send it one signal by hand to see why")


def _not_there(seen: Seen, remedy: str) -> Unavailable:
    first = seen.answers[0]
    message = f"every request is answered {first.status or 'nothing'}{body_of(first)}, also one alone"
    errors = sorted(seen.heard.errors, key=lambda one: not one.refuses)
    reported = [f"the store answered: {clean('; '.join(map(str, errors[:_MOST_SHOWN])))}"] if errors else []
    reported += [f"its last output: {clean(' | '.join(seen.printed))}"] if seen.printed else []
    return Unavailable("; ".join([message, *reported]), remedy)


def _past_the_gate(seen: Seen) -> Stop | None:
    """See whether the service uses another store than the one that it is given."""
    if not bypassed(seen):
        return None
    moved = any(map(_moved, seen.samples))
    message = "no store command of any request came through the gate"
    message += (
        ", though the observed state changed" if moved else ", though requests were accepted" * bool(seen.accepted)
    )
    if seen.connected:
        message += f"; the service is connected to {', '.join(seen.connected)}"
    if asked := [*seen.heard.discoveries]:
        message += f"; it asked for {', '.join(asked[:_MOST_SHOWN])} and was given the addresses of the real nodes"
        return Untested(message, "let it use a client of a single node")
    if passed := [name for name in seen.heard.passed if name in seen.target.background.rules]:
        message += f"; what passed as background: {', '.join(passed)}"
    if seen.target.url is not None:
        return Untested(message, f"let the service use the gate as its store: {seen.target.stores.places}")
    used = " and ".join(PROTOCOLS[name].leads for name in seen.target.stores.used)
    return Untested(message, f"does the service use {used}? See start.command and start.env")


def _fails_isolated(seen: Seen) -> Stop | None:
    """See whether an invariant fails where no two requests overlap, in runs that are over when they are judged."""
    if seen.watching:
        return None  # its replies may come before the events, so it was not treated as kindly as can be
    for sample in seen.samples:
        broken = run_checks(seen.scenario.invariants, sample.trace) if sample.trace.crossed_second is None else []
        if not broken:
            continue
        if any(one.refuses for one in seen.heard.errors):
            return _refusing(seen)
        reported = "; ".join(dict.fromkeys(map(str, broken)))
        remedy = "see what `stress-gateway try` shows: the file or the service must change first"
        return Untested(clean(f"fails without concurrency, in requests one after another: {reported}"), remedy)
    return None


def _refusing(seen: Seen) -> Unavailable:
    reported = "; ".join(str(one) for one in seen.heard.errors if one.refuses)
    remedy = "check the user and the rights that the service has in its store"
    return Unavailable(clean(f"the store refused what requests asked: {reported}"), remedy)
