"""Reviews: whose token it is, and who may do what. Everybody may do everything; which tokens are good can be said."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from stress.protocols.kube.server import objects

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stress.protocols.kube.server.objects import Writer
    from stress.protocols.kube.server.resources import Resource
    from stress.protocols.kube.server.status import Json

_EVERYTHING = ["*"]


class User(NamedTuple):
    """Who a token stands for."""

    name: str = "admin"
    uid: str = "1"
    groups: tuple[str, ...] = ("system:masters", "system:authenticated")


def review(resource: Resource, value: Json, tokens: Mapping[str, User] | None, audience: str, by: Writer) -> Json:
    """Answer a review. ``tokens`` are the good ones (None: every token is, and stands for an administrator)."""
    objects.check_type(resource, value)
    found: Json = {"kind": resource.kind, "apiVersion": resource.api_version, **value}
    spec = value.get("spec") or {}
    found["spec"] = spec
    metadata = {name: part for name, part in objects.metadata_of(value).items() if name != "managedFields"}
    found["metadata"] = metadata
    found.pop("status", None)
    metadata["managedFields"] = objects.managed(resource, found, [], "", by)
    if resource.kind == "TokenReview":
        found["status"] = _token(str(spec.get("token") or ""), tokens, audience)
    elif resource.kind == "SelfSubjectRulesReview":
        found["status"] = {
            "resourceRules": [{"verbs": _EVERYTHING, "apiGroups": _EVERYTHING, "resources": _EVERYTHING}],
            "nonResourceRules": [{"verbs": _EVERYTHING, "nonResourceURLs": _EVERYTHING}],
            "incomplete": False,
        }
    else:
        found["status"] = {"allowed": True}
    return found


def _token(token: str, tokens: Mapping[str, User] | None, audience: str) -> Json:
    user = User() if tokens is None and token else (tokens or {}).get(token)
    if user is None:
        return {"user": {}, "error": "invalid bearer token"}
    who = {"username": user.name, "uid": user.uid, "groups": [*user.groups]}
    return {"authenticated": True, "user": who, "audiences": [audience]}
