"""A Gateway that keeps what all its requests share in keys that may be there already.

    python lent_gateway.py PORT STORE MODE

It writes as it starts too. `correct` asks SADD who is first, `racy` looks and then adds; `SIGINT-5` is correct, and
interrupts the command that started it when its fifth request comes; `flush` empties the store as it starts; `past-6379`
writes to the store there past the gate too, as somebody else does who uses it.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys

PORT, STORE, MODE = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
SIGNAL, _, AT = MODE.partition("-")
ALONE = 8
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


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Serve one connection until the client hangs up."""
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            fields = [line.split(b":") for line in head.lower().split(b"\r\n")]
            body = await reader.readexactly(next((int(one[1]) for one in fields if one[0] == b"content-length"), 0))
            status, text = 200, "{}"
            if head.startswith(b"POST"):
                name = json.loads(body)["alerts"][0]["labels"]["pod"]
                REQUESTS.append(name)
                if SIGNAL.startswith("SIG") and len(REQUESTS) == int(AT):
                    await ask("SADD", "seen", name)
                    os.kill(os.getppid(), signal.Signals[SIGNAL])
                if SIGNAL == "past" and len(REQUESTS) > ALONE:
                    await ask("INCR stats:total ; INCR others ; SADD seen others", port=int(AT))
                status = await deduplicate(name)
                text = json.dumps({"fingerprint": name, "remediationRequestName": f"rr-{name}"})
            writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(text)}\r\n\r\n{text}".encode())
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def main() -> None:
    """Say that a process is there, then listen."""
    await ask(f"SADD services {os.getpid()} ; INCR stats:starts" + " ; FLUSHALL" * (MODE == "flush"))
    async with await asyncio.start_server(serve, "127.0.0.1", PORT) as server:
        await server.serve_forever()


asyncio.run(main())
