"""Makes a record under a name of its own making: one record an alert.

MADE says how names are made up. CLAIM=0 looks whether there is a record, and makes one later; CLAIM=1 claims the name
with SET NX, and who is refused reads whose it is.
"""

from __future__ import annotations

import itertools
import os
import random
import string
import time
import uuid

from alerts import Connection, Reply, serve

CLAIM = os.environ["CLAIM"] == "1"
CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LOWER, ALL = string.ascii_lowercase + string.digits, string.ascii_letters + string.digits
_shared = itertools.count(1041)


def _random(letters: str, count: int) -> str:
    return "".join(random.choices(letters, k=count))


def _ulid() -> str:
    moment = time.time_ns() // 1_000_000
    return "".join(CROCKFORD[moment >> shift & 31] for shift in range(45, -1, -5)) + _random(CROCKFORD, 16)


MADE = {
    "uuid": lambda: str(uuid.uuid4()),
    "ulid": _ulid,
    "hex": lambda: f"{random.getrandbits(32):08x}",
    "digits": lambda: _random(string.digits, 8),
    "snowflake": lambda: str((time.time_ns() // 1_000_000 - 1_288_834_974_657) << 22 | next(_shared)),
    "nanoid": lambda: _random(ALL + "-_", 21),
    "url": lambda: _random(ALL, 7) + "-" + _random(ALL, 6) + "_" + _random(ALL, 7),
    "base36": lambda: _random(LOWER, 6),
    "seconds": lambda: f"{time.time():.0f}-{next(_shared)}",
    "ms": lambda: str(time.time_ns() // 1_000_000),
    "ns": lambda: str(time.time_ns()),
    "shared": lambda: str(next(_shared)),
}


async def deduplicate(store: Connection, pod: str) -> tuple[int, str, Reply]:
    """Make the record unless there is one."""
    latest = f"latest:{pod}"
    made = str(await store("INCR", f"seq:{pod}")) if os.environ["MADE"] == "inside" else MADE[os.environ["MADE"]]()
    if CLAIM:
        there = None if await store("SET", latest, made, "NX") else await store("GET", latest)
    elif (there := await store("GET", latest)) is None:
        await store("SET", latest, made)
    if there is not None:
        return 202, f"rr-{there}", None
    await store("HSET", f"record:{made}:state", "alert", pod, "phase", "Pending", "left", str(60_000 - id(made) % 9))
    await store("SADD", f"records:{pod}", f"rr-{made}")
    return 201, f"rr-{made}", None


serve(deduplicate)
