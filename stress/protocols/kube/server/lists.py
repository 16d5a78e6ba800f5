"""Lists: which objects, as of when, and in pages."""

from __future__ import annotations

import base64
import binascii
import json
from typing import TYPE_CHECKING, NamedTuple

from stress.protocols.kube.server.selectors import select
from stress.protocols.kube.server.status import Cause, Json, Refused, bad_options, bad_request

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from stress.protocols.kube.server.resources import Resource
    from stress.protocols.kube.server.storage import Collection, Storage, Stored

_TOKEN_VERSION = "meta.k8s.io/v1"  # noqa: S105 - the mark of a page, no secret
EXACT, NOT_OLDER = "Exact", "NotOlderThan"
_YES = frozenset(("true", "1", "True", "TRUE", "t", "T"))


class Options(NamedTuple):
    """The parameters of a list or watch, as the client gave them."""

    fits: Callable[[Json], bool] | None
    version: str
    match: str
    watch: bool
    initial: bool
    bookmarks: bool
    limit: int
    token: str
    seconds: float | None


def options(resource: Resource, query: Mapping[str, str]) -> Options:
    """Read the parameters.

    Raises:
        Refused: when they can't be read or do not go together.

    """
    found = Options(
        fits=select(resource, query.get("labelSelector", ""), query.get("fieldSelector", "")),
        version=query.get("resourceVersion", ""),
        match=query.get("resourceVersionMatch", ""),
        watch=query.get("watch", "") in _YES,
        initial=query.get("sendInitialEvents", "") in _YES,
        bookmarks=query.get("allowWatchBookmarks", "") in _YES,
        limit=_number(query, "limit"),
        token=query.get("continue", ""),
        seconds=_number(query, "timeoutSeconds") or None,
    )
    causes = _watch_causes(found) if found.watch else _list_causes(found)
    if causes:
        raise bad_options(*causes)
    return found


def version_of(found: Options) -> int:
    """Give the resource version that was asked for, 0 for none.

    Raises:
        Refused: when it is not a number.

    """
    if not found.version:
        return 0
    if found.version.isascii() and found.version.isdigit():
        return int(found.version)
    what = f'resourceVersion: Invalid value: "{found.version}": '
    message = f'{what}strconv.ParseUint: parsing "{found.version}": invalid syntax'
    if found.watch:
        # Recorded: a watch is refused as a fault of the server, without a reason.
        raise Refused(500, "", message)
    raise bad_request(f"invalid resource version: {message}")


def _number(query: Mapping[str, str], name: str) -> int:
    text = query.get(name, "")
    if not text:
        return 0
    try:
        return int(text)
    except ValueError:
        raise bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax') from None


def _list_causes(found: Options) -> list[Cause]:
    causes = []
    field = "resourceVersionMatch"
    if found.match and not found.version:
        causes.append(Cause.forbidden(field, f"{field} is forbidden unless resourceVersion is provided"))
    elif found.match == EXACT and found.version == "0":
        causes.append(Cause.forbidden(field, f'{field} "Exact" is forbidden for resourceVersion "0"'))
    if found.match and found.token:
        causes.append(Cause.forbidden(field, f"{field} is forbidden when continue is provided"))
    if found.initial:
        causes.append(Cause.forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"))
    return causes


def _watch_causes(found: Options) -> list[Cause]:
    field = "resourceVersionMatch"
    if found.initial and found.match != NOT_OLDER:
        return [Cause.forbidden(field, f"sendInitialEvents requires setting {field} to NotOlderThan")]
    if found.match and not found.initial:
        return [Cause.forbidden(field, f"{field} is forbidden for watch unless sendInitialEvents is provided")]
    return []


class Page(NamedTuple):
    """What a list answers: the objects and the metadata of the list."""

    items: list[Stored]
    metadata: Json


def page(storage: Storage, collection: Collection, namespace: str, found: Options) -> Page:
    """Give the objects that a list asks for.

    Raises:
        Refused: when the version is forgotten or does not exist yet, or the mark of the page can't be read.

    """
    asked = version_of(found)
    storage.reached(asked)
    version, after = storage.version, ("", "")
    if found.token:
        version, after = _read_token(found.token, namespace)
        items = collection.as_of(version, namespace)
    elif found.match == EXACT:
        version = asked
        items = collection.as_of(version, namespace)
    else:
        items = collection.sorted(namespace)
    if found.fits is not None:
        items = [item for item in items if found.fits(item.value)]
    if found.token:
        items = [item for item in items if item.key > after]
    metadata: Json = {"resourceVersion": str(version)}
    # Recorded: custom resources always tell of a next page, the others only where there is one.
    if collection.resource.custom:
        metadata["continue"] = ""
    # A server that answers from its cache, as for version 0, gives no pages.
    if found.limit and len(items) > found.limit and found.version != "0":
        left = len(items) - found.limit
        items = items[: found.limit]
        metadata["continue"] = _token(version, items[-1], namespace)
        if found.fits is None:
            metadata["remainingItemCount"] = left
    return Page(items, metadata)


def _token(version: int, last: Stored, namespace: str) -> str:
    start = last.key[1] if namespace or not last.key[0] else "/".join(last.key)
    text = json.dumps({"v": _TOKEN_VERSION, "rv": version, "start": f"/{start}\0"}, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _read_token(token: str, namespace: str) -> tuple[int, tuple[str, str]]:
    why = "invalid continue token: continue key is not valid: "
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise bad_request(f"{why}illegal base64 data at input byte 0") from None
    try:
        content = json.loads(raw)
        version, start = int(content["rv"]), str(content["start"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise bad_request(f"{why}invalid character '{chr(raw[0])}' looking for beginning of value") from None
    *inside, name = start.strip("/\0").split("/")
    return version, (inside[0] if inside else namespace, name)
