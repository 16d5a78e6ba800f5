"""A service with FastAPI and redis-py, whose endpoint runs in a thread, that looks before it creates."""

from __future__ import annotations

import os
from typing import Any

from fastapi import FastAPI, Response
from redis import Redis

app = FastAPI()
store = Redis.from_url(os.environ["REDIS_URL"], decode_responses=True)


@app.get("/ready")
def ready() -> dict[str, str]:
    """Say that it is there."""
    return {}


def known(pod: str) -> bool:
    """Tell whether there is a record."""
    return store.get(f"rec:{pod}") is not None


@app.post("/api/v1/signals/{adapter}")
def receive(adapter: str, body: dict[str, Any], response: Response) -> dict[str, str]:  # noqa: ARG001 - the path
    """Answer 201 to who creates the record, 202 to others."""
    pod = body["alerts"][0]["labels"]["pod"]
    created = not known(pod)
    if created:
        store.set(f"rec:{pod}", "1")
    response.status_code = 201 if created else 202
    return {"fingerprint": pod, "remediationRequestName": f"rr-{pod}"}
