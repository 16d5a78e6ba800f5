"""What a request to the Kubernetes API does: from method and path to verb, object and touches; and what passes ungated.

Source: Kubernetes API concepts (resource URIs, API verbs). How objects are named, so that `Step.conflicts` holds:

    remediationrequests/prod/rr-1    one object (its ``/status`` too: they share one resourceVersion)
    remediationrequests/prod/*       the collection of a namespace
    remediationrequests/*            the collection of all namespaces; of what has no namespace, the only one
    nodes/n1                         an object that has no namespace

A LIST reads its collection. A request that creates, changes or deletes an object writes the object and both
collections, as a list shows all that. So two changes in one collection conflict even when their objects differ: more
than need be, never less. A delete of a whole collection touches everything (``*``). The group is left out: two
resources of one name only conflict more often. An event of a watch touches nothing in the store: what it changes is its
replica's cache. Nor does a reply.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import translate
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qsl, quote, unquote

from stress.core.step import REPLY, WHOLE, Access, Touch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

CORE = "core"
"""What rules call the group that has no name."""
EVENT = "event"
"""The verbs of an event that a watch tells of, and of the reply to a write that is a step of its own."""
WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})

BACKGROUND = (
    "get /*",
    "watch *",
    "list * resourceVersion=0",
    "get,list,event *.core",
    "create tokenreviews.authentication.k8s.io",
    "create *reviews.authorization.k8s.io",
)
"""What is never parked, unless a target says otherwise: discovery and readiness (paths that are no resource), opening a
watch, the lists that fill a cache, reads of the core group and what its watches tell, token and access reviews."""

_VERBS = {"GET": "get", "HEAD": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_REVIEWS = ("authentication.k8s.io", "authorization.k8s.io")
_OF_NAMESPACES = ("status", "finalize")
_SELECTORS = ("fieldSelector", "labelSelector")
_ONE_NAME = re.compile(r"metadata\.name==?([^,=]+)")
_RULE = re.compile(r"(!?)\s*([a-z*]+(?:,[a-z]+)*)\s+(\S+)(?:\s+([A-Za-z]+)=(\S*))?")
_KNOWN_VERBS = {"*", "list", "watch", "deletecollection", EVENT, *_VERBS.values()}
_REMEMBERED = 10_000


@dataclass(frozen=True)
class KubeEffect:
    """What one request does, or what an event of a watch tells of.

    ``resource`` is the plural; empty for a path that is no resource, then ``path`` is the whole path and ``verb`` that
    of its method. ``name`` is empty for a collection, and for a new object that the server names. ``path`` leads to the
    object, without subresource. ``query`` are the parameters as they were sent. ``reported`` is the type of an event.
    """

    verb: str
    group: str = ""
    resource: str = ""
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    path: str = ""
    query: tuple[tuple[str, str], ...] = ()
    reported: str = ""

    @property
    def command(self) -> str:
        """What the step is called: ``create``, ``update/status``, for an event ``ADDED``."""
        return self.reported or (f"{self.verb}/{self.subresource}" if self.subresource else self.verb)

    @cached_property
    def object(self) -> str:
        """The object or the collection that it names; the path of what is no resource."""
        if not self.resource:
            return self.path
        return "/".join(part for part in (self.resource, self.namespace, self.name or "*") if part)

    @property
    def selectors(self) -> tuple[str, ...]:
        """What a list is restricted to: ``fieldSelector=spec.signalFingerprint=…``."""
        return tuple(f"{key}={value}" for key, value in self.query if key in _SELECTORS and value)

    @cached_property
    def args(self) -> tuple[bytes, ...]:
        """The step in words: command, object, selectors."""
        return tuple(word.encode() for word in (self.command, self.object, *self.selectors))

    @property
    def database(self) -> int:
        """Always 0: there is one store behind an API server."""
        return 0

    def parameter(self, name: str) -> str:
        """Give the value of a parameter of the query; empty where it was not sent."""
        return next((value for key, value in self.query if key == name), "")

    def of(self, name: str) -> KubeEffect:
        """Give the same on an object of this name, which the path does not tell."""
        path = f"{self.path}/{quote(name)}"
        return KubeEffect(
            self.verb, self.group, self.resource, self.namespace, name, self.subresource, path, self.query
        )


def effect_of(method: str, target: str) -> KubeEffect:
    """Give what a request does; ``target`` is the path with its query, as it was sent."""
    target = re.sub(r"^https?://[^/]*", "", target)
    path, _, asked = target.partition("?")
    query = tuple(parse_qsl(asked, keep_blank_values=True))
    verb = _VERBS.get(method, method.lower())
    parts = path.strip("/").split("/")
    before = {"api": 2, "apis": 3}.get(parts[0], len(parts))
    rest = [unquote(part) for part in parts[before:]]
    if not rest:
        return KubeEffect(verb, path=path, query=query)
    group = parts[1] if parts[0] == "apis" else CORE
    watching = any(key == "watch" and value.lower() in ("1", "true") for key, value in query)
    if rest[0] == "watch" and len(rest) > 1:
        watching, rest = True, rest[1:]
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2 and not (group == CORE and rest[2] in _OF_NAMESPACES):  # noqa: PLR2004 - its resource follows
        namespace, rest = rest[1], rest[2:]
    name = rest[1] if len(rest) > 1 else ""
    if verb == "get" and watching:
        verb = "watch"
    elif not name:
        verb = {"get": "list", "delete": "deletecollection"}.get(verb, verb)
    one = "/".join(parts[: len(parts) - len(rest[2:])])
    return KubeEffect(verb, group, rest[0], namespace, name, "/".join(rest[2:]), f"/{one}", query)


def touches_of(effect: KubeEffect, naming: Callable[[str], str] = str) -> tuple[Touch, ...]:
    """Give what a request touches, and how; objects are called as ``naming`` calls them."""
    verb, whole = effect.verb, f"{effect.resource}/*"
    if verb in (EVENT, REPLY) or (verb == "create" and effect.group in _REVIEWS):
        return ()
    if not effect.resource:
        return () if verb in ("get", "head", "options") else (Touch(WHOLE, Access.WRITE),)
    if verb == "deletecollection":
        return (Touch(WHOLE, Access.DELETE),)
    if verb in ("get", "list", "watch"):
        return (Touch(naming(_read(effect)), Access.READ),)
    access = {"create": Access.CREATE, "delete": Access.DELETE}.get(verb, Access.WRITE)
    if effect.subresource:
        access = Access.WRITE
    collection = f"{effect.resource}/{effect.namespace}/*" if effect.namespace else whole
    own = (Touch(naming(effect.object), access),) if effect.name else ()
    return (*own, *(Touch(naming(name), Access.WRITE) for name in dict.fromkeys((collection, whole))))


class Described(NamedTuple):
    """What a frame does, in the terms of a step: what it touches, the object that it names, and its words."""

    touches: tuple[Touch, ...]
    objects: tuple[str, ...]
    words: tuple[str, ...]


def described(effect: KubeEffect, naming: Callable[[str], str] = str) -> Described:
    """Describe a frame; objects are called as ``naming`` calls them."""
    words = (effect.command, naming(effect.object), *(naming(selector) for selector in effect.selectors))
    return Described(touches_of(effect, naming), words[1:2], words)


def _read(effect: KubeEffect) -> str:
    """Give what a read looks at: a list of one name looks at one object."""
    one = _ONE_NAME.fullmatch(effect.parameter("fieldSelector"))
    if effect.name or one is None or not effect.namespace:
        return effect.object
    return f"{effect.resource}/{effect.namespace}/{one[1]}"


class KubeRules:
    """Says what passes ungated. Of several rules that fit, the last decides.

    A rule is ``VERBS RESOURCES [PARAMETER=VALUE]``, with ``!`` before it if what fits is to be a step. Verbs are
    separated by commas: get, list, watch, create, update, patch, delete, deletecollection, ``event`` (what a watch
    tells of), or ``*``. Resources are a pattern with ``*``: a plural (``leases``), a plural with its group
    (``*.core``, ``leases.coordination.k8s.io``), with its subresource (``pods/status``), or a path that is no resource
    (``/healthz``).
    """

    def __init__(
        self, rules: Sequence[str] = (), *, show: Sequence[str] = (), usual: Sequence[str] = BACKGROUND
    ) -> None:
        """Take the rules of a target, which come after the ``usual`` ones.

        ``show`` are the fields of objects that are shown of a reply besides the name: ``status.overallPhase``.

        Raises:
            ValueError: when a rule can't be read; says which.

        """
        self.show = tuple(show)
        self._rules = [_rule(text) for text in (*usual, *rules)]
        self._known: dict[tuple[str, ...], bool] = {}
        self._parameters = {parameter for _, _, _, parameter, _ in self._rules if parameter}

    def background(self, effect: KubeEffect) -> bool:
        """Tell whether a request, or an event, passes ungated."""
        values = [effect.parameter(name) for name in self._parameters]
        place = effect.path if not effect.resource else ""
        key = (effect.verb, effect.group, effect.resource, effect.subresource, place, *values)
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            known = self._known[key] = self._decide(effect)
        return known

    def _decide(self, effect: KubeEffect) -> bool:
        names = [effect.path]
        if effect.resource:
            tail = f"/{effect.subresource}" if effect.subresource else ""
            names = [effect.resource + tail, f"{effect.resource}.{effect.group}{tail}"]
        found = False
        for background, verbs, pattern, parameter, value in self._rules:
            if "*" not in verbs and effect.verb not in verbs:
                continue
            if parameter and effect.parameter(parameter) != value:
                continue
            if any(pattern.fullmatch(name) for name in names):
                found = background
        return found


def reads_of(resources: Sequence[str]) -> tuple[str, ...]:
    """Give the rules by which reads of resources are steps in any group, but for the lists that fill a cache."""
    return tuple(rule for name in resources for rule in (f"!get,list,event {name}", f"list {name} resourceVersion=0"))


_Rule = tuple[bool, frozenset[str], re.Pattern[str], str, str]


def _rule(text: str) -> _Rule:
    read = _RULE.fullmatch(text.strip())
    if read is None:
        raise ValueError(f"no rule: {text!r} (expected VERBS RESOURCES [PARAMETER=VALUE])")
    verbs = frozenset(read[2].split(","))
    if unknown := sorted(verbs - _KNOWN_VERBS):
        raise ValueError(f"no verb: {unknown[0]!r} in {text!r} (known: {', '.join(sorted(_KNOWN_VERBS))})")
    return not read[1], verbs, re.compile(translate(read[3])), read[4] or "", read[5] or ""
