"""What a deduplication protocol sees of the Kubernetes API: a few verbs on objects, which are dictionaries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Coroutine, Sequence

Json = dict[str, Any]

CONFLICT, EXISTS, NOT_FOUND = "Conflict", "AlreadyExists", "NotFound"
"""Reasons of refusals: not the version that was read, the name is taken, no such object."""


class Resource(NamedTuple):
    """A resource that has namespaces, and the kind of its objects."""

    group: str
    version: str
    plural: str
    kind: str

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """Give the path of a collection (of all namespaces, or of one), of an object, or of a part of it."""
        inside = f"/namespaces/{namespace}" if namespace else ""
        parts = [part for part in (self.plural, name, subresource) if part]
        return f"/apis/{self.group}/{self.version}{inside}/{'/'.join(parts)}"


RECORDS = Resource("kubernaut.ai", "v1alpha1", "remediationrequests", "RemediationRequest")
LEASES = Resource("coordination.k8s.io", "v1", "leases", "Lease")


class ApiError(Exception):
    """A request that the API server refuses: the HTTP status, the reason for machines, and the message."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        """Take what the server said."""
        self.status, self.reason = status, reason
        super().__init__(message)


class KubeApi(Protocol):
    """The API server of a protocol. Each verb is one step and fails with an `ApiError`; what is cached is no step.

    ``identity`` is what the Gateway is called (POD_NAME), ``namespace`` where its leases are. An object that a verb
    gives may be changed and given back: it carries its name, namespace, uid and resourceVersion.
    """

    @property
    def identity(self) -> str:
        """Its name, one for all its requests."""

    @property
    def namespace(self) -> str:
        """The namespace of its leases."""

    def now(self) -> float:
        """Seconds since 1970."""

    def sleep(self, seconds: float) -> Awaitable[None]:
        """Wait."""

    def unique(self) -> str:
        """Make up a part of a name: hex digits that nobody else makes up, later ones greater."""

    def holder(self) -> str:
        """Make up the identity of one request, which begins with that of the Gateway."""

    def list(self, resource: Resource, namespace: str, field: str, value: str) -> Awaitable[Sequence[Json]]:
        """List the objects of a namespace in which a field has a value, by name, as they are now."""

    def get(self, resource: Resource, namespace: str, name: str) -> Awaitable[Json]:
        """Read an object as it is now."""

    def create(self, resource: Resource, body: Json) -> Awaitable[Json]:
        """Create an object under the name and in the namespace of its metadata."""

    def update(self, resource: Resource, body: Json) -> Awaitable[Json]:
        """Put an object in the place of the version that its metadata names."""

    def update_status(self, resource: Resource, body: Json) -> Awaitable[Json]:
        """Put the status of an object in the place of that of the version that its metadata names."""

    def delete(
        self, resource: Resource, namespace: str, name: str, *, uid: str = "", version: str = ""
    ) -> Awaitable[None]:
        """Delete an object; where ``uid`` or ``version`` are given, only if they are its own."""

    def apart(self, work: Coroutine[Any, Any, None]) -> Awaitable[None]:
        """Do something to its end although the request may be cancelled meanwhile."""

    def cached_list(self, namespace: str, fingerprint: str) -> Awaitable[Sequence[Json]]:
        """List the records of a fingerprint, by name, as the cache of the watch knows them."""

    def cached_get(self, namespace: str, name: str) -> Awaitable[Json]:
        """Read a record as the cache of the watch knows it."""
