"""A Gateway that waits inside its store: a token in a list is its lock, or a message tells of a new record."""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys

PORT, STORE, MODE = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
HEARD: set[str] = set()


async def reply(reader: asyncio.StreamReader) -> object:
    """Read one reply."""
    line = (await reader.readline()).decode().strip()
    if line.startswith("$"):
        return None if line == "$-1" else (await reader.readexactly(int(line[1:]) + 2))[:-2].decode()
    return [await reply(reader) for _ in range(int(line[1:]))] if line.startswith("*") else line[1:]


async def command(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *words: str) -> object:
    """Run one command."""
    writer.write((f"*{len(words)}\r\n" + "".join(f"${len(word)}\r\n{word}\r\n" for word in words)).encode())
    return await reply(reader)


async def listen() -> None:
    """Remember what is told on the channel."""
    reader, writer = await asyncio.open_connection("127.0.0.1", STORE)
    await command(reader, writer, "SUBSCRIBE", "written")
    while True:
        HEARD.add(str((await reply(reader))[2]))  # type: ignore[index]


async def count_up(fingerprint: str) -> tuple[int, int]:
    """Read the count and write it back, while holding the token; or create it unless it was heard of."""
    reader, writer = await asyncio.open_connection("127.0.0.1", STORE)
    try:
        if MODE == "reported":
            if fingerprint in HEARD:
                return 202, int(str(await command(reader, writer, "INCR", fingerprint)))
            await command(reader, writer, "SET", fingerprint, "1")
            await command(reader, writer, "PUBLISH", "written", fingerprint)
            return 201, 1
        if await command(reader, writer, "SET", f"begun:{fingerprint}", "1", "NX") is not None:
            await command(reader, writer, "RPUSH", f"token:{fingerprint}", "token")
        await command(reader, writer, "BLPOP", f"token:{fingerprint}", "0")
        count = int(str(await command(reader, writer, "GET", fingerprint) or 0)) + 1
        await command(reader, writer, "SET", fingerprint, str(count))
        await command(reader, writer, "RPUSH", f"token:{fingerprint}", "token")
        return (201 if count == 1 else 202), count
    finally:
        writer.close()


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Serve one connection."""
    while head := await reader.readuntil(b"\r\n\r\n"):
        sizes = [line.split(b":")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")]
        body = await reader.readexactly(int(sizes[0]) if sizes else 0)
        status, text = 200, "{}"
        if head.startswith(b"POST"):
            fingerprint = hashlib.sha256(json.loads(body)["alerts"][0]["labels"]["pod"].encode()).hexdigest()
            status, count = await count_up(fingerprint)
            record = {"remediationRequestName": f"rr-{fingerprint}", "metadata": {"count": count}}
            text = json.dumps({"fingerprint": fingerprint, **record})
        writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(text)}\r\n\r\n{text}".encode())


async def main() -> None:
    """Listen until ended."""
    reported = asyncio.create_task(listen()) if MODE == "reported" else None
    server = await asyncio.start_server(answer, "127.0.0.1", PORT)
    await server.serve_forever()
    if reported is not None:
        reported.cancel()


asyncio.run(main())
