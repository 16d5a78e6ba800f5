"""A Gateway whose schedules can't run beside each other, or hardly: its mode says what it shares among requests.

    python shared_gateway.py PORT STORE_PORT MODE

`plain`: nothing. `pipe`: one connection to the store serves all requests at once. `memory`: it counts the requests of
a fingerprint in its own memory. `after`: it answers first and notes the signal in its store then. `stray`: it counts
all signals in one key, after the first `WELL` requests. `garbage`: it sends its store no RESP, once, in the request
with that number.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
from collections import Counter, deque

PORT, STORE, MODE = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
WELL = int(sys.argv[4]) if len(sys.argv) > 4 else 0
COUNTED: Counter[str] = Counter()


class Pipe:
    """A connection to the store: commands go down it at once, replies come in their order."""

    def __init__(self) -> None:
        """Connect when first asked."""
        self.writer: asyncio.StreamWriter | None = None
        self.owed: deque[asyncio.Future[str]] = deque()

    async def connect(self) -> None:
        """Connect, and hand out what is replied."""
        reader, self.writer = await asyncio.open_connection("127.0.0.1", STORE)
        self.reading = asyncio.create_task(self.read(reader))

    async def read(self, reader: asyncio.StreamReader) -> None:
        """Give each reply to who waits first."""
        while line := (await reader.readline()).decode().strip():
            text = (await reader.readline()).decode().strip() if line.startswith("$") and line != "$-1" else line
            self.owed.popleft().set_result(text)

    async def ask(self, *words: str) -> str:
        """Run one command and give the first line of its reply, or the string in it."""
        assert self.writer is not None
        reply: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.owed.append(reply)
        self.writer.write((f"*{len(words)}\r\n" + "".join(f"${len(w)}\r\n{w}\r\n" for w in words)).encode())
        return await reply


FREE: list[Pipe] = []


async def pipe() -> Pipe:
    """Take a connection that nobody uses."""
    if FREE:
        return FREE[0] if MODE == "pipe" else FREE.pop()
    made = Pipe()
    await made.connect()
    if MODE == "pipe":
        FREE.append(made)
    return made


async def deduplicate(fingerprint: str, store: Pipe) -> tuple[int, int]:
    """Read the count and write it back: two at once lose a hit."""
    COUNTED[fingerprint] += 1
    if MODE == "stray" and sum(COUNTED.values()) > WELL:
        await store.ask("INCR", "signals")
    if MODE == "garbage" and sum(COUNTED.values()) == WELL:
        assert store.writer is not None
        store.writer.write(b"*1\r\n!7\r\nnothing a store knows\r\n")
    stored = await store.ask("GET", f"hits:{fingerprint}")
    count = 1 if stored == "$-1" else int(stored) + 1
    await store.ask("SET", f"hits:{fingerprint}", str(count))
    if MODE == "memory":
        count = COUNTED[fingerprint]
    return (201 if count == 1 else 202), count


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Serve one connection."""
    while head := await reader.readuntil(b"\r\n\r\n"):
        lines = head.lower().split(b"\r\n")
        length = next((int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length")), 0)
        body = await reader.readexactly(length)
        store = await pipe()
        status, text, fingerprint = 200, "{}", ""
        if length:
            fingerprint = hashlib.sha256(json.loads(body)["alerts"][0]["labels"]["pod"].encode()).hexdigest()
            status, count = await deduplicate(fingerprint, store)
            record = {"remediationRequestName": f"rr-{fingerprint}", "metadata": {"count": count}}
            text = json.dumps({"fingerprint": fingerprint, **record})
        writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(text)}\r\n\r\n{text}".encode())
        if length and MODE == "after":
            await store.ask("SET", f"seen:{fingerprint}", "1")
        if MODE != "pipe":
            FREE.append(store)


async def main() -> None:
    """Listen until ended."""
    server = await asyncio.start_server(serve, "127.0.0.1", PORT)
    await server.serve_forever()


asyncio.run(main())
