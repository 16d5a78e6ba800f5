"""What the server answers when it refuses: the `Status` object of the API conventions, with its reason and message.

The words are those that a kube-apiserver 1.34 was heard to say (`tests/data/kube-apiserver-1.34.ndjson`): clients match
on them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from stress.protocols.kube.server.resources import Resource

Json = dict[str, Any]
"""A JSON object, as the API has them everywhere."""


class Cause(NamedTuple):
    """Why a value was refused: ``reason`` is the word for machines, ``field`` the path of the value."""

    reason: str
    message: str
    field: str

    @classmethod
    def required(cls, field: str, more: str = "") -> Cause:
        """Say that a value is missing."""
        return cls("FieldValueRequired", f"Required value{more and ': '}{more}", field)

    @classmethod
    def wrong(cls, field: str, shown: str, why: str) -> Cause:
        """Say that a value, shown as the server shows it, is wrong."""
        return cls("FieldValueInvalid", f"Invalid value: {shown}: {why}", field)

    @classmethod
    def forbidden(cls, field: str, why: str) -> Cause:
        """Say that a value must not stand there."""
        return cls("FieldValueForbidden", f"Forbidden: {why}", field)


class Refused(Exception):
    """A request that is answered with a `Status`. ``text`` is set where the server answers plain text instead."""

    def __init__(self, code: int, reason: str, message: str, details: Json | None = None, *, text: str = "") -> None:
        """Take the HTTP status, the reason (empty: none) and the message."""
        super().__init__(message)
        self.code = code
        self.text = text
        self.headers: Mapping[str, str] = {}
        self.status: Json = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
        self.status["message"] = message
        if reason:
            self.status["reason"] = reason
        if details is not None:
            self.status["details"] = details
        self.status["code"] = code


def _of(resource: Resource, name: str = "", kind: str = "") -> Json:
    details = {"name": name, "group": resource.group, "kind": kind or resource.plural}
    return {key: value for key, value in details.items() if value}


def bad_request(message: str) -> Refused:
    """Refuse what makes no sense."""
    return Refused(400, "BadRequest", message)


def not_found(resource: Resource, name: str) -> Refused:
    """Say that an object is not there."""
    return Refused(404, "NotFound", f'{resource.qualified} "{name}" not found', _of(resource, name))


def no_such_path() -> Refused:
    """Say that a group or a path is not served: plain text, as from the server's router."""
    return Refused(404, "NotFound", "page not found", text="404 page not found\n")


def no_such_resource() -> Refused:
    """Say that a known group has no such resource or subresource."""
    return Refused(404, "NotFound", "the server could not find the requested resource", {})


def exists(resource: Resource, name: str) -> Refused:
    """Say that a name is taken."""
    return Refused(409, "AlreadyExists", f'{resource.qualified} "{name}" already exists', _of(resource, name))


def conflict(resource: Resource, name: str, why: str, kind: str = "") -> Refused:
    """Say that the object is not what the client believes it is."""
    what = f"{kind}.{resource.group}".rstrip(".") if kind else resource.qualified
    message = f'Operation cannot be fulfilled on {what} "{name}": {why}'
    return Refused(409, "Conflict", message, _of(resource, name, kind))


def modified(resource: Resource, name: str) -> Refused:
    """Say that the resource version is not the latest: the conflict of optimistic concurrency."""
    why = "the object has been modified; please apply your changes to the latest version and try again"
    return conflict(resource, name, why)


def invalid(group: str, kind: str, name: str, causes: Sequence[Cause]) -> Refused:
    """Refuse an object for the reasons given, of which there is at least one."""
    reported = [f"{cause.field}: {cause.message}" for cause in causes]
    message = f"{kind}.{group}".rstrip(".") + f' "{name}" is invalid: '
    message += reported[0] if len(reported) == 1 else f"[{', '.join(reported)}]"
    details: Json = {"name": name} if name else {}
    details |= {"group": group} if group else {}
    details |= {"kind": kind, "causes": [cause._asdict() for cause in causes]}
    return Refused(422, "Invalid", message, details)


def bad_options(*causes: Cause) -> Refused:
    """Refuse the parameters of a list or watch."""
    return invalid("meta.k8s.io", "ListOptions", "", causes)


def not_allowed(resource: Resource, verb: str) -> Refused:
    """Say that a resource has no such verb."""
    message = f'{verb} is not supported on resources of kind "{resource.qualified}"'
    return Refused(405, "MethodNotAllowed", message, _of(resource))


def unknown_format(accepted: Sequence[str]) -> Refused:
    """Refuse the type of a body."""
    message = "the body of the request was in an unknown format - accepted media types include: "
    return Refused(415, "UnsupportedMediaType", message + ", ".join(accepted))


def not_acceptable(accepted: Sequence[str]) -> Refused:
    """Say that the client wants a type of answer that is not to be had."""
    message = "only the following media types are accepted: "
    return Refused(406, "NotAcceptable", message + ", ".join(accepted))


def too_old(version: int, oldest: int) -> Refused:
    """Say that a watch asks for what is forgotten."""
    return Refused(410, "Expired", f"too old resource version: {version} ({oldest})")


def list_too_old() -> Refused:
    """Say that a list of a version is asked for which is forgotten."""
    return Refused(410, "Expired", "The resourceVersion for the provided list is too old.")


def too_new(version: int, current: int) -> Refused:
    """Say that a version is asked for which does not exist yet."""
    causes = [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]
    message = f"Timeout: Too large resource version: {version}, current: {current}"
    refused = Refused(504, "Timeout", message, {"causes": causes, "retryAfterSeconds": 1})
    refused.headers = {"Retry-After": "1"}
    return refused


def deleted(resource: Resource, name: str, uid: str) -> Json:
    """Give the answer to a deletion that leaves nothing."""
    details = {**_of(resource, name), "uid": uid}
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
