"""What the replies to the same request, several times, one after another, say: who made a record, which, how many."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from stress.core.values import number
from stress.executors.live.said import fields_of
from stress.executors.observe import text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from stress.diagnose.proposal.asking import Reply, Round

_ACCEPTED, _REFUSED = range(200, 300), 400
_PATH = re.compile(r"[^.\s]+(\.[^.\s]+)*")
_IDS = re.compile(r"(?:^|[._-])(id|uuid|key|name|record|number|ref)$|Id$|ID$|Name$|Key$")
_NO_SIGN = frozenset(("content-length", "date", "etag", "connection", "keep-alive", "server", "set-cookie"))
_Plain = str | int | float | bool | None


class Judged(NamedTuple):
    """The key `answers` that fits, its values in the order of the file, and what is not known."""

    answers: dict[str, object]
    record: str | None
    open: tuple[str, ...] = ()


def answers_of(rounds: Sequence[Round]) -> Judged:
    """Say how the answers are read."""
    record, counts = record_of(rounds), list(_counting(rounds))
    kinds, unknown = _kinds(rounds, counts)
    if record is not None and "retry_later" not in kinds and not all(_tells(one, record) for one in rounds):
        record = None  # that of a refused duplicate, which is an accepted answer here, has to name it too
    found: dict[str, object] = {**kinds, "record": record}
    if counts:
        found["count"] = counts[0]
    if record is None:
        unknown.append(_nameless(rounds))
    return Judged(found, record, tuple(unknown))


def _kinds(rounds: Sequence[Round], counts: Sequence[str]) -> tuple[dict[str, object], list[str]]:
    """Say what an answer looks like that created, and one that did not."""
    first = sorted({one.replies[0].status for one in rounds})
    later = sorted({reply.status for one in rounds for reply in one.replies[1:]})
    status: object = first[0] if len(first) == 1 else first
    if len(later) == 1 and later != first:
        return {"created": status, "duplicate": later[0]}, []
    if later != first:
        refused = [one for one in later if one not in first]
        seen = f"the same request is answered {' or '.join(map(str, later))} after the first: which count is open"
        return {"created": status, "duplicate": status, "retry_later": refused}, [seen]
    for part, names in (("body", _paths(rounds)), ("headers", _header_names(rounds))):
        for name in names:
            of_first = {_shown(one.replies[0], part, name) for one in rounds}
            of_later = {_shown(reply, part, name) for one in rounds for reply in one.replies[1:]}
            if len(of_first) == len(of_later) == 1 and of_first != of_later:
                return _reported_apart(status, part, name, of_first.pop(), of_later.pop()), []
    for path in counts:
        if {number(one.replies[0].field(path)) for one in rounds} == {1}:
            return {"created": {"status": status, "body": {path: 1}}, "duplicate": status}, []
    return {"created": status, "duplicate": status}, ["no answer says whether it made the record or found it there"]


def _reported_apart(status: object, part: str, name: str, made: _Plain, there: _Plain) -> dict[str, object]:
    """Say it by the value of a field or header; of two kinds that fit an answer the one that demands more is meant."""
    if made is None:
        return {"created": status, "duplicate": {"status": status, part: {name: there}}}
    return {"created": {"status": status, part: {name: made}}, "duplicate": status}


def record_of(rounds: Sequence[Round]) -> str | None:
    """Find the field that all accepted answers to one request have in common, and no two requests: the record's name.

    One that the service has made up goes before one that it was sent.
    """
    fitting = [path for path in (*_paths(rounds), ".") if _names(rounds, path)]
    sent = {path for path in fitting if all(one.fresh in str(one.replies[0].field(path)) for one in rounds)}
    rank: Callable[[str], tuple[bool, bool]] = lambda path: (path in sent, _IDS.search(path) is None)  # noqa: E731
    return min(fitting, key=rank, default=None)


def _names(rounds: Sequence[Round], path: str) -> bool:
    seen = [{text_of(reply.field(path)) for reply in one.replies if reply.status in _ACCEPTED} for one in rounds]
    return all(len(texts) == 1 and None not in texts for texts in seen) and len(set().union(*seen)) == len(rounds) > 1


def _tells(one: Round, path: str) -> bool:
    return all(text_of(reply.field(path)) for reply in one.replies)


def _counting(rounds: Sequence[Round]) -> Iterator[str]:
    """Give the fields that go up by one with each answer."""
    for path in (*_paths(rounds), "."):
        seen = [[number(reply.field(path)) for reply in one.replies] for one in rounds]
        if all(_goes_up(row) for row in seen):
            yield path


def _goes_up(row: Sequence[int | None]) -> bool:
    known = row if row[0] is not None else row[1:]
    pairs = pairwise(known)
    return len(known) > 1 and all(None not in (one, after) and after == (one or 0) + 1 for one, after in pairs)


def _nameless(rounds: Sequence[Round]) -> str:
    for path in _paths(rounds):
        seen = [text_of(reply.field(path)) for one in rounds for reply in one.replies if reply.status in _ACCEPTED]
        if None not in seen and len(set(seen)) == len(seen) > len(rounds) and _IDS.search(path):
            return f"each answer has another {path}, also to the same request"
    return "no field of the answers names the result: none is the same for one request and another for the next"


def _paths(rounds: Sequence[Round]) -> list[str]:
    """Name the fields of the bodies that can be written as a path."""
    bodies = [reply.body for one in rounds for reply in one.replies]
    paths = dict.fromkeys(path for body in dict.fromkeys(bodies) for path in fields_of(body))
    return [path for path in paths if _PATH.fullmatch(path)]


def _header_names(rounds: Sequence[Round]) -> list[str]:
    names = dict.fromkeys(name for one in rounds for reply in one.replies for name in reply.headers)
    return [name for name in names if name not in _NO_SIGN and re.fullmatch("[A-Za-z0-9-]+", name)]


def _shown(reply: Reply, part: str, name: str) -> _Plain:
    """Give the value of a field or header; what is no plain value is none that can be written."""
    value = reply.headers.get(name) if part == "headers" else reply.field(name)
    return value if isinstance(value, str | int | float | bool) else None
