"""What answers say in requests one after another, beside what a target file expects of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from stress.config.formats import nearest
from stress.config.stores import protocols
from stress.config.target_parts import FromAnswer
from stress.core.errors import Fault, Unavailable, UsageFault
from stress.core.masking import clean
from stress.core.registry import PROTOCOLS
from stress.executors.observe import field

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stress.core.trace import Answer
    from stress.executors.live.seen import Seen
    from stress.protocols.heard import Heard

_MOST_LINES, _MOST_LETTERS = 3, 200


def body_of(answer: Answer) -> str:
    """Give the first lines of an answer's body, or why there was none, in brackets to stand behind a status."""
    lines = [line.strip() for line in (answer.body or answer.error).splitlines() if line.strip()][:_MOST_LINES]
    text = clean(" | ".join(lines))
    return f" [{text[:_MOST_LETTERS]}{'…' if len(text) > _MOST_LETTERS else ''}]" if text else ""


def fields_of(body: str) -> list[str]:
    """Name the fields of a JSON body, each by its dotted path."""

    def paths(value: Any, before: str) -> Iterator[str]:  # noqa: ANN401 - JSON
        for name, inner in value.items() if isinstance(value, dict) else ():
            yield f"{before}{name}"
            yield from paths(inner, f"{before}{name}.")

    try:
        return list(paths(json.loads(body), ""))
    except (ValueError, RecursionError):
        return []


def encrypted(heard: Heard) -> Unavailable | None:
    """Say that a service speaks TLS to a gate that does not, where one did."""
    if not heard.speaks_tls:
        return None
    remedy = ", or ".join(PROTOCOLS[name].unread for name in protocols() if PROTOCOLS[name].unread)
    return Unavailable("the service speaks TLS to the gate, which can't read that", f"{remedy}; stores may speak TLS")


def unsaid(seen: Seen) -> UsageFault | None:
    """See whether a key that the file itself gives is in no answer; what is left to its default may be missing."""
    target, said = seen.target, target_keys(seen)
    faults = []
    for where, path, answers in said:
        if not answers or any(field(one.body, path) is not None for one in answers):
            continue
        there = list(dict.fromkeys(name for one in answers for name in fields_of(one.body)))
        name = ".".join(where)
        listed = f"there are {', '.join(there)}" if there else f"its body has no fields{body_of(answers[0])}"
        message = clean(f"{name}: no answer has {path!r}: {listed}")
        faults.append(Fault(target.place(*where), message, nearest(path, there) if there else ""))
    return UsageFault(faults) if faults else None


def target_keys(seen: Seen) -> Iterator[tuple[tuple[str, ...], str, list[Answer]]]:
    """Give the places in answers that the file itself names, and the answers in which one must be."""
    target, accepted = seen.target, seen.accepted
    given, repeat = target.answers.model_fields_set, [one for one in accepted if one.duplicate or one.either]
    if "record" in given and target.answers.record:
        yield ("answers", "record"), target.answers.record, accepted
    if "count" in given and target.answers.count:
        yield ("answers", "count"), target.answers.count, repeat
    if "fingerprint" in target.model_fields_set and isinstance(target.fingerprint, FromAnswer):
        yield ("fingerprint", "answer"), target.fingerprint.answer, accepted
    hits = target.observe.hits if target.observe is not None else None
    if isinstance(hits, FromAnswer):
        yield ("observe", "hits", "answer"), hits.answer, repeat
