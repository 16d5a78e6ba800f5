"""A Gateway whose script counts a hit in a key that it does not declare, and only where a record is open already.

GET sees the record: answered 202. Else the script counts a hit where the record is there by now: answered 202. Else
the record is made, and then its hits begin at 1, which loses a hit that a script counted in between.
"""

from __future__ import annotations

import asyncio
import sys

from listening import listen

PORT, STORE = int(sys.argv[1]), int(sys.argv[2])
COUNT = "if redis.call('EXISTS', KEYS[1]) == 1 then return redis.call('INCR', 'hits:' .. ARGV[1]) end return 0"
FREE: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []


async def command(*words: str) -> bytes:
    """Run one command on a connection of the pool; give the first line of its reply."""
    reader, writer = FREE.pop() if FREE else await asyncio.open_connection("127.0.0.1", STORE)
    writer.write((f"*{len(words)}\r\n" + "".join(f"${len(w)}\r\n{w}\r\n" for w in words)).encode())
    line = await reader.readline()
    if line.startswith(b"$") and line != b"$-1\r\n":
        await reader.readline()
    FREE.append((reader, writer))
    return line


async def deduplicate(name: str) -> int:
    """Give the status to answer with."""
    if await command("GET", f"record:{name}") != b"$-1\r\n":
        return 202
    if await command("EVAL", COUNT, "1", f"record:{name}", name) != b":0\r\n":
        return 202
    if await command("SET", f"record:{name}", "open", "NX") != b"+OK\r\n":
        return 202
    await command("SET", f"hits:{name}", "1")
    return 201


async def answer(name: str) -> tuple[int, object]:
    """Answer one alert."""
    return await deduplicate(name), {"fingerprint": name, "remediationRequestName": f"record:{name}"}


asyncio.run(listen(PORT, answer))
