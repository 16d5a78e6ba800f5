"""Takes a free machine of the pool of the pod: a list, then a merge patch of the first one that has no owner.

"racy": the patch holds no version. "versioned": it holds the one that was read; 409 begins again.
"""

from __future__ import annotations

import sys

from objects import api, path, serve

TRIES, TAKEN = 5, 200


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
        if api("PATCH", path("machines", metadata["name"]), {"spec": {"owner": request}} | version)[0] == TAKEN:
            return 201, metadata["name"], None
    return 500, "", None


serve(adopt)
