"""The patches of the API: merge patches (RFC 7396) and JSON patches (RFC 6902).

A strategic merge patch is taken for a merge patch: its lists replace the lists that were there.
"""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

from stress.protocols.kube.server.status import Json, Refused, bad_request

MERGE = "application/merge-patch+json"
JSON = "application/json-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"


def accepted(*, custom: bool) -> tuple[str, ...]:
    """Give the types of patch that a resource takes, in the order in which the server names them."""
    return (JSON, MERGE, APPLY) if custom else (JSON, MERGE, STRATEGIC, APPLY)


class Patch(NamedTuple):
    """A patch as it came: its type and what it says."""

    how: str
    content: Any

    @property
    def creates(self) -> bool:
        """Whether it makes an object that is not there."""
        return self.how == APPLY

    def applied(self, value: Json) -> Json:
        """Give what it makes of an object, which is left as it is.

        Raises:
            Refused: when it does not fit.

        """
        found = edited(value, self.content) if self.how == JSON else merged(value, self.content)
        if not isinstance(found, dict):
            raise bad_request("a patch must leave an object")
        return found


def merged(value: Any, patch: Any) -> Any:  # noqa: ANN401 - any JSON
    """Give what a merge patch makes of a value, which is left as it is."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    found = dict(value) if isinstance(value, dict) else {}
    for name, change in patch.items():
        if change is None:
            found.pop(name, None)
        else:
            found[name] = merged(found.get(name), change)
    return found


def edited(value: Json, operations: Any) -> Any:  # noqa: ANN401 - any JSON
    """Give what a JSON patch makes of an object, which is left as it is.

    Raises:
        Refused: when an operation does not fit the object.

    """
    found: Any = copy.deepcopy(value)
    try:
        for operation in operations:
            found = _apply(found, operation)
    except (KeyError, IndexError, ValueError, TypeError, AttributeError):
        message = "the server rejected our request due to an error in our request"
        raise Refused(422, "Invalid", message, {}) from None
    return found


def _apply(root: Any, operation: Json) -> Any:  # noqa: ANN401 - any JSON
    name, path = operation["op"], _path(operation["path"])
    if name == "test":
        if _at(root, path) != operation["value"]:
            raise ValueError("the test failed")
        return root
    if name == "remove":
        _take(root, path)
        return root
    if name == "add":
        return _put(root, path, operation["value"])
    if name == "replace":
        _at(root, path)
        _take(root, path)
        return _put(root, path, operation["value"])
    if name in ("move", "copy"):
        source = _path(operation["from"])
        moved = copy.deepcopy(_at(root, source))
        if name == "move":
            _take(root, source)
        return _put(root, path, moved)
    raise ValueError("no such operation")


def _path(pointer: str) -> list[str]:
    if not pointer.startswith("/"):
        raise ValueError("not a pointer into the object")
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer[1:].split("/")]


def _at(value: Any, path: list[str]) -> Any:  # noqa: ANN401 - any JSON
    for part in path:
        value = value[int(part)] if isinstance(value, list) else value[part]
    return value


def _take(root: Any, path: list[str]) -> None:  # noqa: ANN401 - any JSON
    inside = _at(root, path[:-1])
    del inside[int(path[-1]) if isinstance(inside, list) else path[-1]]


def _put(root: Any, path: list[str], value: Any) -> Any:  # noqa: ANN401 - any JSON
    inside, last = _at(root, path[:-1]), path[-1]
    if not isinstance(inside, list):
        inside[last] = value
        return root
    at = len(inside) if last == "-" else int(last)
    if not 0 <= at <= len(inside):
        raise IndexError(last)
    inside.insert(at, value)
    return root
