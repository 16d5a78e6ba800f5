"""What the services over the Kubernetes API have in common: a thread for each request. Standard library alone.

A service gives `serve` a function that is called with the pod of an alert and the id of the request. It gives the
status, the name of the record, and the count or None.
"""

from __future__ import annotations

import json
import os
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable

Object = dict[str, Any]


def path(resource: str, name: str = "") -> str:
    """Give the path of the objects of a resource in our namespace, or of one of them."""
    whole = f"/apis/ops.example/v1/namespaces/{os.environ['NAMESPACE']}/{resource}"
    return f"{whole}/{name}" if name else whole


def api(method: str, where: str, body: Object | None = None) -> tuple[int, Object]:
    """Ask the API server; give the status and the object. A patch is merged."""
    link = _link()
    kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
    link.request(method, where, None if body is None else json.dumps(body), {"Content-Type": kind})
    answer = link.getresponse()
    found = json.loads(answer.read())
    link.close()
    return answer.status, found


def made(kind: str, name: Object, **spec: object) -> Object:
    """Give a new object; ``name`` is its name, or what the server is to make its name of."""
    return {"apiVersion": "ops.example/v1", "kind": kind, "metadata": name, "spec": spec}


def watch(resource: str, seen: Callable[[Object], None], ready: Callable[[], None]) -> None:
    """Tell ``seen`` the object of each event, for ever; ``ready`` once the first list is over."""
    _, first = api("GET", path(resource) + "?resourceVersion=0")
    for item in first["items"]:
        seen(item)
    ready()
    version = first["metadata"]["resourceVersion"]
    while True:
        link = _link()
        link.request("GET", path(resource) + f"?watch=true&resourceVersion={version}")
        answer = link.getresponse()
        while line := answer.readline():
            event = json.loads(line)
            version = event["object"]["metadata"]["resourceVersion"]
            if event["type"] != "DELETED":
                seen(event["object"])


def serve(handle: Callable[[str, str], tuple[int, str, int | None]]) -> None:
    """Answer alerts on PORT."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # one write for head and body
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            self._answer(200, {})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            pod = body["alerts"][0]["labels"]["pod"]
            status, record, count = handle(pod, self.headers["X-Request-ID"])
            reported: Object = {"fingerprint": pod, "remediationRequestName": record}
            self._answer(status, reported if count is None else reported | {"metadata": {"count": count}})

        def _answer(self, status: int, reported: Object) -> None:
            text = json.dumps(reported).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

    Server(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()


def _link() -> HTTPConnection:
    server = urlsplit(os.environ["KUBE_URL"])
    return HTTPConnection(server.hostname or "", server.port)
