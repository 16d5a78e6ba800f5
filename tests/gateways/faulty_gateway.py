"""A correct Gateway in plain asyncio that sends one signal just before one of its store commands.

    python faulty_gateway.py PORT STORE_PORT SIGNAL WHO NUMBER

The signal goes to WHO: ``service`` (itself), ``store`` or ``harness``, before store command NUMBER, from 1. From then
on there is a file ``struck``. Who sets the claim of a fingerprint first has created its record; all count one hit.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import sys
from pathlib import Path

from listening import listen

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


async def answer(pod: str) -> tuple[int, object]:
    """Claim the fingerprint and count."""
    fingerprint = hashlib.sha256(pod.encode()).hexdigest()
    reader, writer = await asyncio.open_connection("127.0.0.1", STORE)
    try:
        claimed = await command(reader, writer, "SET", f"claim:{fingerprint}", "1", "NX")
        count = await command(reader, writer, "INCR", f"hits:{fingerprint}")
    finally:
        writer.close()
    if not count:
        return 503, {}
    said = {
        "fingerprint": fingerprint,
        "remediationRequestName": f"rr-{fingerprint}",
        "metadata": {"count": count[1:]},
    }
    return (201 if claimed == "+OK" else 202), said


asyncio.run(listen(PORT, answer))
