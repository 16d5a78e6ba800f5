"""Takes a free machine of the pool of the pod: a list, then a merge patch of the first one that has no owner.

"racy": the patch holds no version. "versioned": it holds the one that was read; 409 begins again.
"""

from __future__ import annotations

import json
import os
import sys
from http.client import HTTPConnection
from urllib.parse import urlsplit

from objects import Object, api, path, serve

TRIES = 5


def patched(where: str, body: Object) -> bool:
    """Merge a patch into an object; tell whether the server took it."""
    server = urlsplit(os.environ["KUBE_URL"])
    link = HTTPConnection(server.hostname or "", server.port)
    link.request("PATCH", where, json.dumps(body), {"Content-Type": "application/merge-patch+json"})
    answer = link.getresponse()
    answer.read()
    link.close()
    return answer.status == 200


def adopt(pod: str, request: str) -> tuple[int, str, int | None]:
    """Give the machine that is the request's now."""
    for _ in range(TRIES):
        _, found = api("GET", path("machines") + f"?labelSelector=pool%3D{pod}")
        free = sorted(
            (one for one in found["items"] if "owner" not in one["spec"]), key=lambda one: one["metadata"]["name"]
        )
        if not free:
            break
        metadata = free[0]["metadata"]
        version = {"metadata": {"resourceVersion": metadata["resourceVersion"]}} if sys.argv[1] == "versioned" else {}
        if patched(path("machines", metadata["name"]), {"spec": {"owner": request}} | version):
            return 201, metadata["name"], None
    return 500, "", None


serve(adopt)
