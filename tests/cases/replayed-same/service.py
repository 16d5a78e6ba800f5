"""An idempotency key whose answers are all alike: 200 and the number of the payment, the first as the repeated ones.

"racy": GET of the stored answer, then the work. "claim": SET NX before it; who loses is told to try again later.
"""

from __future__ import annotations

import sys

from alerts import Answer, Connection, serve


async def pay(store: Connection, pod: str) -> Answer:
    """Make the payment, or repeat the answer."""
    key = f"answer:{pod}"
    if stored := await store("GET", key):
        return Answer(200, {"id": int(str(stored)), "paid": True})
    if sys.argv[1] == "claim" and await store("SET", f"claim:{pod}", "1", "NX", "EX", "60") is None:
        return Answer(425, {"error": "in work"})
    number = await store("INCR", f"payments:{pod}")
    await store("SET", key, str(number), "EX", "60")
    return Answer(200, {"id": number, "paid": True})


serve(pay)
