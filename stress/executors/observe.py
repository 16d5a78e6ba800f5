"""Reading the state that is left, as the target says. Sans I/O: it yields commands and is sent replies."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING

from stress.config.placeholders import fill
from stress.config.target_parts import FromAnswer, Hits, Records
from stress.core.trace import Snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from stress.config.target import Target
    from stress.core.trace import Details

Command = tuple[str, ...]
_SHOWN_DEPTH = 32
"""How deep a nested reply is written out."""


def snapshot(
    target: Target, fingerprint: str, fresh: str, naming: Callable[[str], str], ended_by: str = ""
) -> Generator[Sequence[Command], list[object], Snapshot]:
    """Read the active records and the hits of each; names are replaced by ``naming``."""
    observe = target.observe
    if observe is None or not isinstance(observe.records, Records):
        return Snapshot(None, None, ended_by)
    words = observe.hits.redis if isinstance(observe.hits, Hits) else ()
    alike = bool(words) and at_once(target)
    # Hits that are asked for in the same way for each record are asked for at once.
    first = [observe.records.redis, *([words] if alike else [])]
    replies = yield [fill(command, fingerprint=fingerprint, fresh=fresh) for command in first]
    names = sorted(set(texts(replies[0])))
    hits: dict[str, int | None] | None = None
    if alike:
        hits = dict.fromkeys(map(naming, names), number(replies[1]))
    elif words:
        asked = [fill(words, fingerprint=fingerprint, fresh=fresh, record=name) for name in names]
        hits = {naming(name): number(reply) for name, reply in zip(names, (yield asked) if asked else (), strict=True)}
    return Snapshot(tuple(naming(name) for name in names), hits, ended_by)


def at_once(target: Target) -> bool:
    """Tell whether the state is read in one go: no hits that are asked for record by record."""
    hits = target.observe.hits if target.observe is not None else None
    return not isinstance(hits, Hits) or not any("{record}" in word for word in hits.redis)


def with_told_hits(target: Target, details: Details) -> Details:
    """Take the hits of each record from the answers, where the target says so: the highest count that one told.

    An answer that created a record tells 1. A record that no answer names has hits that are not known (None).
    """
    observe = target.observe
    if observe is None or not isinstance(observe.hits, FromAnswer):
        return details
    path = observe.hits.answer
    told: list[dict[str, int | None]] = [dict.fromkeys(state.records or ()) for state in details.incarnations]
    for answer in details.answers:
        count = answer.count if path == target.answers.count else number(field(answer.body, path))
        count = 1 if count is None and answer.created else count
        hits = told[answer.incarnations[-1]]
        if count is not None and answer.record in hits:
            hits[answer.record] = max(count, hits[answer.record] or 0)
    states = [
        state if state.records is None else Snapshot(state.records, hits, state.ended_by)
        for state, hits in zip(details.incarnations, told, strict=True)
    ]
    return details._replace(incarnations=tuple(states))


def field(body: str | bytes, path: str | None) -> object:
    """Read a dotted path in a JSON body; None where it is not there."""
    value = _parsed(body)
    for word in path.split(".") if path else ():
        value = value.get(word) if isinstance(value, dict) else None
    return value if path else None


@lru_cache(maxsize=8)
def _parsed(body: str | bytes) -> object:
    """Read a JSON body, once for all the paths that are looked for in it; None where it is none."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def texts(reply: object) -> list[str]:
    """Flatten a reply, however deep it is nested, into the names it holds; nil holds none."""
    found, left = [], [reply]
    while left:
        value = left.pop()
        if isinstance(value, list | tuple | set | frozenset):
            left += reversed(list(value))
        elif value is not None:
            found.append(value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value))
    return found


def number(reply: object) -> int | None:
    """Read a stored count; None when it is not a whole number."""
    try:
        return int(texts(reply)[0])
    except (IndexError, ValueError):
        return None


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
