"""The verbs of the API over the storage: create, update, patch, delete, with preconditions and finalizers."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from stress.protocols.kube.server import objects, patches, status
from stress.protocols.kube.server.resources import BUILT_IN, DEFINITIONS, NAMESPACES, Resource, of_definition
from stress.protocols.kube.server.storage import Key, Storage, Stored

if TYPE_CHECKING:
    from collections.abc import Callable

    from stress.protocols.kube.server.objects import Writer
    from stress.protocols.kube.server.status import Json

_BEGINNING = ("default", "kube-node-lease", "kube-public", "kube-system")
_SELF = "gateway-stress"


class Verbs:
    """What can be done to the objects, and which resources there are. ``clock`` gives seconds since 1970."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        """Begin with the namespaces that every cluster has."""
        self.storage = Storage()
        self.clock = clock
        self.resources: dict[tuple[str, str, str], Resource] = {}
        """By group, version and plural name."""
        for resource in BUILT_IN:
            self.serve(resource)
        for name in _BEGINNING:
            self.create(NAMESPACES, "", {"metadata": {"name": name}}, self.writer(_SELF))

    def serve(self, resource: Resource) -> None:
        """Offer a resource from now on, in the place of one of the same names."""
        self.resources[resource.group, resource.version, resource.plural] = resource
        self.storage.of(resource)

    def writer(self, manager: str, *, dry_run: bool = False) -> Writer:
        """Give a writer of this moment."""
        return objects.Writer(manager, self.clock(), dry_run)

    def get(self, resource: Resource, key: Key) -> Stored:
        """Give an object.

        Raises:
            Refused: when it is not there.

        """
        found = self.storage.of(resource).items.get(key)
        if found is None:
            raise status.not_found(resource, key[1])
        return found

    def create(self, resource: Resource, namespace: str, value: Json, by: Writer) -> Stored:
        """Create an object.

        Raises:
            Refused: when it is not valid, its namespace is not there, or its name is taken.

        """
        objects.check_type(resource, value)
        metadata = objects.metadata_of(value)
        self._check_namespace(resource, namespace, metadata)
        name = objects.name_of(resource, metadata)
        key = (namespace, name)
        if metadata.get("resourceVersion"):
            raise objects.refuse_version()
        made = objects.created(resource, value, key, by)
        if key in self.storage.of(resource).items:
            raise status.exists(resource, name)
        if resource is DEFINITIONS:
            self._define(made)
        if by.dry_run:
            return _unstored(key, made)
        return self.storage.put(resource, key, made)

    def update(self, resource: Resource, key: Key, value: Json, sub: str, by: Writer) -> tuple[Stored, bool]:
        """Put an object (or its status) in the place of another; tell whether it was created.

        Raises:
            Refused: when it is not there, is not the version that the client knows, or is not valid.

        """
        objects.check_type(resource, value)
        metadata = objects.metadata_of(value)
        name = metadata.get("name", key[1])
        if name != key[1]:
            raise status.bad_request(f"the name of the object ({name}) does not match the name on the URL ({key[1]})")
        if resource.namespaced and metadata.get("namespace") not in (None, "", key[0]):
            raise _other_namespace()
        old = self.storage.of(resource).items.get(key)
        if old is None and (sub or not resource.create_on_update):
            raise status.not_found(resource, key[1])
        _same_uid(resource, key, metadata.get("uid"), old)
        if old is None:
            plain = {name: part for name, part in metadata.items() if name != "resourceVersion"}
            return self.create(resource, key[0], {**value, "metadata": {**plain, "name": key[1]}}, by), True
        version = metadata.get("resourceVersion")
        if version and version != str(old.version):
            raise status.modified(resource, key[1])
        if not version and not resource.unconditional:
            cause = status.Cause.wrong("metadata.resourceVersion", "0", "must be specified for an update")
            raise status.invalid(resource.group, resource.plural, key[1], [cause])
        return self._replace(resource, old, value, sub, by), False

    def patch(self, resource: Resource, key: Key, patch: patches.Patch, sub: str, by: Writer) -> tuple[Stored, bool]:
        """Change an object (or its status) by a patch; tell whether it was created.

        Raises:
            Refused: as by `update`, and when the patch does not fit.

        """
        old = self.storage.of(resource).items.get(key)
        if old is None:
            if patch.creates and not sub:
                return self.create(resource, key[0], patch.applied({}), by), True
            raise status.not_found(resource, key[1])
        changed = patch.applied(old.value)
        return self.update(resource, key, changed, sub, by)

    def delete(self, resource: Resource, key: Key, preconditions: Json, by: Writer) -> Stored | None:
        """Delete an object; give it when finalizers hold it, or None when it is gone.

        Raises:
            Refused: when it is not there, or a precondition (``uid``, ``resourceVersion``) does not hold.

        """
        old = self.get(resource, key)
        _fulfils(resource, old, preconditions)
        if by.dry_run:
            return None
        if old.value["metadata"].get("finalizers"):
            if "deletionTimestamp" in old.value["metadata"]:
                return old
            return self.storage.put(resource, key, objects.terminating(resource, old.value, by.now))
        self._remove(resource, key, by)
        return None

    def _replace(self, resource: Resource, old: Stored, value: Json, sub: str, by: Writer) -> Stored:
        """Store the next version of an object, or delete it when its last finalizer goes."""
        made = objects.updated(resource, value, old.value, sub, by)
        if made is None:
            return old
        if by.dry_run:
            return Stored(old.key, made, old.version)
        if "deletionTimestamp" in made["metadata"] and not made["metadata"].get("finalizers"):
            self._remove(resource, old.key, by)
            return Stored(old.key, made, old.version)
        if resource is DEFINITIONS:
            self._define(made)
        return self.storage.put(resource, old.key, made)

    def _remove(self, resource: Resource, key: Key, by: Writer) -> None:
        if resource is NAMESPACES:
            self._empty(key[1], by)
        elif resource is DEFINITIONS:
            for served in of_definition(self.get(resource, key).value):
                self.resources.pop((served.group, served.version, served.plural), None)
                self.storage.forget(served)
        self.storage.remove(resource, key)

    def _empty(self, namespace: str, by: Writer) -> None:
        """Delete all objects of a namespace; finalizers do not hold them, as nobody is left to take these off."""
        old = self.get(NAMESPACES, ("", namespace))
        ending = objects.terminating(NAMESPACES, old.value, by.now)
        self.storage.put(NAMESPACES, old.key, {**ending, "status": {"phase": "Terminating"}})
        for collection in self.storage.all():
            for stored in collection.sorted(namespace):
                self.storage.remove(collection.resource, stored.key)

    def _define(self, definition: Json) -> None:
        """Serve what a CustomResourceDefinition defines, and tell in its status that it is served."""
        try:
            served = of_definition(definition)
            names = definition["spec"]["names"]
            stored = [version["name"] for version in definition["spec"]["versions"] if version.get("storage")]
        except (KeyError, TypeError, AttributeError) as error:
            cause = status.Cause.required("spec", str(error))
            name = definition["metadata"]["name"]
            raise status.invalid(DEFINITIONS.group, DEFINITIONS.kind, name, [cause]) from None
        now = objects.stamp(self.clock())
        definition["status"] = {
            "conditions": [
                {"type": kind, "status": "True", "reason": reason, "message": message, "lastTransitionTime": now}
                for kind, reason, message in (
                    ("NamesAccepted", "NoConflicts", "no conflicts found"),
                    ("Established", "InitialNamesAccepted", "the initial names have been accepted"),
                )
            ],
            "acceptedNames": names,
            "storedVersions": stored,
        }
        for resource in served:
            self.serve(resource)

    def _check_namespace(self, resource: Resource, namespace: str, metadata: Json) -> None:
        if not resource.namespaced:
            return
        if metadata.get("namespace") not in (None, "", namespace):
            raise _other_namespace()
        if ("", namespace) not in self.storage.of(NAMESPACES).items:
            raise status.not_found(NAMESPACES, namespace)


def _unstored(key: Key, value: Json) -> Stored:
    """Give an object as the answer to a dry run has it: without a version."""
    stored = Stored(key, value, 0)
    del stored.value["metadata"]["resourceVersion"]
    return stored.repeat()


def _other_namespace() -> status.Refused:
    message = "the namespace of the provided object does not match the namespace sent on the request"
    return status.bad_request(message)


def _same_uid(resource: Resource, key: Key, uid: object, old: Stored | None) -> None:
    found = old.value["metadata"]["uid"] if old else ""
    if not uid or uid == found:
        return
    path = "/".join(part for part in (resource.key, *key) if part)
    why = (
        f"StorageError: invalid object, Code: 4, Key: {path}, ResourceVersion: 0, AdditionalErrorMsg: "
        f"Precondition failed: UID in precondition: {uid}, UID in object meta: {found}"
    )
    raise status.conflict(resource, key[1], why)


def _fulfils(resource: Resource, old: Stored, preconditions: Json) -> None:
    uid, found = preconditions.get("uid"), old.value["metadata"]["uid"]
    version = preconditions.get("resourceVersion")
    if uid and uid != found:
        why = f"the UID in the precondition ({uid}) does not match the UID in record ({found}). "
        why += "The object might have been deleted and then recreated"
    elif version and version != str(old.version):
        why = f"the ResourceVersion in the precondition ({version}) does not match the ResourceVersion in record "
        why += f"({old.version}). The object might have been modified"
    else:
        return
    raise status.conflict(resource, old.key[1], why, resource.kind)
