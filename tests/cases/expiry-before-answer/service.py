"""Creates a record while it holds a lock that runs out; who does not get the lock says duplicate.

Racy: when the lock runs out between A's look and A's write, B gets it and creates the record too. In `hashed` the
fingerprint is the hash of the pod, in `silent` no answer tells it.
"""

from __future__ import annotations

import hashlib
import os
import uuid
from typing import TYPE_CHECKING

from alerts import Answer, serve

if TYPE_CHECKING:
    from alerts import Connection

MODE = os.environ["MODE"]
UNLOCK = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"


async def handle(store: Connection, pod: str) -> Answer:
    """Create a record under a lock."""
    print_of = hashlib.sha256(pod.encode()).hexdigest() if MODE == "hashed" else pod
    lock, record, mine = f"lock:{print_of}", f"rec:{print_of}", str(uuid.uuid4())
    reported: dict[str, object] = {"remediationRequestName": f"rr-{print_of}"}
    if MODE != "silent":
        reported["fingerprint"] = print_of
    if await store("SET", lock, mine, "NX", "EX", "30") is None:
        return Answer(202, reported)
    created = await store("GET", record) is None
    if created:
        await store("SET", record, f"rr-{print_of}")
    await store("EVAL", UNLOCK, "1", lock, mine)
    return Answer(201 if created else 202, reported)


serve(handle)
