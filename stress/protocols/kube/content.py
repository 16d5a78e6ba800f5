"""All that an API server holds, object by object."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from stress.protocols.kube.store import Json
    from stress.protocols.looked import Content

    Call = Callable[[str, str], Awaitable[tuple[int, Json | None]]]

_NOT_STATE = frozenset({"events", "events.events.k8s.io", "namespaces", "componentstatuses"})
"""Resources that hold nothing that a service answers about."""


async def served(call: Call) -> list[tuple[str, str]]:
    """Name the resources that an API server has, each with the path of all its objects."""
    _, groups = await call("GET", "/apis")
    others = (groups or {}).get("groups", ())
    versions = [(one["name"], f"/apis/{one['preferredVersion']['groupVersion']}") for one in others]
    found = []
    for group, path in (("", "/api/v1"), *versions):
        _, listed = await call("GET", path)
        for one in (listed or {}).get("resources", ()):
            name = f"{one['name']}.{group}" if group else one["name"]
            if "list" in one["verbs"] and "/" not in one["name"] and name not in _NOT_STATE:
                found.append((name, f"{path}/{one['name']}"))
    return found


async def content(call: Call, collections: Sequence[tuple[str, str]]) -> Content:
    """Read all objects of the ``collections`` that are `served`: each is called ``("object", resource, path)``."""
    found: Content = {}
    for resource, path in collections:
        _, answer = await call("GET", path)
        for one in (answer or {}).get("items", ()):
            inside = f"/namespaces/{one['metadata']['namespace']}" if "namespace" in one["metadata"] else ""
            at = path.rindex("/")
            found["object", resource, f"{path[:at]}{inside}{path[at:]}/{one['metadata']['name']}"] = one
    return found
