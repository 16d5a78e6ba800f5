"""A service that keeps jobs as ConfigMaps, which its kubeconfig leads to, and looks before it creates one."""

from __future__ import annotations

import json
import os
import uuid
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

CONFIG = yaml.safe_load(Path(os.environ["KUBECONFIG"]).read_text())
SERVER = urlsplit(CONFIG["clusters"][0]["cluster"]["server"])
MAPS = "/api/v1/namespaces/default/configmaps"


def api(method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - JSON
    """Ask the API server."""
    link = HTTPConnection(SERVER.hostname or "", SERVER.port)
    link.request(method, path, None if body is None else json.dumps(body), {"Content-Type": "application/json"})
    found = json.loads(link.getresponse().read())
    link.close()
    return found


class Handler(BaseHTTPRequestHandler):
    """Takes a job by its path."""

    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        """Say in a header whether the job is new."""
        job = self.path.removeprefix("/jobs/")
        known = [one for one in api("GET", MAPS)["items"] if (one["metadata"].get("labels") or {}).get("job") == job]
        name = known[0]["metadata"]["name"] if known else f"job-{uuid.uuid4()}"
        if not known:
            made = api("POST", MAPS, {"metadata": {"name": name, "labels": {"job": job}}})
            known = [made] if made["kind"] == "Status" else []  # somebody else has made it meanwhile
        text = name.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.send_header("X-Job", "known" if known else "new")
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
