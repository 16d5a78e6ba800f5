"""No secret of a target is in a file or on the terminal, whatever its service does with it."""

from __future__ import annotations

import base64
import json
import sys
from typing import TYPE_CHECKING

import pytest
from commands import stress
from redis import Redis

from stress.protocols.redis.server import Valkey

if TYPE_CHECKING:
    from pathlib import Path

SERVICE = r"""
import asyncio, base64, json, os
from urllib.parse import quote

ENV = os.environ
ODD = "\x1b]0;owned\x07 ::error::owned ##[error]owned"


async def run(*words):
    reader, writer = await asyncio.open_connection("127.0.0.1", int(ENV["REDIS_PORT"]))
    for parts in words:
        raw = b"".join(b"$%d\r\n%s\r\n" % (len(part.encode()), part.encode()) for part in parts)
        writer.write(b"*%d\r\n" % len(parts) + raw)
    told = []
    for _ in words:
        line = (await reader.readuntil(b"\r\n"))[:-2]
        told.append((await reader.readexactly(int(line[1:]) + 2))[:-2] if line[:1] == b"$" and line != b"$-1" else line)
    writer.close()
    return told


async def serve(reader, writer):
    while head := await reader.readuntil(b"\r\n\r\n"):
        size = [int(line.split(b":")[1]) for line in head.lower().splitlines() if b"content-length" in line]
        body = await reader.readexactly(size[0] if size else 0)
        status, text = 200, "{}"
        if head.startswith(b"POST"):
            pod = json.loads(body)["alerts"][0]["labels"]["pod"]
            login = ("AUTH", "default", ENV["STORE"])
            pair = base64.b64encode(f"user:{ENV['OPAQUE']}".encode()).decode()
            values = [ENV["OPAQUE"], quote(ENV["OPAQUE"]), pair, json.dumps({"a": ENV["SIGNING"]}), ODD, head.decode()]
            values += [ENV["OPAQUE"].encode().hex(), open(ENV["FILE"]).read()]
            before = (await run(login, ("GET", f"n:{pod}")))[1]
            for value in values:
                await run(login, ("SET", f"v:{pod}", value), ("GET", f"v:{pod}"))
            await run(login, ("HSET", f"h:{pod}", "password", "Fi3ld-Hash"))
            count = int(before if before != b"$-1" else 0) + 1
            await run(login, ("SET", f"n:{pod}", str(count)))
            status = 201 if count == 1 else 202
            text = json.dumps({"remediationRequestName": f"rr-{pod}", "metadata": {"count": count}, "debug": values})
        writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(text)}\r\n\r\n{text}".encode())


async def main():
    async with await asyncio.start_server(serve, "127.0.0.1", int(ENV["PORT"])) as server:
        await server.serve_forever()


asyncio.run(main())
"""
SECRETS = ("St0re-Url9", "0paqu3-Env+1/", "word-of-signing", "F1le-Pin77", "H3ad-Bearer", "Qu3ry-Sig", "Fi3ld-Hash")
SCENARIO = """\
name: two
story: Two identical signals at once.
signal: {labels: {pod: "{fresh}"}}
invariants: [no_server_error, one_created_answer, distinct_counts]
"""


def forms(secret: str) -> set[str]:
    """Give a secret in the ways in which the service writes it, as far as they hold it all."""
    raw = secret.encode()
    return {secret, raw.hex(), base64.b64encode(raw).decode()[:-3], base64.b64encode(b"user:" + raw).decode()[8:-3]}


def written(folder: Path, port: int) -> None:
    """Write the service, its target and a scenario."""
    (folder / "service.py").write_text(SERVICE)
    (folder / "two.yaml").write_text(SCENARIO)
    target = {
        "name": "own",
        "start": {
            "command": [sys.executable, "service.py", "-p", SECRETS[1]],
            "env": {
                "PORT": "{port}",
                "REDIS_PORT": "{redis_port}",
                "STORE": SECRETS[0],
                "OPAQUE": SECRETS[1],
                "SIGNING": SECRETS[2],
                "FILE": "{files}/app.ini",
            },
            "files": {"app.ini": f"user_pin = {SECRETS[3]}\n"},
            "ready": {"path": "/ready"},
        },
        "stores": {"redis": {"url": f"redis://:{SECRETS[0]}@127.0.0.1:{port}/0"}},
        "request": {"path": f"/hook?sig={SECRETS[5]}", "headers": {"Authorization": f"Bearer {SECRETS[4]}"}},
        "fingerprint": "{labels.pod}",
    }
    (folder / "own.yaml").write_text(json.dumps(target))


@pytest.mark.cases
def test_no_secret_is_in_any_file_or_on_the_terminal(tmp_path: Path) -> None:
    """A race whose values hold secrets in every form: neither files nor terminal have one, and it replays."""
    valkey = Valkey()
    with Redis(port=valkey.port) as admin:
        admin.config_set("requirepass", SECRETS[0])
    written(tmp_path, valkey.port)
    said = stress(tmp_path, "run", "two.yaml", "--target", "own.yaml", "--seconds", "8")
    repeat = stress(tmp_path, "replay", "reports/latest/schedule.txt")
    valkey.close()
    assert (said.code, repeat.code, repeat.out.strip()) == (1, 1, "STILL FAILING 1/1")
    files = [path for name in ("reports", ".gateway-stress") for path in (tmp_path / name).rglob("*") if path.is_file()]
    texts = {path.name: path.read_text() for path in files} | {"terminal": said.out + said.err + repeat.err}
    found = {
        (name, form) for name, text in texts.items() for secret in SECRETS for form in forms(secret) if form in text
    }
    assert found == set()
    shown = said.out + texts["summary.md"] + texts["junit.xml"]
    assert [odd for odd in ("\x1b]0", "\n::error", "##[error]") if odd in shown] == []


def test_the_last_words_of_a_service_are_masked(tmp_path: Path) -> None:
    """What it printed before it died is shown without its secrets, and can't act on the terminal."""
    odd = "cannot connect: password = Spac3d-pw Bearer Sch3me-x1 \x1b]0;owned\x07 ##[error]x"
    (tmp_path / "two.yaml").write_text(SCENARIO)
    words = json.dumps(["sh", "-c", f"printf '%s' '{odd}' >&2; exit 3"])
    (tmp_path / "own.yaml").write_text(f"name: own\nstart: {{command: {words}}}\n")
    said = stress(tmp_path, "run", "two.yaml", "--target", "own.yaml", "--no-examples")
    reported = r"cannot connect: password = *** Bearer *** \x1b]0;owned\x07 \x23#[error]x (run its command by hand)"
    assert (said.code, said.err) == (69, f"unavailable: Gateway 1 died (exit code 3) before it was ready: {reported}\n")
