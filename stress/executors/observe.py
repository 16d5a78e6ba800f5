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
    """Read the active records and the hits of each; names are replaced by ``naming``, then sorted.

    Records are a multiset: a queue that holds the same job twice has two.
    """
    observe = target.observe
    if observe is None or not isinstance(observe.records, Records):
        return Snapshot(None, None, ended_by)
    words = observe.hits.redis if isinstance(observe.hits, Hits) else ()
    alike = bool(words) and at_once(target)
    # Hits that are asked for in the same way for each record are asked for at once.
    first = [observe.records.redis, *([words] if alike else [])]
    replies = yield [fill(command, fingerprint=fingerprint, fresh=fresh) for command in first]
    names = texts(replies[0])
    hits: dict[str, int | None] | None = None
    if alike:
        hits = dict.fromkeys(map(naming, names), stored(words, replies[1]))
    elif words:
        asked = [fill(words, fingerprint=fingerprint, fresh=fresh, record=name) for name in names]
        hits = {
            naming(name): stored(words, reply)
            for name, reply in zip(names, (yield asked) if asked else (), strict=True)
        }
    return Snapshot(tuple(sorted(naming(name) for name in names)), hits, ended_by)


def at_once(target: Target) -> bool:
    """Tell whether the state is read in one go: no hits that are asked for record by record."""
    hits = target.observe.hits if target.observe is not None else None
    return not isinstance(hits, Hits) or not any("{record}" in word for word in hits.redis)


def with_answered_hits(target: Target, details: Details) -> Details:
    """Take the hits of each record from the answers, where the target says so: the highest count that one told.

    An answer that created a record tells 1. A record that no answer names has hits that are not known (None).
    """
    observe = target.observe
    if observe is None or not isinstance(observe.hits, FromAnswer):
        return details
    path = observe.hits.answer
    reported: list[dict[str, int | None]] = [dict.fromkeys(state.records or ()) for state in details.epochs]
    for answer in details.answers:
        count = answer.count if path == target.answers.count else number(field(answer.body, path))
        count = 1 if count is None and answer.created else count
        hits = reported[answer.epochs[-1]]
        # An answer that names no record can only mean the one that there is.
        record = next(iter(hits)) if answer.record is None and len(hits) == 1 else answer.record
        if count is not None and record in hits:
            hits[record] = max(count, hits[record] or 0)
    states = [
        state if state.records is None else Snapshot(state.records, hits, state.ended_by)
        for state, hits in zip(details.epochs, reported, strict=True)
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


def number(value: object) -> int | None:
    """Read a count: a whole number, also one in a text; of what has members how many; of true 1, of false 0.

    None when it is nothing of that.
    """
    if isinstance(value, list | tuple | set | frozenset | dict):
        return len(value)
    try:
        if isinstance(value, float):
            return int(value) if value == int(value) else None
        return int(value) if isinstance(value, int | str | bytes) else None
    except (ValueError, OverflowError):
        return None


def stored(command: Sequence[str], reply: object) -> int | None:
    """Read a count out of the reply to a command; the list that HMGET and MGET reply holds it, and is no set."""
    holds = command[0].upper() in ("HMGET", "MGET") and isinstance(reply, list | tuple) and len(reply) == 1
    return number(reply[0] if holds else reply)  # type: ignore[index] # it is a list then


def word(value: object) -> str | None:
    """Give a value as it is written in a file, so that 5 and "5", or true and "true", are one; None for none."""
    if isinstance(value, bool):
        return str(value).lower()
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value) if isinstance(value, int | float) else json.dumps(value, sort_keys=True)


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
