"""A test of a user: two threads count, with redis-py. Collected only where it is named."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import redis

if TYPE_CHECKING:
    from collections.abc import Callable


def counted(add: Callable[[redis.Redis], object]) -> int:
    """Count in two threads, of which the second reads its configuration first."""
    client = redis.Redis.from_url(os.environ["REDIS_URL"])

    def late() -> None:
        for number in range(3):
            client.get(f"config:{number}")
        add(client)

    threads = [threading.Thread(target=add, args=(client,)), threading.Thread(target=late)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return int(client.get("counter") or 0)


def add_racy(client: redis.Redis) -> None:
    """Read, add, write: an update may be lost."""
    client.set("counter", int(client.get("counter") or 0) + 1)


def test_racy() -> None:
    """Both count."""
    assert counted(add_racy) == 2


def test_fixed() -> None:
    """Both count, in one command each."""
    assert counted(lambda client: client.incr("counter")) == 2
