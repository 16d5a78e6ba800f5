"""Reading what answers tell, and writing what a store replied for people."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING

from stress.config.target_parts import FromAnswer
from stress.core.trace import Snapshot
from stress.core.values import number

if TYPE_CHECKING:
    from collections.abc import Callable

    from stress.config.target import Target
    from stress.core.trace import Details

_SHOWN_DEPTH = 32
"""How deep a nested reply is written out."""


def with_answered_hits(target: Target, details: Details) -> Details:
    """Take the hits of each record from the answers, where the target says so: the highest count that one has.

    An answer that created a record counts 1. A record that no answer names has hits that are not known (None).
    """
    observe = target.observe
    if observe is None or not isinstance(observe.hits, FromAnswer):
        return details
    path = observe.hits.answer
    answered: list[dict[str, int | None]] = [dict.fromkeys(state.records or ()) for state in details.epochs]
    for answer in details.answers:
        count = answer.count if path == target.answers.count else number(field(answer.body, path))
        count = 1 if count is None and answer.created else count
        hits = answered[answer.epochs[-1]]
        # An answer that names no record can only mean the one that there is.
        record = next(iter(hits)) if answer.record is None and len(hits) == 1 else answer.record
        if count is not None and record in hits:
            hits[record] = max(count, hits[record] or 0)
    states = [
        state if state.records is None else Snapshot(state.records, hits, state.ended_by)
        for state, hits in zip(details.epochs, answered, strict=True)
    ]
    return details._replace(epochs=tuple(states))


def field(body: str | bytes, path: str | None) -> object:
    """Read a dotted path in a JSON body, or with ``.`` all that it is, JSON or text; None where it is not there."""
    if path == ".":
        value = _parsed(body)
        text = body if isinstance(body, str) else body.decode("utf-8", "replace")
        return (text.strip() or None) if value is None else value
    value = _parsed(body) if path else None
    for key in path.split(".") if path else ():
        value = value.get(key) if isinstance(value, dict) else None
    return value


@lru_cache(maxsize=8)
def _parsed(body: str | bytes) -> object:
    """Read a JSON body, once for all the paths that are looked for in it; None where it is none."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def text_of(value: object) -> str | None:
    """Read a name, which may be a number; None when it is none."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) else None


def shown(value: object, naming: Callable[[str], str], depth: int = _SHOWN_DEPTH) -> str:
    """Write a reply for people: nil, numbers and texts with made-up names replaced; `[...]` what is nested deeper."""
    if isinstance(value, list | tuple):
        if depth == 0:
            return "[...]"
        inner = " ".join(shown(item, naming, depth - 1) for item in value)
        return inner if len(value) == 1 else f"[{inner}]"
    if value is None:
        return "nil"
    text = value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
    return naming(text)
