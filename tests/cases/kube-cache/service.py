"""Remembers in its process which pods it knows: looked up and noted at once, or (RACY) with a read in between."""

from __future__ import annotations

import os

from objects import api, path, serve

known: set[str] = set()


def deduplicate(pod: str, _request: str) -> tuple[int, str, int | None]:
    """Look the alert up in the cluster, which never has it, then in the process."""
    name = f"alert-{pod}"
    api("GET", path("alerts", name))
    new = pod not in known
    if os.environ["RACY"] == "1":
        api("GET", path("alerts", f"owner-{pod}"))
    known.add(pod)
    return (201 if new else 202), name, None


serve(deduplicate)
