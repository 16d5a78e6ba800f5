"""What every answer of the bundled Gateways has: an identity, security headers, and a problem document for errors."""

from __future__ import annotations

import json
import time
import uuid
from collections import Counter
from http import HTTPStatus
from typing import TYPE_CHECKING

from aiohttp import hdrs, web

from stress.gateways.intake import Refusal, check_timestamp

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

ANSWERED = web.AppKey("answered", Counter[int])
"""How many answers were given with each status."""
STORE = web.AppKey("store", str)
"""What the store is called in an error."""

_TYPES = {
    400: "validation-error",
    405: "method-not-allowed",
    413: "payload-too-large",
    415: "unsupported-media-type",
    500: "internal-error",
    503: "service-unavailable",
    504: "gateway-timeout",
}
_SECURITY = {
    "Content-Security-Policy": "default-src 'none'",
    "Referrer-Policy": "no-referrer",
    "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-XSS-Protection": "1; mode=block",
}


@web.middleware
async def guard(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Check the time before anything else, then answer under an identity of our own (contract section 1.2).

    A wrong time is reported before a request has an identity, and hides an unknown path, method or media type.
    """
    try:
        if request.method not in (hdrs.METH_GET, hdrs.METH_HEAD, hdrs.METH_OPTIONS):
            check_timestamp(request.headers.get("X-Timestamp"), time.time())
    except Refusal as refusal:
        request.app[ANSWERED][refusal.status] += 1
        return problem(refusal.status, refusal.detail, request.path)
    identity = str(uuid.uuid4())
    try:
        answer = await handler(request)
    except Refusal as refusal:
        answer = problem(refusal.status, refusal.detail, request.path, identity, refusal.headers)
    except web.HTTPException as error:
        headers = {name: value for name, value in error.headers.items() if name == hdrs.ALLOW}
        answer = problem(
            error.status, f"{request.method} {request.path}: {error.reason}", request.path, identity, headers
        )
    except Exception as error:  # noqa: BLE001 - whatever a protocol raises is a 500 to its client
        answer = problem(500, f"{request.app[STORE]} error: {error}", request.path, identity)
    request.app[ANSWERED][answer.status] += 1
    answer.headers.update(_SECURITY)
    answer.headers["X-Request-ID"] = identity
    return answer


def problem(
    status: int, detail: str, instance: str, identity: str | None = None, headers: Mapping[str, str] | None = None
) -> web.Response:
    """Write a problem document (RFC 9457); one without an identity has no ``request_id``."""
    body: dict[str, object] = {
        "type": f"https://kubernaut.ai/problems/{_TYPES.get(status, 'unknown')}",
        "title": HTTPStatus(status).phrase,
        "detail": detail,
        "status": status,
        "instance": instance,
    }
    if identity is not None:
        body["request_id"] = identity
    return web.Response(text=json.dumps(body), status=status, content_type="application/problem+json", headers=headers)
