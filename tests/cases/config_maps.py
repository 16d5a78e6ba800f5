"""What the services in Python have in common that keep ConfigMaps: HTTP in as `objects`, the API server behind.

Standard library alone. A service gives `serve` a function that is called with the pod of an
alert and gives the status, the name of the record, and the count or None.
"""

from __future__ import annotations

import json
import os
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import objects

if TYPE_CHECKING:
    from collections.abc import Callable

Json = dict[str, Any]

SECONDS = 30


def api(method: str, path: str, body: Json | None = None) -> tuple[int, Json]:
    """Ask the API server on a connection of its own; ``path`` is below the service's namespace in the core group."""
    kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
    connection = HTTPConnection(urlsplit(os.environ["KUBE_URL"]).netloc, timeout=SECONDS)
    whole = f"/api/v1/namespaces/{os.environ['NAMESPACE']}/{path}"
    connection.request(method, whole, None if body is None else json.dumps(body), {"Content-Type": kind})
    answer = connection.getresponse()
    found = json.loads(answer.read() or b"{}")
    connection.close()
    return answer.status, found


def config_map(pod: str, data: dict[str, str], **metadata: object) -> Json:
    """Make the ConfigMap of an alert."""
    metadata = {"name": f"alert-{pod}", "labels": {"pod": pod}, **metadata}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def serve(handle: Callable[[str], tuple[int, str, int | None]]) -> None:
    """Answer alerts on PORT."""
    objects.serve(lambda pod, _: handle(pod))
