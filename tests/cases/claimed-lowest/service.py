"""Gives each request the lowest number that is free in its pool, as an object Address. One request at a time: a lock.

The taken numbers come from a watch. WAITS=0: the next request may come before the watch has told of the last address.
WAITS=1: the lock is kept until it has. NAMED=1 makes up the names by itself instead of leaving that to the server.
"""

from __future__ import annotations

import os
import threading
import uuid

from objects import Object, api, made, path, serve, watch

WAITS, NAMED = os.environ["WAITS"] == "1", os.environ["NAMED"] == "1"
cache: dict[str, Object] = {}
lock, ready, reported = threading.Lock(), threading.Event(), threading.Condition()


def seen(item: Object) -> None:
    """Take in what the watch tells."""
    with reported:
        cache[item["metadata"]["name"]] = item
        reported.notify_all()


def claim(pod: str, _: str) -> tuple[int, str, int | None]:
    """Claim the lowest number that is free."""
    with lock:
        taken = {item["spec"]["number"] for item in list(cache.values()) if item["spec"]["pool"] == pod}
        number = next(number for number in range(1, 100) if number not in taken)
        name = {"name": f"address-{uuid.uuid4().hex[:10]}"} if NAMED else {"generateName": "address-"}
        _, address = api("POST", path("addresses"), made("Address", name, pool=pod, number=number))
        if WAITS:
            with reported:
                reported.wait_for(lambda: address["metadata"]["name"] in cache, 20)
    return (201 if number == 1 else 202), f"pool-{pod}", number


threading.Thread(target=watch, args=("addresses", seen, ready.set), daemon=True).start()
ready.wait()
serve(claim)
