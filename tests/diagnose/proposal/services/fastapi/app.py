"""A service with FastAPI and redis-py, started as `uvicorn app:app`, that looks before it takes a payment."""

from __future__ import annotations

import os
import uuid
from typing import Any

from fastapi import FastAPI
from redis.asyncio import Redis

app = FastAPI()
store = Redis.from_url(os.environ["REDIS_URL"], decode_responses=True)


@app.post("/pay")
async def pay(body: dict[str, Any]) -> dict[str, Any]:
    """Say in the body whether the payment is new."""
    key, number = f"payment:{body['idempotencyKey']}", uuid.uuid4().hex
    known = await store.get(key)
    made = known is None and await store.set(key, number, nx=False)
    if made:
        await store.sadd("payments", number)
    return {"result": "taken" if made else "repeated", "payment": {"number": known or await store.get(key)}}
