"""What the watched keys held after each step, as far as the steps of a trace and their replies show it.

A trace has no dump of the store. What a reply showed or a write put there is known until somebody else may have changed
it; all else is `UNKNOWN`. A read shows what stood there before it too. Commands are read as the Redis command reference
and the Kubernetes API concepts (verbs) define them. A trace joins the words of a command by spaces, so a hash whose
words are no pairs is not known either.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from stress.core.outcomes import How, Outcome
from stress.core.step import WHOLE, Access
from stress.core.trace import Kind
from stress.report.explain.steps import COLLECTION, of_kubernetes, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from stress.core.outcomes import Value as Reported
    from stress.core.step import Touch
    from stress.core.trace import Event, Trace

UNKNOWN = "?"
"""What is said of a value that the trace does not tell."""
NOTHING = "nothing"
"""What is said where no key and no object stands."""
_PAUSES = ("EXPIRE", "PEXPIRE", "EXPIREAT", "PEXPIREAT", "PERSIST")
_HARMLESS = ("clock", "client")
"""Actors of the environment that change nothing in a store."""
_OPTIONS = re.compile(r"( (?:EX|PX|EXAT|PXAT) \d+| NX| XX| GET| KEEPTTL)*$", re.IGNORECASE)
_FIELD = re.compile(r"[\w.:{}-]+")
_UNREPORTED = Outcome()
"""Of a command of several whose replies can't be distinguished."""


class Value(NamedTuple):
    """What one key holds: a ``text``, or ``fields`` of which some may be unknown (not ``whole``). ``known`` is whether
    anything is said at all.
    """  # noqa: D205 - one thought

    text: str = ""
    fields: tuple[tuple[str, str], ...] = ()
    whole: bool = True
    known: bool = True

    def __str__(self) -> str:
        """Give it for people."""
        if not self.known:
            return UNKNOWN
        if self.fields or not self.whole:
            reported = [f"{name} {value}" for name, value in self.fields]
            return ", ".join([*reported, *(() if self.whole else ("…",))])
        return self.text or NOTHING


class Seen(NamedTuple):
    """What one step saw of an object, or made of it: the value before and after."""

    object: str
    access: Access
    before: str
    after: str


_UNKNOWN = Value(known=False)
_ABSENT = Value()
_THERE = Value(whole=False)
"""Something stands there, and nothing is known of it."""


class Course(NamedTuple):
    """What each event, by its index, saw or made of the objects that it touches; ``after`` it, all of the watched."""

    seen: Mapping[int, tuple[Seen, ...]]
    after: Mapping[int, Mapping[str, str]]
    watched: tuple[str, ...]


def course(trace: Trace) -> Course:
    """Follow the watched keys through a trace."""
    events = shown(trace)
    watched = _watched(events)
    state: dict[str, Value] = {}
    seen: dict[int, tuple[Seen, ...]] = {}
    after: dict[int, dict[str, str]] = {}
    for event in events:
        if event.kind is Kind.ENVIRONMENT and event.actor not in _HARMLESS:
            state.clear()
        if event.kind is Kind.STEP:
            seen[event.index] = tuple(_step(event, touch, state) for touch in event.touches if touch.object != WHOLE)
            if any(touch.object == WHOLE and touch.access is not Access.READ for touch in event.touches):
                state.clear()
        if event.kind in (Kind.STEP, Kind.ENVIRONMENT):
            after[event.index] = {name: str(state.get(name, _UNKNOWN)) for name in watched}
    return Course(seen, after, watched)


def _watched(events: Sequence[Event]) -> tuple[str, ...]:
    """Name what is touched, in the order of the first touch; a collection only where somebody reads it."""
    touches = [touch for event in events if event.kind is Kind.STEP for touch in event.touches if touch.object != WHOLE]
    read = {touch.object for touch in touches if touch.access is Access.READ}
    names = dict.fromkeys(touch.object for touch in touches)
    return tuple(name for name in names if name in read or not name.endswith(COLLECTION))


def _step(event: Event, touch: Touch, state: dict[str, Value]) -> Seen:
    before = state.get(touch.object, _UNKNOWN)
    after = _after(event, touch, before)
    state[touch.object] = after
    # What a read shows stood there before it.
    return Seen(touch.object, touch.access, str(after if touch.access is Access.READ else before), str(after))


def _after(event: Event, touch: Touch, before: Value) -> Value:
    if of_kubernetes(event):
        return _after_request(event, touch, before)
    name, rest, came = event.command, "", event.outcome
    if "(" in name or "+" in name:
        if came.how is How.REFUSED:
            return before
        # The text is that of the first command.
        name, *others = name.removeprefix("EXEC(").removesuffix(")").split("+")
        rest = "+".join(one for one in others if one not in _PAUSES)
        parts = came.parts or (came,)
        came = parts[0] if len(parts) == len(others) + 1 else _UNREPORTED
    words = event.text.split(" ")[2:]
    read = _COMMANDS.get(name)
    isolated = len(event.touches) == 1 or name in ("DEL", "UNLINK")
    if read is None or rest or not isolated or came is _UNREPORTED or came.error:
        unchanged = touch.access is Access.READ or name in _PAUSES or came.error
        return before if unchanged else _UNKNOWN
    return read(before, words, came.value)


def _after_request(event: Event, touch: Touch, before: Value) -> Value:
    came = event.outcome
    done, reported = not came.error, came.value
    if touch.object.endswith(COLLECTION):
        if event.command == "list" and done:
            return Value(", ".join(_listed(reported)))
        return _UNKNOWN if done and touch.access is not Access.READ else before
    if (came.error and came.how is How.ABSENT) or (done and event.command == "delete"):
        return _ABSENT
    if not done or event.command == "list":
        return before
    return Value(_text(reported)) if reported else _THERE


