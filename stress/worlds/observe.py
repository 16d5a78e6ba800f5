"""Reading the state that is left, as the target says. Sans I/O: it yields commands and is sent replies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stress.trace import Snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from stress.target import Target

Command = tuple[str, ...]
Reading = "Generator[Sequence[Command], list[object], Snapshot]"


def fill(words: Sequence[str], **values: str) -> Command:
    """Replace ``{name}`` in each word of a command."""
    filled = []
    for word in words:
        for name, value in values.items():
            word = word.replace("{" + name + "}", value)  # noqa: PLW2901 - one replacement after another
        filled.append(word)
    return tuple(filled)


def snapshot(
    target: Target, fingerprint: str, fresh: str, naming: Callable[[str], str], ended_by: str = ""
) -> Generator[Sequence[Command], list[object], Snapshot]:
    """Read the active records and the hits of each; names are replaced by ``naming``."""
    observe = target.observe
    if observe is None or observe.records is None:
        return Snapshot(None, None, ended_by)
    replies = yield [fill(observe.records["redis"], fingerprint=fingerprint, fresh=fresh)]
    names = sorted(set(texts(replies[0])))
    hits: dict[str, int | None] | None = None
    if observe.hits is not None and "redis" in observe.hits:
        hits = {}
        if names:
            commands = [
                fill(observe.hits["redis"], fingerprint=fingerprint, fresh=fresh, record=name) for name in names
            ]
            hits = {naming(name): number(reply) for name, reply in zip(names, (yield commands), strict=True)}
    return Snapshot(tuple(naming(name) for name in names), hits, ended_by)


def texts(reply: object) -> list[str]:
    """Flatten a reply into the names it holds; nil holds none."""
    if reply is None:
        return []
    if isinstance(reply, list | tuple | set | frozenset):
        return [text for item in reply for text in texts(item)]
    return [reply.decode("utf-8", "backslashreplace") if isinstance(reply, bytes) else str(reply)]


def number(reply: object) -> int | None:
    """Read a stored count; None when it is not a whole number."""
    try:
        return int(texts(reply)[0])
    except (IndexError, ValueError):
        return None


def shown(value: object, naming: Callable[[str], str]) -> str:
    """Write a reply for people: nil, numbers and texts with made-up names replaced."""
    if isinstance(value, list | tuple):
        inner = " ".join(shown(item, naming) for item in value)
        return inner if len(value) == 1 else f"[{inner}]"
    if value is None:
        return "nil"
    text = value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
    return naming(text)
