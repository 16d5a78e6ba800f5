"""The records that a Redis holds, and what the environment does to them. Sans I/O: it gives commands, reads replies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stress.config.placeholders import fill
from stress.core.trace import Snapshot
from stress.core.values import number
from stress.protocols.redis.parts import Hits, Records

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from stress.config.target import Target

Command = tuple[str, ...]


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


def stored(command: Sequence[str], reply: object) -> int | None:
    """Read a count out of the reply to a command; the list that HMGET and MGET reply holds it, and is no set."""
    holds = command[0].upper() in ("HMGET", "MGET") and isinstance(reply, list | tuple) and len(reply) == 1
    return number(reply[0] if holds else reply)  # type: ignore[index] # it is a list then


def commands(target: Target, actor: str, fingerprint: str, fresh: str) -> list[tuple[str, ...]]:
    """Give what ``cleanup`` or ``expiry`` runs past the gate; a key that runs out does so at the epoch's first ms."""
    words = getattr(target.environment, actor).redis
    filled = fill(words, fingerprint=fingerprint, fresh=fresh)
    return [filled] if actor == "cleanup" else [("PEXPIREAT", key, "1") for key in filled]
