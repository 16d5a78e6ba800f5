"""The alert is a ConfigMap, whose values are texts: its count is "1", then "2".

"versioned": who updates it gives the version that it read, and begins again when that is not the newest. "racy": it
gives none, so that the last one wins.
"""

from __future__ import annotations

import sys

from config_maps import api, config_map, serve


def deduplicate(pod: str) -> tuple[int, str, int]:
    """Create the record, or count the hit."""
    status, _ = api("POST", "configmaps", config_map(pod, {"count": "1"}))
    if status == 201:
        return 201, f"alert-{pod}", 1
    while True:
        _, now = api("GET", f"configmaps/alert-{pod}")
        count = int(now["data"]["count"]) + 1
        newer = {"resourceVersion": now["metadata"]["resourceVersion"]} if sys.argv[1] == "versioned" else {}
        if api("PUT", f"configmaps/alert-{pod}", config_map(pod, {"count": str(count)}, **newer))[0] == 200:
            return 202, f"alert-{pod}", count


serve(deduplicate)
