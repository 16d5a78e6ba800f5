"""The rate limit of walrus, one alert a minute: 0.9.2 reads and writes it, 0.9.8 has it as a script too."""

from __future__ import annotations

import os
from typing import Any

from http_service import serve
from walrus import Database

store: Any = Database(port=int(os.environ["REDIS_PORT"]))
limit = getattr(store, "rate_limit_lua", store.rate_limit)("limit", limit=1, per=60)


def handle(pod: str) -> tuple[int, int | None]:
    """Let in who is the first."""
    return (429 if limit.limit(pod) else 200), None


serve(handle)
