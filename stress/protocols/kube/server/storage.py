"""What is stored: objects under one growing resource version, each with its JSON made once, and their history."""

from __future__ import annotations

import json
from collections import deque
from typing import TYPE_CHECKING

from stress.protocols.kube.server.status import Json, list_too_old, too_new, too_old

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from stress.protocols.kube.server.resources import Resource

HISTORY = 4000
"""How many changes of a resource are remembered; who asks for older ones is notified that they are gone."""

Key = tuple[str, str]
"""Namespace (empty for what has none) and name."""
_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, check_circular=False).encode


def encode(value: object) -> bytes:
    """Give a value as JSON, without blanks."""
    return _encode(value).encode()


class Stored:
    """One version of an object. Nobody changes ``value`` once it stands here: the next version is another object."""

    __slots__ = ("_bare", "body", "key", "value", "version")

    def __init__(self, key: Key, value: Json, version: int) -> None:
        """Write the version into the object and serialise it."""
        value["metadata"]["resourceVersion"] = str(version)
        self.key = key
        self.value = value
        self.version = version
        self.body = encode(value)
        self._bare: bytes | None = None

    @property
    def bare(self) -> bytes:
        """Its JSON without kind and version, as lists of built-in kinds have their items."""
        if self._bare is None:
            self._bare = encode({name: part for name, part in self.value.items() if name not in _TYPE})
        return self._bare

    def repeat(self) -> Stored:
        """Serialise what was changed before anybody else saw it."""
        self.body = encode(self.value)
        return self

    def at(self, version: int) -> Stored:
        """Give the same object under another version: what a watch shows of it when it goes."""
        return Stored(self.key, {**self.value, "metadata": {**self.value["metadata"]}}, version)


_TYPE = ("kind", "apiVersion")


class Change:
    """One write: what stood there before and what stands there now, None for nothing."""

    __slots__ = ("_gone", "new", "old", "version")

    def __init__(self, version: int, old: Stored | None, new: Stored | None) -> None:
        """Take both sides; not both are None."""
        self.version = version
        self.old = old
        self.new = new
        self._gone: Stored | None = None

    @property
    def gone(self) -> Stored:
        """What a watch shows of an object that left its view: as it last was there, under the version of this write."""
        if self._gone is None:
            if self.old is None:
                raise ValueError("what was not there before can't go")
            self._gone = self.old.at(self.version)
        return self._gone


class Collection:
    """All objects of one resource."""

    def __init__(self, resource: Resource, begun: int) -> None:
        """Begin empty, at a version of the storage."""
        self.resource = resource
        self.items: dict[Key, Stored] = {}
        self._schedule: list[Key] | None = None
        self.history: deque[Change] = deque()
        self.oldest = begun
        """What happened up to this version is forgotten."""
        self.listeners: list[Callable[[Change], None]] = []

    def sorted(self, namespace: str) -> list[Stored]:
        """Give the objects of a namespace (empty: of all) by namespace and name."""
        items, schedule = self.items, self._schedule
        if schedule is None:
            schedule = self._schedule = sorted(items)
        return [items[key] for key in schedule if not namespace or key[0] == namespace]

    def replace(self, key: Key, new: Stored | None) -> Stored | None:
        """Put an object in its place, or nothing; give what stood there."""
        old = self.items.pop(key, None) if new is None else self.items.get(key)
        if new is not None:
            self.items[key] = new
        if old is None or new is None:
            self._schedule = None
        return old

    def as_of(self, version: int, namespace: str) -> list[Stored]:
        """Give the objects as they were at a version.

        Raises:
            Refused: when that is forgotten.

        """
        if version < self.oldest:
            raise list_too_old()
        then = dict(self.items)
        for change in reversed(self.history):
            if change.version <= version:
                break
            if change.old is not None:
                then[change.old.key] = change.old
            elif change.new is not None:
                then.pop(change.new.key, None)
        return [then[key] for key in sorted(then) if not namespace or key[0] == namespace]

    def since(self, version: int) -> Iterator[Change]:
        """Give the changes after a version.

        Raises:
            Refused: when some of them are forgotten.

        """
        if version < self.oldest:
            raise too_old(version, self.oldest)
        return iter([change for change in self.history if change.version > version])


class Storage:
    """Everything that the server keeps."""

    def __init__(self) -> None:
        """Begin empty. The first write has version 2: to clients 0 is "any version" and 1 the beginning of time."""
        self.version = 1
        self._collections: dict[str, Collection] = {}

    def of(self, resource: Resource) -> Collection:
        """Give the objects of a resource."""
        found = self._collections.get(resource.qualified)
        if found is None:
            found = self._collections[resource.qualified] = Collection(resource, self.version)
        return found

    def forget(self, resource: Resource) -> None:
        """Drop a resource that is no longer served, with all that is remembered of it."""
        self._collections.pop(resource.qualified, None)

    def all(self) -> list[Collection]:
        """Give the collections that were asked for so far."""
        return [*self._collections.values()]

    def put(self, resource: Resource, key: Key, value: Json) -> Stored:
        """Store an object, which from here on belongs to the storage."""
        collection = self.of(resource)
        self.version += 1
        stored = Stored(key, value, self.version)
        old = collection.replace(key, stored)
        self._remember(collection, Change(self.version, old, stored))
        return stored

    def remove(self, resource: Resource, key: Key) -> Stored:
        """Delete an object that is there and give it as it last was."""
        collection = self.of(resource)
        old = collection.items[key]
        collection.replace(key, None)
        self.version += 1
        self._remember(collection, Change(self.version, old, None))
        return old

    def compact(self) -> None:
        """Forget all history up to now; objects stay."""
        for collection in self._collections.values():
            collection.history.clear()
            collection.oldest = self.version

    def reached(self, version: int) -> None:
        """Make sure that a version exists.

        Raises:
            Refused: when it does not yet.

        """
        if version > self.version:
            raise too_new(version, self.version)

    def _remember(self, collection: Collection, change: Change) -> None:
        collection.history.append(change)
        if len(collection.history) > HISTORY:
            collection.oldest = collection.history.popleft().version
        for listener in tuple(collection.listeners):
            listener(change)
