"""Scripts that make their key themselves instead of taking it from KEYS, with an argument that is another each time.

As BullMQ does it. `racy` looks first and then lets a script create the record; `marks` does so too, and its script
leaves a key with a made-up name as well; `correct` has one script that creates the record or says that it is there, and
`function` the same as a function of a library.
"""

from __future__ import annotations

import os
import uuid

from alerts import Connection, Reply, serve

MODE = os.environ["MODE"]
IF_NEW = "if redis.call('SET', 'rec:' .. ARGV[1], '1', 'NX') then return 1 end return 0"
ALWAYS = "redis.call('SET', 'rec:' .. ARGV[1], '1') return 1"
MARKED = "redis.call('SET', 'mark:' .. ARGV[2], '1') " + ALWAYS
LIBRARY = f"#!lua name=records\nredis.register_function('create', function(KEYS, ARGV) {IF_NEW} end)"


async def creates(store: Connection, pod: str) -> bool:
    """Tell whether the record was created; seven hex digits stand for msgpack with a time in it."""
    varying = uuid.uuid4().hex[:7]
    if MODE == "function":
        try:
            return await store("FCALL", "create", "0", pod, varying) == 1
        except RuntimeError:  # the first request of all finds no library
            await store("FUNCTION", "LOAD", "REPLACE", LIBRARY)
            return await store("FCALL", "create", "0", pod, varying) == 1
    if MODE == "correct":
        return await store("EVAL", IF_NEW, "0", pod, varying) == 1
    if await store("EXISTS", f"rec:{pod}"):
        return False
    return await store("EVAL", MARKED if MODE == "marks" else ALWAYS, "0", pod, varying) == 1


async def deduplicate(store: Connection, pod: str) -> tuple[int, str, Reply]:
    """Answer 201 to who created the record, 202 to others."""
    return (201 if await creates(store, pod) else 202), f"rr-{pod}", None


serve(deduplicate)
