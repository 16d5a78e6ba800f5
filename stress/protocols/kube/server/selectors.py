"""Label and field selectors: from their text to a predicate over objects."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from stress.protocols.kube.server.status import Json, bad_request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from stress.protocols.kube.server.resources import Resource

_TOKEN = re.compile(r"\s*(==|!=|[=,()!<>]|[^\s=,()!<>]+)")
_NAMES = ("metadata.name", "metadata.namespace")


def select(resource: Resource, labels: str, fields: str) -> Callable[[Json], bool] | None:
    """Give what an object must fulfil; None when everything fits.

    Raises:
        Refused: when a selector can't be parsed, or names a field that the resource does not offer.

    """
    wanted = [*_labels(labels), *_fields(resource, fields)]
    if not wanted:
        return None
    if len(wanted) == 1:
        return wanted[0]
    return lambda value: all(fits(value) for fits in wanted)


def _fields(resource: Resource, text: str) -> Iterator[Callable[[Json], bool]]:
    for term in filter(None, text.split(",")):
        path, equal, wanted = _comparison(term)
        if path not in _NAMES and path not in resource.fields:
            raise bad_request(f"field label not supported: {path}")
        yield _field(path.split("."), wanted, equal=equal)


def _comparison(term: str) -> tuple[str, bool, str]:
    for operator in ("!=", "==", "="):
        path, found, wanted = term.partition(operator)
        if found:
            break
    else:
        raise bad_request(f"invalid field selector: invalid selector: '{term}'; can't understand '{term}'")
    if "=" in wanted:
        raise bad_request(f"invalid field selector: unescaped character in value: {ord('=')}")
    return path, operator != "!=", wanted


def _field(path: list[str], wanted: str, *, equal: bool) -> Callable[[Json], bool]:
    def fits(value: Any) -> bool:  # noqa: ANN401 - whatever is in an object
        for part in path:
            value = value.get(part) if isinstance(value, dict) else None
        found = "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
        return (found == wanted) is equal

    return fits


class _Tokens:
    """The words of a label selector, one after another; an empty word is its end."""

    def __init__(self, text: str) -> None:
        self._words: list[str] = [*_TOKEN.findall(text.strip()), ""]
        self._at = 0

    def peek(self) -> str:
        return self._words[self._at]

    def take(self) -> str:
        word = self._words[self._at]
        self._at = min(self._at + 1, len(self._words) - 1)
        return word

    def expect(self, *wanted: str) -> str:
        word = self.take()
        if word not in wanted:
            expected = " or ".join(f"'{each or 'end of string'}'" for each in wanted)
            raise bad_request(f"unable to parse requirement: found '{word}' expected: {expected}")
        return word


def _labels(text: str) -> Iterator[Callable[[Json], bool]]:
    if not text.strip():
        return
    tokens = _Tokens(text)
    while True:
        yield _requirement(tokens)
        if tokens.peek() == "":
            return
        tokens.expect(",", "")


def _requirement(tokens: _Tokens) -> Callable[[Json], bool]:
    absent = tokens.peek() == "!"
    if absent:
        tokens.take()
    name = tokens.take()
    if not name or not (name[0].isalnum()):
        raise bad_request(f"unable to parse requirement: found '{name}', expected: identifier")
    operator = tokens.peek()
    if absent or operator in (",", ""):
        return lambda value: (name in _of(value)) is not absent
    tokens.take()
    if operator in ("in", "notin"):
        inside = operator == "in"
        values = _set(tokens)
        if inside:
            return lambda value: _of(value).get(name) in values
        return lambda value: _of(value).get(name) not in values
    if operator in ("=", "==", "!="):
        wanted = "" if tokens.peek() in (",", "") else tokens.take()
        equal = operator != "!="
        return lambda value: (_of(value).get(name) == wanted) is equal
    if operator in ("<", ">"):
        return _ordered(name, tokens.take(), larger=operator == ">")
    raise bad_request(f"unable to parse requirement: found '{operator}', expected: in, notin, =, ==, !=, gt, lt")


def _ordered(name: str, bound: str, *, larger: bool) -> Callable[[Json], bool]:
    try:
        limit = int(bound)
    except ValueError:
        message = "unable to parse requirement: for 'Gt', 'Lt' operators, the value must be an integer"
        raise bad_request(message) from None

    def fits(value: Json) -> bool:
        found = _of(value).get(name, "")
        return found.lstrip("-").isdigit() and (int(found) > limit if larger else int(found) < limit)

    return fits


def _set(tokens: _Tokens) -> set[str]:
    tokens.expect("(")
    values = set()
    while True:
        values.add("" if tokens.peek() in (",", ")") else tokens.take())
        if tokens.expect(",", ")") == ")":
            return values


def _of(value: Json) -> dict[str, str]:
    return value["metadata"].get("labels") or {}
