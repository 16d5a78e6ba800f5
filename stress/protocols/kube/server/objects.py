"""How objects come to be: what the server adds to one that is created, and what of an update it takes."""

from __future__ import annotations

import re
import secrets
import time
import uuid
from typing import TYPE_CHECKING, Any, NamedTuple

from stress.protocols.kube.server import schema
from stress.protocols.kube.server.resources import RBAC
from stress.protocols.kube.server.status import Cause, Json, Refused, bad_request, invalid

if TYPE_CHECKING:
    from stress.protocols.kube.server.resources import Resource
    from stress.protocols.kube.server.storage import Key

STATUS = "status"
"""The name of the subresource."""
_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_NAME = re.compile(_SUBDOMAIN)
_NAME_LENGTH = 253
_SUFFIX = "bcdfghjklmnpqrstvwxz2456789"
_SECTIONS = frozenset(("metadata", "status", "kind", "apiVersion"))
_SYSTEM = (
    *("uid", "creationTimestamp", "generation", "managedFields", "resourceVersion"),
    *("deletionTimestamp", "deletionGracePeriodSeconds", "selfLink"),
)
_TYPES = {
    **dict.fromkeys(("name", "generateName", "namespace", "uid", "resourceVersion"), str),
    **dict.fromkeys(("labels", "annotations"), dict),
    **dict.fromkeys(("finalizers", "ownerReferences"), list),
}
_KEPT = (*_SYSTEM, "name", "namespace", "generateName")


class Writer(NamedTuple):
    """Who writes: the manager's name, the time in seconds since 1970, and whether it is only asked what would come."""

    manager: str
    now: float
    dry_run: bool = False


