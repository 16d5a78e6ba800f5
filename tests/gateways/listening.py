"""The HTTP side of Gateways in plain asyncio that serve every connection well."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


async def listen(port: int, answer: Callable[[str], Awaitable[tuple[int, object]]]) -> None:
    """Answer alerts with the status and the body that ``answer`` gives for a pod, and all else with 200."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                fields = [line.split(b":") for line in head.lower().split(b"\r\n")]
                body = await reader.readexactly(next((int(one[1]) for one in fields if one[0] == b"content-length"), 0))
                status, said = await answer(json.loads(body)["alerts"][0]["labels"]["pod"]) if body else (200, {})
                text = json.dumps(said)
                writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(text)}\r\n\r\n{text}".encode())
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", port) as server:
        await server.serve_forever()
