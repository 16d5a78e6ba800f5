"""A Gateway in plain asyncio that serves its first signals well and then goes wrong, in the one way that it is told.

    python bad_gateway.py PORT STORE_PORT MODE

A mode such as `SIGINT-3` sends that signal to the command that started it, when its third request comes; `careful-6379`
looks first whether its store listens there, and answers 500 when it does not.
Those that are served well are of the warm-up and the preflight, four runs in all, each with its own fingerprint.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
import sys

PORT, STORE, MODE = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
STUBBORN = len(sys.argv) > 4
"""Whether it does not end when it is told to."""
WELL = 4
"""How many fingerprints are served well."""
LATE_SECONDS = 0.5
REQUESTS: list[str] = []
SEEN: list[str] = []
FOR_EVER = asyncio.Event()


def said(status: int, text: str) -> bytes:
    """Make an HTTP answer."""
    return (
        f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n{text}".encode()
    )


ANSWERS = {
    "500": said(500, '{"title": "Internal Server Error"}'),
    "no-json": said(201, "created, thank you"),
    "no-record": said(201, "{}"),
    "list": said(201, '["created"]'),
    "wrong-types": said(
        201, '{"fingerprint": 1, "remediationRequestName": ["rr"], "metadata": {"count": "two", "more": null}}'
    ),
    "garbage": b"\x16\x03\x01\x02\x00 this is not HTTP\r\n\r\n",
    "cut-off": said(201, '{"fingerprint": "abc"}')[:-5],
    "hang-up": b"",
}
"""What a mode writes instead of an answer. The last three end the connection."""
STORE_GARBAGE = {
    "store-garbage": b"*1\r\n!7\r\nnothing a store knows\r\n",
    "store-half": b"*2\r\n$3\r\nGET\r\n$-3\r\n",
}
"""What a mode writes to its store instead of a command."""


async def command(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *words: str) -> str:
    """Run one command and give the first line of its reply, or the string in it."""
    writer.write((f"*{len(words)}\r\n" + "".join(f"${len(w)}\r\n{w}\r\n" for w in words)).encode())
    line = (await reader.readline()).decode().strip()
    if line.startswith("$") and line != "$-1":
        return (await reader.readline()).decode().strip()
    return line


async def deduplicate(fingerprint: str, *, bad: bool) -> bytes:
    """Read the count and write it back: two at once lose a hit."""
    schedule = (len(REQUESTS) - 1) // 2
    reader, writer = await asyncio.open_connection("127.0.0.1", STORE)
    try:
        stored = await command(reader, writer, "GET", f"hits:{fingerprint}")
        if bad and MODE in STORE_GARBAGE:
            writer.write(STORE_GARBAGE[MODE])
            await reader.read()
        if bad and MODE == "silent-after-a-step":
            await FOR_EVER.wait()
        if bad and MODE == "die-after-a-step":
            os.abort()
        count = 1 if stored == "$-1" else int(stored) + 1
        await command(reader, writer, "SET", f"hits:{fingerprint}", str(count))
    finally:
        writer.close()
    if MODE == "moody" and schedule % 2 and schedule > 3:  # those before come one after another
        return ANSWERS["500"]
    reported = {
        "fingerprint": fingerprint,
        "remediationRequestName": f"rr-{fingerprint}",
        "metadata": {"count": schedule if MODE == "forgetful" else count},
    }
    return said(201 if count == 1 else 202, json.dumps(reported))


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Serve one connection."""
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            lines = head.lower().split(b"\r\n")
            length = next((int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length")), 0)
            body = await reader.readexactly(length)
            writer.write(said(503 if MODE == "never-ready" else 200, "{}") if length == 0 else await answer(body))
            if MODE in {"garbage", "cut-off", "hang-up"} and length and is_bad():
                break
            if MODE == "deaf" and length and len(SEEN) == WELL:
                writer.transport.pause_reading()  # type: ignore[attr-defined]  # a socket's transport has it
                await FOR_EVER.wait()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def listens(port: int) -> bool:
    """Whether the store is there, seen past whatever stands before it."""
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


def is_bad() -> bool:
    """Whether enough was served well."""
    return len(SEEN) > WELL


async def answer(body: bytes) -> bytes:
    """Serve one signal."""
    pod = json.loads(body)["alerts"][0]["labels"]["pod"]
    fingerprint = hashlib.sha256(pod.encode()).hexdigest()
    if fingerprint not in SEEN:
        SEEN.append(fingerprint)
    REQUESTS.append(fingerprint)
    name, _, number = MODE.partition("-")
    if name in signal.Signals.__members__ and len(REQUESTS) == int(number):
        os.kill(os.getppid(), signal.Signals[name])
    if name == "careful" and not await listens(int(number)):
        return ANSWERS["500"]
    if not is_bad():
        return await deduplicate(fingerprint, bad=False)
    if MODE in ANSWERS:
        return ANSWERS[MODE]
    if MODE == "silent":
        await FOR_EVER.wait()
    if MODE == "late":
        await asyncio.sleep(LATE_SECONDS)
    return await deduplicate(fingerprint, bad=True)


def interrupt_repeat(*_: object) -> None:
    """Do not end when told to, but tell the command to."""
    os.kill(os.getppid(), signal.SIGINT)


async def main() -> None:
    """Listen until ended."""
    if MODE.startswith("SIGINT") and STUBBORN:
        signal.signal(signal.SIGTERM, interrupt_repeat)
    server = await asyncio.start_server(serve, "127.0.0.1", PORT)
    await server.serve_forever()


asyncio.run(main())
