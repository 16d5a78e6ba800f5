"""A correct Gateway in plain asyncio that sends one signal just before one of its store commands.

    python faulty_gateway.py PORT STORE_PORT SIGNAL WHO NUMBER

The signal goes to WHO: ``service`` (itself), ``store`` or ``harness``, before store command NUMBER, from 1. From then
on there is a file ``struck``. Who sets the claim of a fingerprint first has created its record; all count one hit.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
import sys
from pathlib import Path

PORT, STORE, NUMBER = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[5])
FAULT, WHO = signal.Signals[sys.argv[3]], sys.argv[4]
COMMANDS: list[tuple[str, ...]] = []


def strike() -> None:
    """Send the signal."""
    harness = os.getppid()
    children = Path(f"/proc/{harness}/task/{harness}/children").read_text().split()
    store = next(int(pid) for pid in children if "-server" in Path(f"/proc/{pid}/cmdline").read_text())
    Path("struck").touch()
    os.kill({"service": os.getpid(), "store": store, "harness": harness}[WHO], FAULT)


async def command(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *words: str) -> str:
    """Run one command and give the first line of its reply."""
    COMMANDS.append(words)
    if len(COMMANDS) == NUMBER:
        strike()
    writer.write((f"*{len(words)}\r\n" + "".join(f"${len(w)}\r\n{w}\r\n" for w in words)).encode())
    return (await reader.readline()).decode().strip()


async def deduplicate(fingerprint: str) -> bytes:
    """Claim the fingerprint and count."""
    reader, writer = await asyncio.open_connection("127.0.0.1", STORE)
    try:
        claimed = await command(reader, writer, "SET", f"claim:{fingerprint}", "1", "NX")
        count = await command(reader, writer, "INCR", f"hits:{fingerprint}")
    finally:
        writer.close()
    if not count:
        return b"HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n"
    told = {"fingerprint": fingerprint, "remediationRequestName": f"rr-{fingerprint}", "metadata": {"count": count[1:]}}
    text, status = json.dumps(told), 201 if claimed == "+OK" else 202
    return f"HTTP/1.1 {status} X\r\nContent-Length: {len(text)}\r\n\r\n{text}".encode()


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Serve one connection."""
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            lines = head.lower().split(b"\r\n")
            length = next((int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length")), 0)
            body = await reader.readexactly(length)
            if not length:
                writer.write(b"HTTP/1.1 200 X\r\nContent-Length: 0\r\n\r\n")
                continue
            pod = json.loads(body)["alerts"][0]["labels"]["pod"]
            writer.write(await deduplicate(hashlib.sha256(pod.encode()).hexdigest()))
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def main() -> None:
    """Listen until ended."""
    server = await asyncio.start_server(serve, "127.0.0.1", PORT)
    await server.serve_forever()


asyncio.run(main())
