"""Creates the alert under its name; who is refused with 409 is a duplicate. Then it reads, and counts by a patch.

The patch carries no version, so of two who read the same count one loses its hit. There is no cache and no watch here.
"""

from __future__ import annotations

from objects import api, made, path, serve

REFUSED = 409


def deduplicate(pod: str, _request: str) -> tuple[int, str, int | None]:
    """Create the record, then count the hit."""
    name = f"alert-{pod}"
    status, _ = api("POST", path("alerts"), made("Alert", {"name": name}, pod=pod))
    _, now = api("GET", path("alerts", name))
    count = now.get("status", {}).get("count", 0)
    api("PATCH", path("alerts", name) + "/status", {"status": {"count": count + 1}})
    return (202 if status == REFUSED else 201), name, None


serve(deduplicate)