# --- Redis commands: the value before, the words after the key, the value replied; gives the value after --------


def _get(before: Value, words: Sequence[str], reply: Reported) -> Value:
    del before, words
    return _ABSENT if reply is None else Value(_text(reply))


def _set(before: Value, words: Sequence[str], reply: Reported) -> Value:
    reported = " ".join(words)
    value = _OPTIONS.sub("", reported)
    options = reported[len(value) :].upper().split()
    if "GET" in options:
        return _UNKNOWN if "NX" in options or "XX" in options else Value(value)
    if reply is None:
        return _ABSENT if "XX" in options else before if before.known else _THERE
    return Value(value)


def _setnx(before: Value, words: Sequence[str], reply: Reported) -> Value:
    if reply == "1":
        return Value(" ".join(words))
    return before if before.known else _THERE


def _exists(before: Value, words: Sequence[str], reply: Reported) -> Value:
    del words
    if reply == "0":
        return _ABSENT
    return before if before.known else _THERE


def _count(before: Value, words: Sequence[str], reply: Reported) -> Value:
    del before, words
    return Value(_text(reply))


def _gone(before: Value, words: Sequence[str], reply: Reported) -> Value:
    del before, words, reply
    return _ABSENT


def _hget(before: Value, words: Sequence[str], reply: Reported) -> Value:
    return _without(before, words[:1]) if reply is None else _with(before, [(words[0], _text(reply))])


def _hmget(before: Value, words: Sequence[str], reply: Reported) -> Value:
    values = reply if isinstance(reply, tuple) else (reply,)
    if len(values) != len(words):
        return before if before.known else _THERE
    for name, value in zip(words, values, strict=True):
        before = _hget(before, [name], value)
    return before


def _hgetall(before: Value, words: Sequence[str], reply: Reported) -> Value:
    del words
    if not reply:
        return _ABSENT
    pairs = _pairs(_listed(reply))
    return (before if before.known else _THERE) if pairs is None else Value(fields=pairs)


def _hset(before: Value, words: Sequence[str], reply: Reported) -> Value:
    del reply
    pairs = _pairs(words)
    return _with(before, pairs) if pairs is not None else _THERE


def _hsetnx(before: Value, words: Sequence[str], reply: Reported) -> Value:
    if reply == "1":
        return _with(before, [(words[0], " ".join(words[1:]))])
    return before if before.known else _THERE


def _hincrby(before: Value, words: Sequence[str], reply: Reported) -> Value:
    return _with(before, [(words[0], _text(reply))])


def _hdel(before: Value, words: Sequence[str], reply: Reported) -> Value:
    del reply
    return _without(before, words)


def _smembers(before: Value, words: Sequence[str], reply: Reported) -> Value:
    del before, words
    return Value(_text(reply)) if reply else _ABSENT


def _sadd(before: Value, words: Sequence[str], reply: Reported) -> Value:
    del reply
    if not before.known or before.fields or not before.whole:
        return _UNKNOWN
    return Value(" ".join(dict.fromkeys([*before.text.split(), *words])))


def _srem(before: Value, words: Sequence[str], reply: Reported) -> Value:
    del reply
    if not before.known or before.fields or not before.whole:
        return _UNKNOWN
    return Value(" ".join(word for word in before.text.split() if word not in words))


def _with(before: Value, pairs: Sequence[tuple[str, str]]) -> Value:
    """Put fields into a hash; of one that was not known the others stay unknown."""
    whole = before.known and before.whole and not before.text
    return Value(fields=tuple({**dict(before.fields), **dict(pairs)}.items()), whole=whole)


def _without(before: Value, names: Sequence[str]) -> Value:
    left = tuple((name, value) for name, value in before.fields if name not in names)
    if not before.known or (before.text and not before.fields):
        return _UNKNOWN
    return Value(fields=left, whole=before.whole)


def _listed(reported: Reported) -> list[str]:
    """Give the texts of a value, in their order."""
    if isinstance(reported, tuple):
        return [text for one in reported for text in _listed(one)]
    return [_text(reported)]


def _text(reported: Reported) -> str:
    return " ".join(_listed(reported)) if isinstance(reported, tuple) else "nil" if reported is None else reported


def _pairs(words: Sequence[str]) -> tuple[tuple[str, str], ...] | None:
    names = words[::2]
    if len(words) % 2 or not all(_FIELD.fullmatch(name) for name in names):
        return None
    return tuple(zip(names, words[1::2], strict=True))


_COMMANDS: Mapping[str, Callable[[Value, Sequence[str], Reported], Value]] = {
    **dict.fromkeys(("GET", "GETEX"), _get),
    **dict.fromkeys(("INCR", "DECR", "INCRBY", "DECRBY", "INCRBYFLOAT"), _count),
    **dict.fromkeys(("DEL", "UNLINK", "GETDEL"), _gone),
    "SET": _set,
    "SETNX": _setnx,
    "EXISTS": _exists,
    "HGET": _hget,
    "HMGET": _hmget,
    "HGETALL": _hgetall,
    **dict.fromkeys(("HSET", "HMSET"), _hset),
    "HSETNX": _hsetnx,
    **dict.fromkeys(("HINCRBY", "HINCRBYFLOAT"), _hincrby),
    "HDEL": _hdel,
    "SMEMBERS": _smembers,
    "SADD": _sadd,
    "SREM": _srem,
}
