"""SET NX decides who makes the record: correct. What is stored is not called what answers call it.

Its key ends with a time in `request`, its value is JSON in `format`, and is the name alone in `same`.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from alerts import serve

if TYPE_CHECKING:
    from alerts import Connection, Reply

MODE = os.environ["MODE"]


async def handle(store: Connection, pod: str) -> tuple[int, str, Reply]:
    """Make one record."""
    name = f"rr-{pod}"
    if await store("SET", f"name:{pod}", f'{{"name": "{name}"}}' if MODE == "format" else name, "NX") is None:
        return 202, name, None
    await store("SET", f"record:{pod}:{time.time_ns()}", "1")
    return 201, name, None


serve(handle)
