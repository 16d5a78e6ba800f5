"""A service with FastAPI and redis-py, started as `uvicorn app:app`, that looks before it creates."""

from __future__ import annotations

import os
from typing import Any

from fastapi import FastAPI, Response
from redis.asyncio import Redis

app = FastAPI()
store = Redis.from_url(os.environ["REDIS_URL"], decode_responses=True)


@app.get("/ready")
async def ready() -> dict[str, str]:
    """Say that it is there."""
    return {}


@app.post("/api/v1/signals/{adapter}")
async def receive(adapter: str, body: dict[str, Any], response: Response) -> dict[str, str]:  # noqa: ARG001 - the path
    """Answer 201 to who creates the record, 202 to others."""
    pod = body["alerts"][0]["labels"]["pod"]
    known = await store.get(f"rec:{pod}")
    created = known is None and await store.set(f"rec:{pod}", "1") is not None
    response.status_code = 201 if created else 202
    return {"fingerprint": pod, "remediationRequestName": f"rr-{pod}"}
