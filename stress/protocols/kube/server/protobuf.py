"""Bodies in protobuf, as client-go sends those of built-in kinds: decoded into what their JSON would say.

Only kinds that a Gateway sends are known: leases, reviews, events, delete options, namespaces and configuration maps.
The numbers of the fields are those of the API's published `generated.proto` files.
"""

from __future__ import annotations

import base64
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from stress.protocols.kube.server.status import Json, bad_request

if TYPE_CHECKING:
    from collections.abc import Iterator

MAGIC = b"k8s\x00"
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MORE, _SIGN, _ALL = 0x80, 1 << 63, 1 << 64


class _Field(NamedTuple):
    """How one field is read: its name in JSON, its kind of value, the fields of a message, whether it repeats."""

    name: str
    kind: str = "text"
    inner: dict[int, _Field] = {}
    many: bool = False


def _texts(*names: str) -> dict[int, _Field]:
    """Number fields of text from 1 on; an empty name leaves a number out."""
    return {number: _Field(name) for number, name in enumerate(names, 1) if name}


def _message(name: str, inner: dict[int, _Field]) -> _Field:
    return _Field(name, "message", inner)


_OWNER = {**_texts("kind", "", "name", "uid", "apiVersion"), 6: _Field("controller", "bool")}
_META = {
    **_texts("name", "generateName", "namespace", "", "uid", "resourceVersion"),
    11: _Field("labels", "map"),
    12: _Field("annotations", "map"),
    13: _Field("ownerReferences", "message", {**_OWNER, 7: _Field("blockOwnerDeletion", "bool")}, many=True),
    14: _Field("finalizers", many=True),
}
_LEASE = {
    1: _Field("holderIdentity"),
    2: _Field("leaseDurationSeconds", "int"),
    3: _Field("acquireTime", "micro"),
    4: _Field("renewTime", "micro"),
    5: _Field("leaseTransitions", "int"),
    6: _Field("strategy"),
    7: _Field("preferredHolder"),
}
_ASKED = {
    1: _message(
        "resourceAttributes", _texts("namespace", "verb", "group", "version", "resource", "subresource", "name")
    ),
    2: _message("nonResourceAttributes", _texts("path", "verb")),
}
_REFERENCE = _texts("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
_EVENT = {
    2: _message("involvedObject", _REFERENCE),
    3: _Field("reason"),
    4: _Field("message"),
    5: _message("source", _texts("component", "host")),
    6: _Field("firstTimestamp", "time"),
    7: _Field("lastTimestamp", "time"),
    8: _Field("count", "int"),
    9: _Field("type"),
    10: _Field("eventTime", "micro"),
    12: _Field("action"),
    13: _message("related", _REFERENCE),
    14: _Field("reportingComponent"),
    15: _Field("reportingInstance"),
}
_NEW_EVENT = {
    2: _Field("eventTime", "micro"),
    **{number: _Field(name) for number, name in ((4, "reportingController"), (5, "reportingInstance"), (6, "action"))},
    7: _Field("reason"),
    8: _message("regarding", _REFERENCE),
    9: _message("related", _REFERENCE),
    10: _Field("note"),
    11: _Field("type"),
}
_OPTIONS = {
    1: _Field("gracePeriodSeconds", "int"),
    2: _message("preconditions", _texts("uid", "resourceVersion")),
    3: _Field("orphanDependents", "bool"),
    4: _Field("propagationPolicy"),
    5: _Field("dryRun", many=True),
}
_SUBJECT = {**_ASKED, 3: _Field("user"), 4: _Field("groups", many=True), 6: _Field("uid")}


def _spec(inner: dict[int, _Field]) -> dict[int, _Field]:
    return {2: _message("spec", inner)}


_KINDS: dict[tuple[str, str], dict[int, _Field]] = {
    ("coordination.k8s.io/v1", "Lease"): _spec(_LEASE),
    ("authentication.k8s.io/v1", "TokenReview"): _spec({1: _Field("token"), 2: _Field("audiences", many=True)}),
    ("authorization.k8s.io/v1", "SubjectAccessReview"): _spec(_SUBJECT),
    ("authorization.k8s.io/v1", "LocalSubjectAccessReview"): _spec(_SUBJECT),
    ("authorization.k8s.io/v1", "SelfSubjectAccessReview"): _spec(_ASKED),
    ("authorization.k8s.io/v1", "SelfSubjectRulesReview"): _spec(_texts("namespace")),
    ("v1", "Event"): _EVENT,
    ("events.k8s.io/v1", "Event"): _NEW_EVENT,
    ("v1", "Namespace"): {},
    ("v1", "ConfigMap"): {2: _Field("data", "map"), 3: _Field("binaryData", "bytemap")},
}


def decode(body: bytes) -> Json:
    """Give the object in a protobuf body.

    Raises:
        Refused: when it is none, is cut off, or is of a kind that is not known here.

    """
    if not body.startswith(MAGIC):
        raise bad_request("the body is not a protobuf object: it does not begin with k8s\\0")
    try:
        outer = _read(body[len(MAGIC) :], {1: _message("type", _texts("apiVersion", "kind")), 2: _Field("raw", "raw")})
        version, kind = outer.get("type", {}).get("apiVersion", ""), outer.get("type", {}).get("kind", "")
        if kind == "DeleteOptions":
            known = _OPTIONS
        elif (version, kind) in _KINDS:
            known = {1: _message("metadata", _META), **_KINDS[version, kind]}
        else:
            raise bad_request(f"no protobuf of {kind} in {version} is known here: send it as JSON")
        return {"apiVersion": version, "kind": kind, **_read(outer.get("raw", b""), known)}
    except (IndexError, UnicodeDecodeError, ValueError):
        raise bad_request("the protobuf body can't be read: it is cut off or not what it says") from None


def _read(data: bytes, known: dict[int, _Field]) -> Json:
    found: Json = {}
    for number, value in _fields(data):
        field = known.get(number)
        if field is None:
            continue
        read = _value(field, value)
        if field.many:
            found.setdefault(field.name, []).append(read)
        elif field.kind in ("map", "bytemap"):
            found.setdefault(field.name, {}).update(read)
        elif read not in ("", {}, None):
            # Fields that have no "unset" are always written; JSON leaves empty ones out.
            found[field.name] = read
    return found


def _value(field: _Field, value: int | bytes) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(value, int):
        return bool(value) if field.kind == "bool" else value
    if field.kind == "text":
        return value.decode()
    if field.kind == "message":
        return _read(value, field.inner)
    if field.kind in ("map", "bytemap"):
        pair = _read(value, {1: _Field("key"), 2: _Field("value", "raw")})
        content: bytes = pair.get("value", b"")
        return {
            pair.get("key", ""): base64.b64encode(content).decode() if field.kind == "bytemap" else content.decode()
        }
    if field.kind in ("time", "micro"):
        return _time(value, micro=field.kind == "micro")
    return value


def _time(data: bytes, *, micro: bool) -> str:
    parts = dict(_fields(data))
    seconds, nanos = parts.get(1, 0), parts.get(2, 0)
    if not parts:
        return ""
    if isinstance(seconds, bytes) or isinstance(nanos, bytes):
        raise ValueError("a time is two numbers")  # noqa: TRY004 - what the caller takes for a broken body
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{whole}.{nanos // 1000:06d}Z" if micro else f"{whole}Z"


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Give the number and the raw value of each field, in the order in which they stand."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            value, at = _varint(data, at)
            yield number, value - _ALL if value & _SIGN else value
            continue
        if kind == _BYTES:
            size, at = _varint(data, at)
        elif kind in (_FIXED64, _FIXED32):
            size = 8 if kind == _FIXED64 else 4
        else:
            raise ValueError("an unknown kind of field")
        if at + size > len(data):
            raise ValueError("a field is cut off")
        yield number, data[at : at + size]
        at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    found = shift = 0
    while True:
        byte = data[at]
        at += 1
        found |= (byte & 0x7F) << shift
        shift += 7
        if byte < _MORE:
            return found & (_ALL - 1), at
