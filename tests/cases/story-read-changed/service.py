"""Keeps its first answer in two keys, one after the other: who finds the first without the second answers 500."""

from __future__ import annotations

from alerts import Connection, Reply, serve


async def deduplicate(store: Connection, pod: str) -> tuple[int, str, Reply]:
    """Answer as the first request was answered, if there was one."""
    body, status, record = f"body:{pod}", f"status:{pod}", f"rr-{pod}"
    if await store("GET", body) is not None:
        return (500 if await store("GET", status) is None else 202), record, None
    if await store("SADD", f"begun:{pod}", "1") == 0:
        return 202, record, None
    await store("SET", body, "x")
    await store("SET", status, "201")
    await store("EXPIRE", body, "60")
    return 201, record, None


serve(deduplicate)
