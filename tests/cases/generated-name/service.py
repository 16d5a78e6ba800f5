"""Looks for the alert by its label, then creates one. Of two who find none both create.

MADE=server: under a name that the server makes up. MADE=here: the service makes the name up itself. MADE=claimed: the
name is that of the alert, and who is refused says so.
"""

from __future__ import annotations

import os
import random
import string

from objects import Object, api, made, path, serve

MADE = os.environ["MADE"]
CREATED = 201


def _name(pod: str) -> Object:
    if MADE == "server":
        return {"generateName": "alert-"}
    random_part = "".join(random.choices(string.ascii_lowercase + string.digits, k=6))
    return {"name": f"alert-{pod}" if MADE == "claimed" else f"alert-{random_part}"}


def alert(pod: str, _: str) -> tuple[int, str, int | None]:
    """Look for the alert, else create it."""
    _, found = api("GET", path("alerts") + f"?labelSelector=pod%3D{pod}")
    if found["items"]:
        return 202, found["items"][0]["metadata"]["name"], None
    status, reported = api("POST", path("alerts"), made("Alert", {**_name(pod), "labels": {"pod": pod}}, pod=pod))
    if status != CREATED:
        return 202, f"alert-{pod}", None
    return 201, reported["metadata"]["name"], None


serve(alert)
