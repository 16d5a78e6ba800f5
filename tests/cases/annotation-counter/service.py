"""The hits of an alert stand in an annotation, as a text; `data` says whether it is over, as a text too.

"tested": a JSON merge patch that holds the version that was read; 409 begins again. "racy": one that holds none.
"""

from __future__ import annotations

import sys

from config_maps import api, config_map, serve


def deduplicate(pod: str) -> tuple[int, str, None]:
    """Create the record, or count the hit."""
    status, now = api("GET", f"configmaps/alert-{pod}")
    if status == 404:
        status, _ = api("POST", "configmaps", config_map(pod, {"over": "false"}, annotations={"hits": "1"}))
        if status == 201:
            return 201, f"alert-{pod}", None
        _, now = api("GET", f"configmaps/alert-{pod}")
    while True:
        metadata = {"annotations": {"hits": str(int(now["metadata"]["annotations"]["hits"]) + 1)}}
        if sys.argv[1] == "tested":
            metadata["resourceVersion"] = now["metadata"]["resourceVersion"]
        if api("PATCH", f"configmaps/alert-{pod}", {"metadata": metadata})[0] == 200:
            return 202, f"alert-{pod}", None
        _, now = api("GET", f"configmaps/alert-{pod}")


serve(deduplicate)
