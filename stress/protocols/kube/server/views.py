"""In which form an answer is given: objects and lists as JSON, whole or their metadata alone."""

from __future__ import annotations

from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING

from stress.protocols.kube.server.status import not_acceptable
from stress.protocols.kube.server.storage import encode

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stress.protocols.kube.server.resources import Resource
    from stress.protocols.kube.server.status import Json
    from stress.protocols.kube.server.storage import Stored

JSON = "application/json"
PROTOBUF = "application/vnd.kubernetes.protobuf"
BODIES = (JSON, "application/yaml", PROTOBUF)
"""The types of body that are taken, in the order in which the server names them."""
_PARTIAL = ("partialobjectmetadata", "partialobjectmetadatalist")
_ANY = frozenset((JSON, PROTOBUF, "*/*", "application/*"))


class View(Enum):
    """What of an object is shown. Who asks for protobuf gets JSON, which clients of it take too."""

    WHOLE = "whole"
    PARTIAL = "partial"
    AGGREGATED = "aggregated"


@lru_cache(maxsize=256)
def wanted(accept: str) -> View:
    """Give the form that an ``Accept`` header asks for first, of those that are to be had.

    Raises:
        Refused: when it names none of them.

    """
    for clause in (accept or "*/*").split(","):
        media, *parameters = (part.strip() for part in clause.split(";"))
        given = dict(parameter.partition("=")[::2] for parameter in parameters)
        form = given.get("as", "").lower()
        if media not in _ANY:
            continue
        if not form:
            return View.WHOLE
        if form in _PARTIAL and given.get("v", "v1") == "v1":
            return View.PARTIAL
        if form == "apigroupdiscoverylist" and given.get("v") == "v2":
            return View.AGGREGATED
    raise not_acceptable(BODIES)


def one(stored: Stored, view: View) -> bytes:
    """Give one object."""
    return partial(stored) if view is View.PARTIAL else stored.body


def partial(stored: Stored) -> bytes:
    """Give the metadata of an object alone."""
    metadata = stored.value["metadata"]
    return encode({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata})


def many(resource: Resource, items: Iterable[Stored], metadata: Json, view: View) -> bytes:
    """Give a list; ``metadata`` is that of the list."""
    if view is View.PARTIAL:
        head = {"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": metadata}
        inside = [partial(item) for item in items]
    else:
        head = {"kind": resource.collection_kind, "apiVersion": resource.api_version, "metadata": metadata}
        inside = [item.body if resource.custom else item.bare for item in items]
    return encode(head)[:-1] + b',"items":[' + b",".join(inside) + b"]}"
