"""The places in a sample request where a value stands that may name what the request is about."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qsl, urlencode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stress.diagnose.proposal.curl import Sample

_UUID = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_PREFIXED = re.compile(r"(?P<before>\S*[A-Za-z]\S*?[-_:./#])[\w]+")
_MAIL = re.compile(r"[^@\s]+@[^@\s]+")
_NAMES = re.compile(
    r"(?:^|[_-])(id|key|idempotency|fingerprint|uuid|ref|reference|code|sku|name|token)(?:$|[_-])", re.IGNORECASE
)
_PLAIN = ("content-type", "user-agent", "accept-encoding", "accept-language", "origin", "referer", "connection")
"""Headers that are of the client, and name nothing."""
FRESH = "{fresh}"


class Place(NamedTuple):
    """A value in a request: which part it is in, the names and numbers that lead to it, and the value."""

    part: str
    path: tuple[str | int, ...]
    value: str

    @property
    def name(self) -> str:
        """The innermost name that leads to it, in words with a line between them."""
        name = next((key for key in reversed(self.path) if isinstance(key, str)), "")
        return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name)

    @property
    def shown(self) -> str:
        """The place for people: ``body schedule.id``, ``header Idempotency-Key``, ``path nightly-7``."""
        return " ".join([self.part, ".".join(map(str, self.path if self.part == "body" else self.path[-1:]))]).strip()

    @property
    def fresh(self) -> str:
        """The value as a text with ``{fresh}`` in it that still looks as it did."""
        if _UUID.fullmatch(self.value):
            return self.value[:24] + FRESH  # the last group has as many hex digits
        if _MAIL.fullmatch(self.value):
            return f"{FRESH}@{self.value.partition('@')[2]}"
        prefixed = _PREFIXED.fullmatch(self.value)
        return (prefixed["before"] if prefixed else "") + FRESH


def places(sample: Sample, secret: frozenset[str] = frozenset()) -> list[Place]:
    """Give the places of texts in a request, those first whose names say that they name something.

    Those of headers that are ``secret`` are left out.
    """
    segments = sample.path.split("/")
    found = [Place("path", (at, text), text) for at, text in enumerate(segments) if at > 1 and text]
    found += [Place("query", (at, name), value) for at, (name, value) in enumerate(sample.query)]
    named = (one for one in sample.headers.items() if one[0].lower() not in _PLAIN and one[0] not in secret)
    found += [Place("header", (name,), value) for name, value in named]
    found += [Place("body", path, text) for path, text in _in_body(sample)]
    found = [one for one in found if one.value]
    return sorted(found, key=lambda one: _NAMES.search(one.name) is None)


def _in_body(sample: Sample) -> Iterator[tuple[tuple[str | int, ...], str]]:
    if sample.body is None:
        return
    if sample.content_type.endswith("form-urlencoded"):
        pairs = parse_qsl(sample.body, keep_blank_values=True)
        yield from (((at, name), value) for at, (name, value) in enumerate(pairs))
        return
    try:
        whole = json.loads(sample.body)
    except (ValueError, RecursionError):
        yield (), sample.body
        return
    yield from _texts(whole, ())


def _texts(value: object, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    if isinstance(value, str):
        yield path, value
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        yield from _texts(one, (*path, key))


def put(sample: Sample, place: Place, text: str) -> Sample:
    """Give the request with another text at a place."""
    if place.part == "path":
        segments = sample.path.split("/")
        segments[int(place.path[0])] = text
        return replace(sample, path="/".join(segments))
    if place.part == "query":
        pairs = [(name, text if at == place.path[0] else value) for at, (name, value) in enumerate(sample.query)]
        return replace(sample, query=tuple(pairs))
    if place.part == "header":
        return replace(sample, headers={**sample.headers, str(place.path[0]): text})
    return replace(sample, body=_put_in_body(sample, place, text))


def _put_in_body(sample: Sample, place: Place, text: str) -> str:
    if not place.path:
        return text
    body = sample.body or ""
    if sample.content_type.endswith("form-urlencoded"):
        pairs = parse_qsl(body, keep_blank_values=True)
        return urlencode(
            [(name, text if at == place.path[0] else value) for at, (name, value) in enumerate(pairs)], safe="{}@:/"
        )
    whole = json.loads(body)
    above = whole
    for key in place.path[:-1]:
        above = above[key]
    above[place.path[-1]] = text
    return json.dumps(whole, ensure_ascii=False, indent=2)
