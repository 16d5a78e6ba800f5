"""What a reply or an event tells a Gateway in full, in words that compare between runs."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from stress.protocols.kube.replies import meta, version_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from stress.protocols.kube.replies import Document

UNREADABLE = "***"
"""What is said of a body that is not read in full, as protobuf is."""
_BOOKKEEPING = ("managedFields", "selfLink")


def observed(read: Document | None, naming: Callable[[str], str]) -> str:
    """Write a body in full; texts have the names that ``naming`` gives.

    Versions are symbols, as clients may only compare them, and of several objects it is said which is older. In place
    of the time at which an object was made stands how many seconds of the clock ago that was; of other times ``naming``
    may leave out which they are.
    """
    if read is None:
        return ""
    if "apiVersion" not in read:
        return UNREADABLE
    items = read.get("items")
    if not isinstance(items, list):
        return _written(read, naming, int(time.time()))
    versions = [version_of(meta(one)) for one in items if isinstance(one, dict)]
    ages = sorted(range(len(versions)), key=versions.__getitem__)
    return f"{_written(items, naming, int(time.time()))} by age {ages}"


def _written(value: object, naming: Callable[[str], str], now: int) -> str:
    if isinstance(value, dict):
        return "{" + " ".join(_fields(value, naming, now)) + "}"
    if isinstance(value, list):
        return "[" + " ".join(_written(one, naming, now) for one in value) + "]"
    return naming(value) if isinstance(value, str) else str(value)


def _fields(read: Document, naming: Callable[[str], str], now: int) -> Iterator[str]:
    for key in sorted(read):
        value = read[key]
        if key == "resourceVersion":
            yield f"{{version:{value}}}"
        elif key == "creationTimestamp":
            yield f"made {_age(value, now)} s ago"
        elif key not in _BOOKKEEPING:
            yield f"{key if key.isalpha() else naming(key)}: {_written(value, naming, now)}"


def _age(stamp: object, now: int) -> object:
    try:
        moment = datetime.fromisoformat(str(stamp))
    except ValueError:
        return stamp
    return now - int(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp())
