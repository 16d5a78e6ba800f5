"""A Gateway that knows nothing of the harness: raw asyncio, one store connection a request, and an in-process lock."""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys

LOCK = asyncio.Lock()
SERVED: list[str] = []
WARM = 2
PORT, STORE, MODE = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]


async def command(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *words: str) -> str:
    """Run one command and give the first line of its reply, or the string in it."""
    writer.write((f"*{len(words)}\r\n" + "".join(f"${len(w)}\r\n{w}\r\n" for w in words)).encode())
    line = (await reader.readline()).decode().strip()
    if line.startswith("$") and line != "$-1":
        return (await reader.readline()).decode().strip()
    return line


async def deduplicate(fingerprint: str) -> tuple[int, int]:
    """Read the count and write it back, under a lock where the mode says so."""
    reader, writer = await asyncio.open_connection("127.0.0.1", STORE)
    try:
        while MODE == "spin" and await command(reader, writer, "SET", f"lock:{fingerprint}", "1", "NX") != "+OK":
            pass
        stored = await command(reader, writer, "GET", f"hits:{fingerprint}")
        count = 1 if stored == "$-1" else int(stored) + 1
        await command(reader, writer, "SET", f"hits:{fingerprint}", str(count))
        if MODE == "spin":
            await command(reader, writer, "DEL", f"lock:{fingerprint}")
    finally:
        writer.close()
    return (201 if count == 1 else 202), count


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Serve one connection."""
    while head := await reader.readuntil(b"\r\n\r\n"):
        length = next(
            (int(x.split(b":")[1]) for x in head.split(b"\r\n") if x.lower().startswith(b"content-length")), 0
        )
        body = await reader.readexactly(length)
        if head.startswith(b"GET"):
            status, text = 200, "{}"
        else:
            pod = json.loads(body)["alerts"][0]["labels"]["pod"]
            fingerprint = hashlib.sha256(pod.encode()).hexdigest()
            SERVED.append(fingerprint)
            if MODE == "hang" or (MODE == "stall" and len(SERVED) > WARM):
                await asyncio.Event().wait()
            if MODE == "nap":
                await asyncio.sleep(0.05)
            if MODE == "locked":
                async with LOCK:
                    status, count = await deduplicate(fingerprint)
            else:
                status, count = await deduplicate(fingerprint)
            text = json.dumps(
                {
                    "fingerprint": fingerprint,
                    "remediationRequestName": f"rr-{fingerprint}",
                    "metadata": {"count": count},
                }
            )
        writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(text)}\r\n\r\n{text}".encode())


async def main() -> None:
    """Listen until ended."""
    server = await asyncio.start_server(answer, "127.0.0.1", PORT)
    await server.serve_forever()


asyncio.run(main())
