"""The Kubernetes API in memory: objects with versions, and what each replica's watch has delivered of them.

It answers as the embedded server does (`test_kube_model.py` compares the two), but a version counts the changes
of its object alone: clients may only ask whether two are the same, and so fewer histories differ. Nothing that stands
here is ever changed: a change puts another object in its place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from stress.executors.model.redis_memory import next_second

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from stress.gateways.kubeapi import Resource

    _Changed = Callable[["Json"], "Json"]

Json = dict[str, Any]
Key = tuple[str, str, str]
"""Plural, namespace and name."""

_OK, _CREATED, _NOT_FOUND, _CONFLICT, _INVALID = 200, 201, 404, 409, 422
_PUT_CREATES = "leases"
"""The resource whose objects are created by an update where there is none."""
_OWN = ("uid", "resourceVersion")


class KubeReply:
    """An answer: its status, and the object, list or refusal. Two are equal when they say the same."""

    __slots__ = ("_hash", "document", "said", "status")

    def __init__(self, status: int, document: Json, said: str) -> None:
        """Take the answer, and ``said``: a text that no other answer has."""
        self.status, self.document, self.said = status, document, said
        self._hash = hash((status, said))

    def __hash__(self) -> int:
        """Be as good as what is said."""
        return self._hash

    def __eq__(self, other: object) -> bool:
        """Compare what is said."""
        return isinstance(other, KubeReply) and (self.status, self.said) == (other.status, other.said)

    def __repr__(self) -> str:
        """Give what is said."""
        return f"{self.status} {self.said}"


class StoredObject(NamedTuple):
    """One version of an object, and the answer that is this object."""

    document: Json
    read: KubeReply

    @property
    def key(self) -> tuple[str, str]:
        """Its namespace and name."""
        return self.document["metadata"]["namespace"], self.document["metadata"]["name"]


class News(NamedTuple):
    """One event of a watch."""

    type: str
    stored: StoredObject


class KubeMemory:
    """All objects. ``now`` is the clock in seconds since 1970; ``watched`` the resource whose watches fill caches."""

    def __init__(self, now: float, watched: str, replicas: Sequence[int] = ()) -> None:
        """Begin empty; each of the ``replicas`` watches."""
        self.now = now
        self._watched = watched
        self._objects: dict[Key, StoredObject] = {}
        self._born: dict[Key, int] = {}
        self._caches: dict[int, dict[tuple[str, str], StoredObject]] = {number: {} for number in replicas}
        self._news: dict[int, tuple[News, ...]] = dict.fromkeys(replicas, ())

    def copy(self) -> KubeMemory:
        """Give an independent state of the same content."""
        other = KubeMemory(self.now, self._watched)
        other._objects, other._born, other._news = self._objects.copy(), self._born.copy(), self._news.copy()
        other._caches = {number: cache.copy() for number, cache in self._caches.items()}
        return other

    def advance(self) -> None:
        """Move the clock to just past the next second."""
        self.now = next_second(self.now)

    # --- requests ---------------------------------------------------------------------------------------

    def list(self, resource: Resource, namespace: str, field: str, value: str) -> KubeReply:
        """List the objects of a namespace in which a field has a value, by name."""
        return _listed([one for one in self.objects(resource.plural, namespace) if _at(one.document, field) == value])

    def get(self, resource: Resource, namespace: str, name: str) -> KubeReply:
        """Read an object."""
        found = self._objects.get((resource.plural, namespace, name))
        return _refused(_NOT_FOUND, "NotFound", resource, name) if found is None else found.read

    def create(self, resource: Resource, body: Json) -> KubeReply:
        """Create an object; a status is left out where it is a part of its own."""
        sent = body["metadata"]
        key = resource.plural, sent["namespace"], sent["name"]
        if key in self._objects:
            return _refused(_CONFLICT, "AlreadyExists", resource, sent["name"])
        born = self._born[key] = self._born.get(key, 0) + 1
        metadata = {**sent, "uid": f"{sent['name']}.{born}", "resourceVersion": f"{born}.1"}
        made = {name: part for name, part in body.items() if name != "status"}
        stored = self._put(key, {**made, "metadata": metadata}, "ADDED")
        return KubeReply(_CREATED, stored.document, stored.read.said)

    def update(self, resource: Resource, body: Json) -> KubeReply:
        """Put an object in the place of the version that its metadata names; the status stays.

        Where there is no lease one is created, unless the metadata names one that was.
        """
        sent = body["metadata"]
        there = (resource.plural, sent["namespace"], sent["name"]) in self._objects
        if not there and resource.plural == _PUT_CREATES and not sent.get("uid"):
            return self.create(resource, body)

        def changed(old: Json) -> Json:
            kept = {"status": old["status"]} if "status" in old else {}
            metadata = {**sent, **{name: old["metadata"][name] for name in _OWN}}
            return {**{name: part for name, part in body.items() if name != "status"}, "metadata": metadata, **kept}

        return self._replaced(resource, body, changed)

    def update_status(self, resource: Resource, body: Json) -> KubeReply:
        """Put a status in the place of that of the version that its metadata names."""
        return self._replaced(resource, body, lambda old: {**old, "status": body["status"]})

    def delete(self, resource: Resource, namespace: str, name: str, uid: str = "", version: str = "") -> KubeReply:
        """Delete an object, where uid and version are given only if they are its own."""
        key = resource.plural, namespace, name
        found = self._objects.get(key)
        if found is None:
            return _refused(_NOT_FOUND, "NotFound", resource, name)
        metadata = found.document["metadata"]
        if (uid and uid != metadata["uid"]) or (version and version != metadata["resourceVersion"]):
            return _refused(_CONFLICT, "Conflict", resource, name)
        self.drop(key)
        return KubeReply(_OK, {"kind": "Status", "status": "Success", "details": {"name": name}}, f"deleted {name}")

    # --- caches -----------------------------------------------------------------------------------------

    def cached_list(self, replica: int, namespace: str, field: str, value: str) -> KubeReply:
        """List the objects of a namespace in which a field has a value, by name, as a replica knows them."""
        cache = self._caches[replica]
        known = [cache[key] for key in sorted(cache) if key[0] == namespace]
        return _listed([one for one in known if _at(one.document, field) == value])

    def cached_get(self, replica: int, resource: Resource, namespace: str, name: str) -> KubeReply:
        """Read an object as a replica knows it."""
        found = self._caches[replica].get((namespace, name))
        return _refused(_NOT_FOUND, "NotFound", resource, name) if found is None else found.read

    def news(self) -> Sequence[tuple[int, News]]:
        """Give the next event of each replica's watch, where there is one."""
        return [(replica, news[0]) for replica, news in self._news.items() if news]

    def holds_news(self, replica: int) -> bool:
        """Return whether a replica is still to know of anything."""
        return bool(self._news.get(replica))

    def deliver(self, replica: int) -> News:
        """Let a replica know of the next event."""
        first, *rest = self._news[replica]
        self._news[replica] = tuple(rest)
        cache = self._caches[replica]
        if first.type == "DELETED":
            cache.pop(first.stored.key, None)
        else:
            cache[first.stored.key] = first.stored
        return first

    # --- past the wire ----------------------------------------------------------------------------------

    def objects(self, plural: str, namespace: str = "") -> Sequence[StoredObject]:
        """Give the objects of a resource, of one namespace or of all, by namespace and name."""
        wanted = [key for key in self._objects if key[0] == plural and (not namespace or key[1] == namespace)]
        return [self._objects[key] for key in sorted(wanted)]

    def drop(self, key: Key) -> None:
        """Delete an object that is there."""
        gone = self._objects.pop(key)
        self._tell(key, News("DELETED", gone))

    def patch(self, key: Key, changes: Json) -> None:
        """Change an object that is there by a merge patch (RFC 7396) that sets values and takes none away."""
        self._change(key, _merged(self._objects[key].document, changes))

    def _replaced(self, resource: Resource, body: Json, changed: _Changed) -> KubeReply:
        sent = body["metadata"]
        name = sent["name"]
        key = resource.plural, sent["namespace"], name
        old = self._objects.get(key)
        if old is None:
            if sent.get("uid") and resource.plural == _PUT_CREATES:
                return _refused(_CONFLICT, "Conflict", resource, name)
            return _refused(_NOT_FOUND, "NotFound", resource, name)
        metadata = old.document["metadata"]
        if any(sent.get(part) not in (None, "", metadata[part]) for part in _OWN):
            return _refused(_CONFLICT, "Conflict", resource, name)
        if not sent.get("resourceVersion"):
            return _refused(_INVALID, "Invalid", resource, name)
        return self._change(key, changed(old.document)).read

    def _change(self, key: Key, document: Json) -> StoredObject:
        """Store the next version of an object, unless nothing has changed."""
        old = self._objects[key]
        if document == old.document:
            return old
        born, _, number = old.document["metadata"]["resourceVersion"].partition(".")
        metadata = {**document["metadata"], "resourceVersion": f"{born}.{int(number) + 1}"}
        return self._put(key, {**document, "metadata": metadata}, "MODIFIED")

    def _put(self, key: Key, document: Json, change: str) -> StoredObject:
        stored = self._objects[key] = StoredObject(document, KubeReply(_OK, document, repr(document)))
        self._tell(key, News(change, stored))
        return stored

    def _tell(self, key: Key, news: News) -> None:
        if key[0] == self._watched:
            for replica, before in self._news.items():
                self._news[replica] = (*before, news)


def _listed(found: Sequence[StoredObject]) -> KubeReply:
    return KubeReply(_OK, {"items": [one.document for one in found]}, "\n".join(one.read.said for one in found))


def _refused(status: int, reason: str, resource: Resource, name: str) -> KubeReply:
    message = f'{resource.plural}.{resource.group} "{name}": {reason}'
    details = {"name": name}
    return KubeReply(
        status, {"kind": "Status", "reason": reason, "message": message, "details": details}, f"{reason} {name}"
    )


def _at(document: Json, path: str) -> object:
    found: object = document
    for name in path.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    return found


def _merged(old: object, changes: Mapping[str, Any]) -> Json:
    found = dict(old) if isinstance(old, dict) else {}
    for name, value in changes.items():
        found[name] = _merged(found.get(name), value) if isinstance(value, dict) else value
    return found
