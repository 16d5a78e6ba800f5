"""Puts a job into a queue unless it was put there before. Twice the same job is two jobs.

KEPT=list: the queue is a list. KEPT=hash: each request has a field of its own in a hash, with the name of its job.
CLAIM=0 looks whether the job was put there, and puts it later; CLAIM=1 claims it first.
"""

from __future__ import annotations

import os
import uuid

from alerts import Connection, Reply, serve

HASH, CLAIM = os.environ["KEPT"] == "hash", os.environ["CLAIM"] == "1"


async def deduplicate(store: Connection, pod: str) -> tuple[int, str, Reply]:
    """Put the job into the queue if it is the first of its kind."""
    claim, queue, job = f"claim:{pod}", f"queue:{pod}", f"rr-{pod}"
    if CLAIM:
        mine = await store("SET", claim, "1", "NX")
    elif mine := await store("GET", claim) is None:
        await store("SET", claim, "1")
    if mine:
        await (store("HSET", queue, uuid.uuid4().hex, job) if HASH else store("RPUSH", queue, job))
    return (201 if mine else 202), job, None


serve(deduplicate)
