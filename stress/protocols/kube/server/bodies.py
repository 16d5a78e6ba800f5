"""Bodies of requests: from bytes of a type to JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import yaml

from stress.protocols.kube.server import protobuf, views
from stress.protocols.kube.server.patches import Patch
from stress.protocols.kube.server.status import Json, bad_request, unknown_format

if TYPE_CHECKING:
    from stress.protocols.kube.server.resources import Resource

_SHOWN = 256
"""How much of a body that can't be read is shown, in characters."""


def media_type(header: str) -> str:
    """Give a content type without its parameters; JSON if there is none."""
    return header.partition(";")[0].strip().lower() or views.JSON


def read_object(resource: Resource, body: bytes, content_type: str) -> Json:
    """Give the object that a client sent.

    Raises:
        Refused: when it is of a type that is not taken, or can't be read.

    """
    media = media_type(content_type)
    if media not in views.BODIES:
        raise unknown_format(views.BODIES)
    if media == views.PROTOBUF:
        return protobuf.decode(body)
    try:
        found = json.loads(body) if media == views.JSON else yaml.safe_load(body)
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise bad_request(_unread(resource, body, error)) from None
    if not isinstance(found, dict):
        raise bad_request(_unread(resource, body, None))
    return found


def read_patch(resource: Resource, body: bytes, media: str, accepted: tuple[str, ...]) -> Patch:
    """Give the patch that a client sent.

    Raises:
        Refused: when it is of a type that is not taken, or can't be read.

    """
    if media not in accepted:
        raise unknown_format(accepted)
    try:
        return Patch(media, yaml.safe_load(body) if media.endswith("yaml") else json.loads(body))
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise bad_request(_unread(resource, body, error)) from None


def read_options(body: bytes, content_type: str) -> Json:
    """Give the options of a deletion: those in the body, empty if there is none.

    Raises:
        Refused: when they can't be read.

    """
    if not body:
        return {}
    if body.startswith(protobuf.MAGIC) or media_type(content_type) == views.PROTOBUF:
        return protobuf.decode(body)
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise bad_request("the options of the deletion can't be read")
    return found


def _unread(resource: Resource, body: bytes, error: Exception | None) -> str:
    text = body.decode(errors="replace")
    why = "not an object"
    if isinstance(error, json.JSONDecodeError):
        why = "unexpected end of JSON input"
        if error.pos < len(text.rstrip()):
            why = f"invalid character '{text[error.pos]}' looking for beginning of value"
    elif error is not None:
        why = str(error)
    shown = text[:_SHOWN] or "<empty>"
    return (
        f"the object provided is unrecognized (must be of type {resource.kind}): couldn't get version/kind; "
        f"json parse error: {why} ({shown})"
    )
