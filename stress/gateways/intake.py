"""Reading a request as the Gateway of 2026-01-01 does: its time, its media type, its size, its body."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from stress.config.signal import fingerprint_of, resource_of
from stress.gateways.store import Incoming

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aiohttp import web

MOST_BYTES = 102_400
"""The largest webhook; events have no limit at commit C0."""
_OLDEST_SECONDS, _LOOKAHEAD_SECONDS = 300, 120
_LONGEST_TIMESTAMP = 18
_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 - a token of RFC 9110, section 5.6.2
_MEDIA_TYPE = re.compile(
    rf'({_TOKEN}/{_TOKEN})(?:[ \t]*;[ \t]*(?:{_TOKEN}=(?:{_TOKEN}|"(?:[^"\\]|\\.)*"))?)*[ \t]*', re.ASCII
)
"""A media type with parameters (RFC 9110, section 8.3.1)."""


class Refusal(Exception):
    """A request that is answered with a problem document (RFC 9457)."""

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        """Take the HTTP status, what to tell, and headers of the answer."""
        self.status, self.detail, self.headers = status, detail, headers
        super().__init__(detail)


def check_timestamp(header: str | None, now: float) -> None:
    """Refuse a missing, malformed, old or early ``X-Timestamp`` (contract section 1.2).

    Raises:
        Refusal: with status 400.

    """
    if not header:
        raise Refusal(400, "X-Timestamp is missing")
    if re.fullmatch(rf"[0-9]{{1,{_LONGEST_TIMESTAMP}}}", header) is None:
        raise Refusal(400, "X-Timestamp must be Unix seconds, 0 or more")
    if now - int(header) > _OLDEST_SECONDS:
        raise Refusal(400, f"X-Timestamp is more than {_OLDEST_SECONDS} seconds old")
    if int(header) - now > _LOOKAHEAD_SECONDS:
        raise Refusal(400, f"X-Timestamp is more than {_LOOKAHEAD_SECONDS} seconds ahead")


def check_media_type(header: str | None) -> None:
    """Refuse a ``Content-Type`` that is there and is not JSON (contract section 1.2).

    Raises:
        Refusal: with status 415, or with 400 when it is no media type at all.

    """
    if not header:
        return
    found = _MEDIA_TYPE.fullmatch(header)
    if found is None:
        raise Refusal(400, "Content-Type is not a media type")
    if found[1].lower() != "application/json":
        raise Refusal(415, f"Content-Type {found[1]} is not application/json", {"Accept": "application/json"})


async def read_body(request: web.Request, most: int | None) -> bytes:
    """Read a body of at most so many bytes.

    Raises:
        Refusal: with status 400 when it is larger.

    """
    body = bytearray()
    async for chunk in request.content.iter_any():
        body += chunk
        if most is not None and len(body) > most:
            raise Refusal(400, f"the body is larger than {most} bytes")
    return bytes(body)


class _Body(BaseModel):
    """A part of a body: unknown fields are ignored, known ones must have their type; null is as good as absent."""

    model_config = ConfigDict(strict=True)


_Model = TypeVar("_Model", bound=_Body)


class _Alert(_Body):
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    starts_at: AwareDatetime | None = Field(default=None, alias="startsAt")
    ends_at: AwareDatetime | None = Field(default=None, alias="endsAt")


class _Webhook(_Body):
    alerts: list[_Alert] | None = None


class _Involved(_Body):
    kind: str | None = None
    namespace: str | None = None
    name: str | None = None


class _Event(_Body):
    type: str | None = None
    reason: str | None = None
    message: str | None = None
    involved: _Involved | None = Field(default=None, alias="involvedObject")
    first_at: AwareDatetime | None = Field(default=None, alias="firstTimestamp")
    last_at: AwareDatetime | None = Field(default=None, alias="lastTimestamp")


def prometheus(body: bytes) -> Incoming:
    """Read an Alertmanager webhook; only its first alert is looked at (contract section 1.3).

    Raises:
        Refusal: with status 400 when it is no JSON, has no alert, or the alert has no name.

    """
    webhook = _parsed(_Webhook, body)
    if not webhook.alerts:
        raise Refusal(400, "the webhook has no alerts")
    labels = webhook.alerts[0].labels or {}
    title = labels.get("alertname")
    if not title:
        raise Refusal(400, "alertname is empty")
    namespace = labels.get("namespace") or labels.get("exported_namespace") or "default"
    return Incoming(fingerprint_of(title, namespace, *resource_of(labels)), title, namespace)


def kubernetes_event(body: bytes) -> Incoming:
    """Read a Kubernetes event (contract section 1.3).

    Raises:
        Refusal: with status 400 when it is no JSON, says not what it is about, or is no warning or error.

    """
    event = _parsed(_Event, body)
    about = event.involved or _Involved()
    if not event.reason:
        raise Refusal(400, "reason is empty")
    if not about.kind or not about.name:
        raise Refusal(400, f"involvedObject.{'name' if about.kind else 'kind'} is empty")
    if event.type not in ("Warning", "Error"):
        raise Refusal(400, f"events of type {event.type or '(none)'} are not processed, only Warning and Error")
    namespace = about.namespace or "default"
    return Incoming(fingerprint_of(event.reason, namespace, about.kind, about.name), event.reason, namespace)


ADAPTERS: dict[str, tuple[Callable[[bytes], Incoming], int | None]] = {
    "prometheus": (prometheus, MOST_BYTES),
    "kubernetes-event": (kubernetes_event, None),
}
"""How a body is read under each path, and how large it may be in bytes."""


def _parsed(model: type[_Model], body: bytes) -> _Model:
    try:
        return model.model_validate_json(body.decode("utf-8", "replace"))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise Refusal(400, f"the body is wrong: {f'{place}: ' if place else ''}{first['msg']}") from None
