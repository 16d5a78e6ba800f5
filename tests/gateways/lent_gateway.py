"""A Gateway that keeps what all its requests share in keys that may be there already.

    python lent_gateway.py PORT STORE MODE

It writes as it starts too. `correct` asks SADD who is first, `racy` looks and then adds; `SIGINT-5` is correct, and
interrupts the command that started it when its fifth request comes; `flush` empties the store as it starts; `past-6379`
writes to the store there past the gate too, as somebody else does who uses it.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys

from listening import listen

PORT, STORE, MODE = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
SIGNAL, _, AT = MODE.partition("-")
ISOLATED = 8
"""How many requests the warm-up and the preflight send: from then on none is sent while a command is under way."""
REQUESTS: list[str] = []


async def ask(*words: str, port: int = STORE) -> list[bytes]:
    """Run commands, separated by `;`, in one go on a connection of their own; give the first line of each reply."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    commands = " ".join(words).split(" ; ")
    for command in commands:
        parts = [part.encode() for part in command.split(" ")]
        writer.write(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts))
    replies = []
    for _ in commands:
        replies.append(line := (await reader.readline()).strip())
        if line[:1] == b"$" and line != b"$-1":
            await reader.readline()
    writer.close()
    return replies


async def deduplicate(name: str) -> int:
    """Give the status to answer with."""
    if MODE == "racy":
        first = (await ask("SISMEMBER", "seen", name))[0] == b":0"
        await ask("SADD", "seen", name)
    else:
        first = (await ask("SADD", "seen", name))[0] == b":1"
    await ask(
        f"INCR stats:total ; HINCRBY stats all 1 ; HSET last {name} 1 ; ZADD recent 1 {name} ; XADD log * name {name}",
        f"; LPUSH queue {name} ; LTRIM queue 0 1 ; EXPIRE lease 9 ; RENAME old new ; SET fresh:{name} 1 EX 60",
    )
    return 201 if first else 202


async def answer(name: str) -> tuple[int, object]:
    """Answer one alert."""
    REQUESTS.append(name)
    if SIGNAL.startswith("SIG") and len(REQUESTS) == int(AT):
        await ask("SADD", "seen", name)
        os.kill(os.getppid(), signal.Signals[SIGNAL])
    if SIGNAL == "past" and len(REQUESTS) > ISOLATED:
        await ask("INCR stats:total ; INCR others ; SADD seen others", port=int(AT))
    return await deduplicate(name), {"fingerprint": name, "remediationRequestName": f"rr-{name}"}


async def main() -> None:
    """Say that a process is there, then listen."""
    await ask(f"SADD services {os.getpid()} ; INCR stats:starts" + " ; FLUSHALL" * (MODE == "flush"))
    await listen(PORT, answer)


asyncio.run(main())
