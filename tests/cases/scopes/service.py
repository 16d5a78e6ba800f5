"""Makes one record an alert, of whose values each is equal within something else: a replica, a second, a request."""

from __future__ import annotations

import time
import uuid
from random import getrandbits
from typing import TYPE_CHECKING

from alerts import serve

if TYPE_CHECKING:
    from alerts import Connection, Reply

REPLICA = f"{getrandbits(32):08x}"


async def deduplicate(store: Connection, pod: str) -> tuple[int, str, Reply]:
    """Make the record unless there is one."""
    await store("SET", f"handled:{REPLICA}", pod)
    await store("SET", f"seen:{time.time():.0f}:{pod}", "1")
    entry = str(await store("XADD", f"log:{pod}", "*", "state", "new"))
    await store("SET", f"entry:{entry}", pod)
    made = f"rr-{uuid.uuid4()}"
    if await store("SET", f"record:{pod}", made, "NX"):
        return 201, made, None
    return 202, str(await store("GET", f"record:{pod}")), None


serve(deduplicate)
