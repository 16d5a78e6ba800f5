"""What the services in Python have in common: HTTP in, the pod of an alert to a function, its answer as JSON."""

from __future__ import annotations

import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

REDIS_URL = f"redis://127.0.0.1:{os.environ['REDIS_PORT']}/0"


def serve(handle: Callable[[str], tuple[int, int | None]]) -> None:
    """Answer alerts with the status and the count that ``handle`` gives for a pod; name the record by the pod."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer(200, {})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            pod = body["alerts"][0]["labels"]["pod"]
            status, count = handle(pod)
            self._answer(status, {"remediationRequestName": f"rr-{pod}", "metadata": {"count": count}})

        def _answer(self, status: int, body: object) -> None:
            text = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
