"""Reading what an API server says, as far as a step shows it: JSON whole, protobuf only names and reasons.

Source: the Kubernetes protobuf envelope (``k8s`` and a zero byte, then ``runtime.Unknown``), the ``generated.proto``
files of meta/v1 for the numbers of the fields, and the protobuf encoding guide for the wire.
"""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MAX_READ = 16 * 1024 * 1024
"""Bytes of a body, unpacked, that are read at most."""
PROTOBUF = b"application/vnd.kubernetes.protobuf"
_ENVELOPE = b"k8s\x00"
_LISTED = 20
_ANY_PACKING = 47
"""zlib's number for: gzip or zlib, whichever it is."""
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

Document = dict[str, Any]
"""An object as its JSON is. From protobuf it has only kind, metadata, and what a Status or a list has besides."""


def document(content_type: bytes, encoding: bytes, body: bytes) -> Document | None:
    """Read a body; None if it is of another kind, too long, or not whole."""
    try:
        if encoding in (b"gzip", b"deflate"):
            unpacking = zlib.decompressobj(_ANY_PACKING)
            body = unpacking.decompress(body, MAX_READ)
            if not unpacking.eof:
                return None
        if body.startswith(_ENVELOPE):
            return _object(body)
        read = json.loads(body) if b"json" in content_type and len(body) <= MAX_READ else None
    except (ValueError, zlib.error, RecursionError):
        return None
    return read if isinstance(read, dict) else None


def watched(content_type: bytes, event: bytes) -> tuple[str, Document]:
    """Read one event of a watch: its type and its object.

    Raises:
        ValueError: when it is none.

    """
    if content_type.startswith(PROTOBUF):
        fields = dict(_fields(event))
        kind, wrapped = fields.get(1, b""), fields.get(2, b"")
        if not isinstance(kind, bytes) or not isinstance(wrapped, bytes) or not kind:
            raise ValueError("no event")
        return kind.decode(), _object(_bytes(wrapped, 1))
    try:
        read = json.loads(event)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    whole = isinstance(read, dict) and isinstance(read.get("type"), str) and isinstance(read.get("object"), dict)
    if not whole:
        raise ValueError("no event")
    return read["type"], read["object"]


def words_of(read: Document | None, show: Sequence[str] = ()) -> str | tuple[str, ...]:
    """Say in a few words what a body tells: the reason of a refusal, the name, and the fields to show.

    A list gives its items, in its order. ``show`` are paths (``status.phase``) that are named with their values where
    an object has them.
    """
    if read is None:
        return ""
    items = read.get("items")
    if isinstance(items, list):
        names = [_shown(item, show) for item in items[:_LISTED] if isinstance(item, dict)]
        return (*names, *([f"{len(items) - _LISTED} more"] if len(items) > _LISTED else []))
    if read.get("kind") == "Status":
        words = [str(read.get("reason", "")), str(_part(read, "details").get("name", ""))]
        return " ".join(word for word in words if word)
    return _shown(read, show)


def reported(status: object, read: Document | None, show: Sequence[str] = ()) -> str:
    """Say in a few words what was answered: the status, and what `words_of` the body says."""
    words = words_of(read, show)
    return f"{status} [{', '.join(words)}]" if isinstance(words, tuple) else f"{status} {words}".rstrip()


def meta(read: Document | None) -> Document:
    """Give the metadata of an object, empty where it has none."""
    return _part(read or {}, "metadata")


def uid_of(read: Document) -> str:
    """Give the uid of an object, or of that which a Status tells of."""
    return str(meta(read).get("uid") or _part(read, "details").get("uid") or "")


def generated(read: Document) -> list[tuple[str, str]]:
    """Give the names that the server made of a ``generateName``, oldest object first: that prefix, and the rest."""
    items = read.get("items")
    several = [meta(one) for one in items if isinstance(one, dict)] if isinstance(items, list) else [meta(read)]
    found = [(str(one.get("generateName") or ""), str(one.get("name") or ""), version_of(one)) for one in several]
    found.sort(key=lambda one: one[2])
    return [(prefix, name[len(prefix) :]) for prefix, name, _ in found if prefix and name.startswith(prefix)]


def version_of(about: Document) -> int:
    """Give the resourceVersion in the metadata of an object as a number; versions of one resource grow."""
    text = str(about.get("resourceVersion") or "")
    return int(text) if text.isdecimal() else 0


def _shown(item: Document, show: Sequence[str]) -> str:
    words = [str(meta(item).get("name", ""))]
    for path in show:
        value: object = item
        for key in path.split("."):
            value = value.get(key) if isinstance(value, dict) else None
        if value is not None:
            words.append(f"{path.rpartition('.')[2]}={value}")
    return " ".join(words)


def _part(read: Document, key: str) -> Document:
    found = read.get(key)
    return found if isinstance(found, dict) else {}


# --- protobuf ----------------------------------------------------------------------------------------


def _object(data: bytes) -> Document:
    """Read an object in its envelope."""
    if not data.startswith(_ENVELOPE):
        raise ValueError("no envelope")
    unknown = data[len(_ENVELOPE) :]
    kind, raw = _text(_bytes(unknown, 1), 2), _bytes(unknown, 2)
    if kind == "Status":
        details = _bytes(raw, 5)
        named = {"name": _text(details, 1), "uid": _text(details, 6)}
        return {"kind": kind, "message": _text(raw, 3), "reason": _text(raw, 4), "details": named}
    if kind.endswith("List"):
        items = [value for number, value in _fields(raw) if number == 2 and isinstance(value, bytes)]  # noqa: PLR2004 - the items
        listed = {"resourceVersion": _text(_bytes(raw, 1), 2)}
        return {"kind": kind, "metadata": listed, "items": [{"metadata": _metadata(_bytes(item, 1))} for item in items]}
    return {"kind": kind, "metadata": _metadata(_bytes(raw, 1))}


def _metadata(data: bytes) -> Document:
    found: Document = {}
    annotations: dict[str, str] = {}
    names = {1: "name", 2: "generateName", 3: "namespace", 5: "uid", 6: "resourceVersion"}
    for number, value in _fields(data):
        if isinstance(value, bytes) and number in names:
            found[names[number]] = value.decode("utf-8", "replace")
        elif isinstance(value, bytes) and number == 12:  # noqa: PLR2004 - a pair of the annotations
            annotations[_text(value, 1)] = _text(value, 2)
    return {**found, "annotations": annotations}


def _bytes(data: bytes, wanted: int) -> bytes:
    return next((value for number, value in _fields(data) if number == wanted and isinstance(value, bytes)), b"")


def _text(data: bytes, wanted: int) -> str:
    return _bytes(data, wanted).decode("utf-8", "replace")


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Give the fields of a message: their numbers, and their values as numbers or bytes."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, form = key >> 3, key & 7
        if form == _VARINT:
            value, at = _varint(data, at)
            yield number, value
            continue
        if form == _BYTES:
            length, at = _varint(data, at)
        elif form in (_FIXED64, _FIXED32):
            length = 8 if form == _FIXED64 else 4
        else:
            raise ValueError("no protobuf")
        if at + length > len(data):
            raise ValueError("no protobuf")
        yield number, data[at : at + length]
        at += length


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(data) and shift < 70:  # noqa: PLR2004 - ten groups of seven bits
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:  # noqa: PLR2004 - the last group
            return value, at
        shift += 7
    raise ValueError("no protobuf")
