"""Correct, but for how it is asked: with a password that the store refuses, or rights that do not suffice (500).

`path` and `type` are what a service answers that is asked at another path or with another content type (404, 415),
`crash` one that fails before it asks its store (500).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from alerts import serve

if TYPE_CHECKING:
    from alerts import Connection, Reply

MODE = os.environ["MODE"]
REFUSED = {"path": 404, "type": 415, "crash": 500}


async def handle(store: Connection, pod: str) -> tuple[int, str, Reply]:
    """Claim a key, if the store and the mode allow it."""
    if MODE in REFUSED:
        return REFUSED[MODE], f"{MODE} is not accepted", None
    try:
        if MODE == "password":
            await store("AUTH", "app", "wrong")
        if MODE == "rights":
            await store("ACL", "SETUSER", "reader", "on", ">pw", "~*", "+get", "+auth", "+acl")
            await store("AUTH", "reader", "pw")
        won = await store("SET", f"claim:{pod}", "1", "NX")
    except RuntimeError as error:
        print(f"the store said no: {str(error).partition(' ')[0]}", flush=True)  # noqa: T201 - its only log
        return 500, "", None
    return (201 if won else 202), f"rr-{pod}", None


serve(handle)
