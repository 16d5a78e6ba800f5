"""Requests: from method, path and body to an answer, without any I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from stress.protocols.kube.server import (
    bodies,
    discovery,
    lists,
    objects,
    patches,
    reviews,
    status,
    views,
)
from stress.protocols.kube.server.storage import encode
from stress.protocols.kube.server.views import View
from stress.protocols.kube.server.watching import Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from stress.protocols.kube.server.objects import Writer
    from stress.protocols.kube.server.resources import Resource
    from stress.protocols.kube.server.status import Json
    from stress.protocols.kube.server.verbs import Verbs

_TEXT = "text/plain; charset=utf-8"
_HEALTH = frozenset(("healthz", "livez", "readyz"))
_STATUS = "status"


class Request(NamedTuple):
    """One request, as it came."""

    method: str
    path: str
    query: Mapping[str, str]
    accept: str = ""
    content_type: str = ""
    agent: str = ""
    body: bytes = b""


class Answer(NamedTuple):
    """What is answered. ``kind`` is the content type."""

    status: int
    body: bytes
    kind: str = views.JSON
    headers: Mapping[str, str] = {}


class Place(NamedTuple):
    """What a path names: a resource, and of it a namespace, an object and a subresource, each empty if not named."""

    resource: Resource
    namespace: str = ""
    name: str = ""
    sub: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """The object that is named."""
        return self.namespace, self.name


class Router:
    """Answers requests over `Verbs`. ``address`` is HOST:PORT, as discovery tells it."""

    def __init__(self, verbs: Verbs, tokens: Mapping[str, reviews.User] | None, address: str) -> None:
        """Take what is there to answer about."""
        self.verbs = verbs
        self.tokens = tokens
        self.address = address

    def answer(self, request: Request) -> Answer | Watch:
        """Answer one request; a watch is what follows an answer of 200."""
        try:
            return self._answer(request)
        except status.Refused as refused:
            if refused.text:
                return Answer(refused.code, refused.text.encode(), _TEXT)
            return Answer(refused.code, encode(refused.status), headers=refused.headers)

    def _answer(self, request: Request) -> Answer | Watch:
        view = views.wanted(request.accept)
        first, *rest = request.path.strip("/").split("/")
        if first == "api":
            if not rest:
                return self._roots(view, core=True)
            group, version, inside = "", rest[0], rest[1:]
        elif first == "apis":
            if len(rest) < 2:  # noqa: PLR2004 - a group and a version
                return self._group(rest[0]) if rest else self._roots(view, core=False)
            group, version, inside = rest[0], rest[1], rest[2:]
        else:
            return self._other(first)
        if not inside:
            return self._resources(group, version)
        return self._about(request, self._place(group, version, inside), view)

    def _place(self, group: str, version: str, inside: list[str]) -> Place:
        namespace = ""
        if inside[0] == "namespaces" and len(inside) > 2 and inside[2] not in (_STATUS, "finalize"):  # noqa: PLR2004
            namespace, inside = inside[1], inside[2:]
        resource = self.verbs.resources.get((group, version, inside[0]))
        if resource is None:
            if not self._of(group, version):
                raise status.no_such_path()
            raise status.no_such_resource()
        if namespace and not resource.namespaced:
            raise status.no_such_resource()
        name, sub, *more = (*inside[1:], "", "")
        finalize = sub == "finalize" and resource.plural == "namespaces"
        if any(more) or (sub and not finalize and not (sub == _STATUS and resource.status)):
            raise status.no_such_resource()
        return Place(resource, namespace, name, _STATUS if sub == _STATUS else "")

    def _about(self, request: Request, place: Place, view: View) -> Answer | Watch:
        resource = place.resource
        handle, verb = _HANDLERS.get((request.method, bool(place.name)), (None, request.method.lower()))
        if handle is None:
            raise status.not_allowed(resource, verb)
        if verb not in resource.verbs or (place.sub and verb in ("create", "delete")):
            raise status.not_allowed(resource, verb)
        if resource.namespaced and not place.namespace and (place.name or verb == "create"):
            raise status.bad_request("an empty namespace may not be set when a resource name is provided")
        return handle(self, request, place, view)

    def _get(self, request: Request, place: Place, view: View) -> Answer:
        version = request.query.get("resourceVersion")
        if version and version.isdigit():
            self.verbs.storage.reached(int(version))
        return Answer(200, views.one(self.verbs.get(place.resource, place.key), view))

    def _list(self, request: Request, place: Place, view: View) -> Answer | Watch:
        found = lists.options(place.resource, request.query)
        storage = self.verbs.storage
        collection = storage.of(place.resource)
        if found.watch:
            return Watch(storage, collection, place.namespace, found, view)
        page = lists.page(storage, collection, place.namespace, found)
        return Answer(200, views.many(place.resource, page.items, page.metadata, view))

    def _create(self, request: Request, place: Place, view: View) -> Answer:
        resource = place.resource
        value = bodies.read_object(resource, request.body, request.content_type)
        by = self._writer(request)
        if resource.review:
            audience = f"https://{self.address}"
            return Answer(201, encode(reviews.review(resource, value, self.tokens, audience, by)))
        if place.name and objects.metadata_of(value).get("name") != place.name:
            raise status.bad_request(f"the name of the object does not match the name on the URL ({place.name})")
        return Answer(201, views.one(self.verbs.create(resource, place.namespace, value, by), view))

    def _update(self, request: Request, place: Place, view: View) -> Answer:
        value = bodies.read_object(place.resource, request.body, request.content_type)
        stored, made = self.verbs.update(place.resource, place.key, value, place.sub, self._writer(request))
        return Answer(201 if made else 200, views.one(stored, view))

    def _patch(self, request: Request, place: Place, view: View) -> Answer:
        how = bodies.media_type(request.content_type)
        accepted = patches.accepted(custom=place.resource.custom)
        patch = bodies.read_patch(place.resource, request.body, how, accepted)
        stored, made = self.verbs.patch(place.resource, place.key, patch, place.sub, self._writer(request))
        return Answer(201 if made else 200, views.one(stored, view))

    def _delete(self, request: Request, place: Place, view: View) -> Answer:
        options = bodies.read_options(request.body, request.content_type)
        by = self._writer(request, options)
        before = self.verbs.get(place.resource, place.key)
        held = self.verbs.delete(place.resource, place.key, options.get("preconditions") or {}, by)
        if held is not None:
            return Answer(200, views.one(held, view))
        if place.resource.plural in ("pods", "namespaces"):
            return Answer(200, views.one(before, view))
        uid = before.value["metadata"]["uid"]
        return Answer(200, encode(status.deleted(place.resource, place.name, uid)))

    def _delete_all(self, request: Request, place: Place, view: View) -> Answer:
        options = bodies.read_options(request.body, request.content_type)
        by = self._writer(request, options)
        found = lists.options(place.resource, request.query)
        storage = self.verbs.storage
        page = lists.page(storage, storage.of(place.resource), place.namespace, found)
        for item in page.items:
            self.verbs.delete(place.resource, item.key, {}, by)
        return Answer(200, views.many(place.resource, page.items, page.metadata, view))

    def _nameless(self, _request: Request, _place: Place, _view: View) -> Answer:
        raise status.bad_request("name must be provided")

    def _writer(self, request: Request, options: Json | None = None) -> Writer:
        manager = request.query.get("fieldManager") or request.agent.partition("/")[0] or "unknown"
        dry_run = "dryRun" in request.query or bool(options and options.get("dryRun"))
        return self.verbs.writer(manager, dry_run=dry_run)

    def _of(self, group: str, version: str) -> list[Resource]:
        return [found for key, found in self.verbs.resources.items() if key[:2] == (group, version)]

    def _roots(self, view: View, *, core: bool) -> Answer:
        resources = self.verbs.resources.values()
        if view is View.AGGREGATED:
            return Answer(200, encode(discovery.aggregated(resources, core=core)), discovery.AGGREGATED)
        plain = discovery.core_versions(self.address) if core else discovery.group_list(resources)
        return Answer(200, encode(plain))

    def _group(self, name: str) -> Answer:
        for found in discovery.groups(self.verbs.resources.values()):
            if found["name"] == name:
                return Answer(200, encode(discovery.group(found)))
        raise status.no_such_path()

    def _resources(self, group: str, version: str) -> Answer:
        found = self._of(group, version)
        if not found:
            raise status.no_such_path()
        return Answer(200, encode(discovery.resource_list(found[0].api_version, found)))

    def _other(self, first: str) -> Answer:
        if first in _HEALTH:
            return Answer(200, b"ok", _TEXT)
        if first == "version":
            return Answer(200, encode(discovery.version()))
        raise status.no_such_path()


_HANDLERS: dict[tuple[str, bool], tuple[Callable[[Router, Request, Place, View], Answer | Watch], str]] = {
    ("GET", True): (Router._get, "get"),  # noqa: SLF001 - the table of this class
    ("GET", False): (Router._list, "list"),  # noqa: SLF001
    ("POST", True): (Router._create, "create"),  # noqa: SLF001
    ("POST", False): (Router._create, "create"),  # noqa: SLF001
    ("PUT", True): (Router._update, "update"),  # noqa: SLF001
    ("PUT", False): (Router._nameless, "update"),  # noqa: SLF001
    ("PATCH", True): (Router._patch, "patch"),  # noqa: SLF001
    ("PATCH", False): (Router._nameless, "patch"),  # noqa: SLF001
    ("DELETE", True): (Router._delete, "delete"),  # noqa: SLF001
    ("DELETE", False): (Router._delete_all, "deletecollection"),  # noqa: SLF001
}
"""What answers a method, about a collection (False) or an object (True), and the verb that it is."""