def stamp(now: float) -> str:
    """Give a time in seconds since 1970 as objects have it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))


def metadata_of(value: Json) -> Json:
    """Give the metadata of what a client sent, without what is empty in it.

    Raises:
        Refused: when a part of it is of a wrong type.

    """
    sent = value.get("metadata") or {}
    if not isinstance(sent, dict):
        raise bad_request("metadata must be an object")
    found = {field: part for field, part in sent.items() if part or field == "generation"}
    for field, part in found.items():
        wanted = _TYPES.get(field)
        if wanted is not None and not isinstance(part, wanted):
            raise bad_request(f"metadata.{field} is of a wrong type")
    return found


def check_type(resource: Resource, value: Json) -> None:
    """Make sure that an object is of the resource's kind.

    Raises:
        Refused: when it is not.

    """
    kind, version = value.get("kind", ""), value.get("apiVersion", "")
    if resource.custom:
        causes = []
        if version != resource.api_version:
            causes.append(Cause.wrong("apiVersion", f'"{version}"', f"must be {resource.api_version}"))
        if kind != resource.kind:
            causes.append(Cause.wrong("kind", f'"{kind}"', f"must be {resource.kind}"))
        if causes:
            raise invalid(resource.group, kind, metadata_of(value).get("name", ""), causes)
    elif kind not in ("", resource.kind) or version not in ("", resource.api_version):
        raise bad_request(f'{kind} in version "{version}" cannot be handled as a {resource.kind}')


def name_of(resource: Resource, metadata: Json) -> str:
    """Give the name of an object that is created; one is made up where it asks for that.

    Raises:
        Refused: when it has none, or one that is not allowed.

    """
    name = metadata.get("name") or ""
    if not name and metadata.get("generateName"):
        return str(metadata["generateName"]) + "".join(secrets.choice(_SUFFIX) for _ in range(5))
    if not name:
        cause = Cause.required("metadata.name", "name or generateName is required")
        raise invalid(resource.group, resource.kind, "", [cause])
    if resource.group == RBAC and not set("/%") & set(name):
        return str(name)
    if not _NAME.fullmatch(name) or len(name) > _NAME_LENGTH:
        why = (
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must "
            "start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
            f"'{_SUBDOMAIN}')"
        )
        cause = Cause.wrong("metadata.name", f'"{name}"', why)
        raise invalid(resource.group, resource.kind, name, [cause])
    return name


def created(resource: Resource, value: Json, key: Key, by: Writer) -> Json:
    """Give the object that a creation stores.

    Raises:
        Refused: when the schema does not allow it.

    """
    sent = metadata_of(value)
    namespace, name = key
    metadata = {field: part for field, part in sent.items() if field not in _SYSTEM}
    metadata["name"] = name
    if resource.namespaced:
        metadata["namespace"] = namespace
    metadata["uid"] = str(uuid.uuid4())
    metadata["creationTimestamp"] = stamp(by.now)
    if resource.generation:
        metadata["generation"] = 1
    found = {"apiVersion": resource.api_version, "kind": resource.kind, **value, "metadata": metadata}
    if resource.status:
        found.pop(STATUS, None)
    complete(resource, found)
    _check(resource, found, name, None)
    metadata["managedFields"] = managed(resource, found, [], "", by)
    return found


def complete(resource: Resource, value: Json) -> None:
    """Put in what the server puts into some built-in kinds, and defaults of custom ones."""
    if resource.schema is not None:
        schema.fill(value, resource.schema)
    elif resource.plural == "namespaces":
        labels = value["metadata"].get("labels") or {}
        value["metadata"]["labels"] = {**labels, "kubernetes.io/metadata.name": value["metadata"]["name"]}
        value.setdefault("spec", {"finalizers": ["kubernetes"]})
        value[STATUS] = {"phase": "Active"}
    elif resource.plural == "pods":
        value[STATUS] = {"phase": "Pending", "qosClass": "BestEffort"}


def updated(resource: Resource, value: Json, old: Json, sub: str, by: Writer) -> Json | None:
    """Give the object that an update stores in the place of another; None when nothing changes.

    Raises:
        Refused: when the schema does not allow it.

    """
    before = old["metadata"]
    if sub == STATUS:
        found = dict(old)
        found.pop(STATUS, None)
        if STATUS in value:
            found[STATUS] = value[STATUS]
        metadata = dict(before)
    else:
        sent = metadata_of(value)
        found = {"apiVersion": resource.api_version, "kind": resource.kind, **value}
        if resource.status:
            found.pop(STATUS, None)
            if STATUS in old:
                found[STATUS] = old[STATUS]
        metadata = {field: part for field, part in sent.items() if field not in _KEPT}
        metadata.update({field: before[field] for field in _KEPT if field in before})
    found["metadata"] = metadata
    if resource.schema is not None:
        schema.fill(found, resource.schema)
    if found == old:
        return None
    _check(resource, found, before["name"], old)
    if resource.generation and _wanted(found, status=resource.status) != _wanted(old, status=resource.status):
        metadata["generation"] = before["generation"] + 1
    metadata["managedFields"] = managed(resource, found, before.get("managedFields", []), sub, by)
    return found


def terminating(resource: Resource, old: Json, now: float) -> Json:
    """Give an object whose deletion waits for its finalizers."""
    metadata = {**old["metadata"], "deletionTimestamp": stamp(now), "deletionGracePeriodSeconds": 0}
    if resource.generation:
        metadata["generation"] = metadata.get("generation", 0) + 1
    return {**old, "metadata": metadata}


def managed(resource: Resource, value: Json, before: list[Json], sub: str, by: Writer) -> list[Json]:
    """Tell who wrote which fields last, as `metadata.managedFields`.

    Simpler than the real one: the last writer of a section (the object, or its status) owns all of it.
    """
    if sub:
        fields = {f"f:{sub}": _tree(value.get(sub), nested=resource.custom)}
    else:
        fields = {
            f"f:{field}": _tree(part, nested=resource.custom)
            for field, part in value.items()
            if field not in _SECTIONS or (field == STATUS and not resource.status)
        }
        own = {
            f"f:{field}": _tree(part, nested=isinstance(part, dict))
            for field, part in value["metadata"].items()
            if field not in _SYSTEM and field not in ("name", "namespace")
        }
        if own:
            fields["f:metadata"] = own
    kept = [entry for entry in before if entry.get("subresource", "") != sub]
    entry: Json = {"manager": by.manager, "operation": "Update", "apiVersion": resource.api_version}
    entry |= {"time": stamp(by.now), "fieldsType": "FieldsV1", "fieldsV1": fields}
    if sub:
        entry["subresource"] = sub
    return [*kept, entry] if sub else [entry, *kept]


def _tree(value: Any, *, nested: bool) -> Json:  # noqa: ANN401 - whatever is in an object
    if not isinstance(value, dict):
        return {}
    found: Json = {".": {}} if nested else {}
    for name, part in value.items():
        found[f"f:{name}"] = _tree(part, nested=nested) if isinstance(part, dict) else {}
    return found


def _wanted(value: Json, *, status: bool) -> Json:
    """Give what a generation counts: all but the metadata, and the status where that is a subresource."""
    return {name: part for name, part in value.items() if name != "metadata" and not (status and name == STATUS)}


def _check(resource: Resource, value: Json, name: str, old: Json | None) -> None:
    if resource.schema is not None and (causes := [*schema.faults(value, resource.schema, old=old)]):
        raise invalid(resource.group, resource.kind, name, causes)


def refuse_version() -> Refused:
    """Say that an object to be created must not have a version."""
    return Refused(500, "", "resourceVersion should not be set on objects to be created")
