"""A correct Gateway that knows nothing of the harness; its mode says how requests use connections to the store.

    python connection_gateway.py PORT STORE_PORT MODE

`one`: all commands go down one connection, whenever they come. `pool`: a command has a connection to itself until it
is replied to; the one that has been free for longest is taken, so that requests use each other's.
`watch`: the same, and each request watches a key while it counts, on whatever connection it is given. `pipeline`: both
commands of a request are written at once.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import deque
from contextlib import suppress

PORT, STORE, MODE = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]
FREE: deque[Connection] = deque()
TURNS: deque[asyncio.Future[int]] = deque()


async def command(*words: str) -> int:
    """Run a command whose reply is a number."""
    raw = packed(words)
    if MODE == "one":
        turn: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        TURNS.append(turn)
        FREE[0][1].write(raw)
        return await turn
    reader, writer = FREE.popleft() if FREE else await asyncio.open_connection("127.0.0.1", STORE)
    writer.write(raw)
    reply = (await reader.readline()).strip()[1:]
    FREE.append((reader, writer))
    return 0 if reply == b"OK" else int(reply)


def packed(words: tuple[str, ...]) -> bytes:
    """Write a command as RESP."""
    return "".join((f"*{len(words)}\r\n", *(f"${len(word)}\r\n{word}\r\n" for word in words))).encode()


async def together(*commands: tuple[str, ...]) -> int:
    """Run commands in one write; give the number that the first is replied."""
    reader, writer = FREE.popleft() if FREE else await asyncio.open_connection("127.0.0.1", STORE)
    writer.write(b"".join(map(packed, commands)))
    numbers = [int((await reader.readline())[1:]) for _ in commands]
    FREE.append((reader, writer))
    return numbers[0]


async def replies() -> None:
    """Hand the replies of the one connection out in their order."""
    while line := await FREE[0][0].readline():
        TURNS.popleft().set_result(int(line[1:]))


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Count a signal in two commands."""
    with suppress(asyncio.IncompleteReadError, ConnectionError):
        while head := await reader.readuntil(b"\r\n\r\n"):
            lengths = [line.split(b":")[1] for line in head.lower().splitlines() if b"content-length:" in line]
            body = await reader.readexactly(int(lengths[0]) if lengths else 0)
            status, reported = 200, {}
            if head.startswith(b"POST"):
                pod = json.loads(body)["alerts"][0]["labels"]["pod"]
                if MODE == "watch":
                    await command("WATCH", f"gone:{pod}")
                if MODE == "pipeline":
                    hits = await together(("INCR", f"hits:{pod}"), ("EXPIRE", f"hits:{pod}", "300"))
                else:
                    hits = await command("INCR", f"hits:{pod}")
                    await command(*(["UNWATCH"] if MODE == "watch" else ["EXPIRE", f"hits:{pod}", "300"]))
                status, reported = (
                    201 if hits == 1 else 202,
                    {"fingerprint": pod, "remediationRequestName": f"rr-{pod}"},
                )
            text = json.dumps(reported)
            writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(text)}\r\n\r\n{text}".encode())


async def main() -> None:
    """Connect where one connection is for all, then listen."""
    reading = None
    if MODE == "one":
        FREE.append(await asyncio.open_connection("127.0.0.1", STORE))
        reading = asyncio.create_task(replies())
    async with await asyncio.start_server(answer, "127.0.0.1", PORT) as server:
        await (reading or server.serve_forever())


asyncio.run(main())
