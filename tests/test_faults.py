"""Bad things end well: each is one clear line and the right exit code, the trace so far is kept, and nothing is left."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from aiohttp import web
from commands import BAD, TWO_AT_ONCE, children, nothing_left, own_files, report, stress
from conftest import scenario_of, target_of
from redis import Redis

from stress.batch import Batch, Budget, Job, Where, code_of
from stress.errors import Unavailable
from stress.explore.exhaustive import Exhaustive
from stress.pair import Pair
from stress.report.folder import write
from stress.report.terminal import Terminal
from stress.result import Finished
from stress.scenario import Scenario
from stress.search import Limits
from stress.stores.process import free_port
from stress.stores.valkey import Valkey
from stress.target import Target
from stress.worlds.replicas import start
from stress.worlds.wire import WireWorld

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from stress.explore.base import Explorer
    from stress.result import Happening
    from stress.step import Move
    from stress.trace import Trace

# --- a Gateway that does not start -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("begin", "line"),
    [
        (
            "{command: [no-such-gateway]}",
            "Gateway 1 does not start: no-such-gateway: No such file or directory"
            " (check start.command and start.folder)",
        ),
        (
            "{command: [sh, -c, 'echo no such option --prot >&2; exit 7']}",
            "Gateway 1 died (exit code 7) before it was ready: no such option --prot (run its command by hand)",
        ),
        (
            "{command: [sh, -c, 'kill -9 $$']}",
            "Gateway 1 died (killed by signal 9) before it was ready (run its command by hand)",
        ),
        (
            "{command: [sh, -c, 'echo I wait; exec sleep 60'], ready: {within: 0.2}}",
            "Gateway 1 was not ready within 0.2 s (check start.ready and its output: I wait)",
        ),
        (
            "{command: [sleep, '60'], ready: {within: 0.1}}",
            "Gateway 1 was not ready within 0.1 s (check start.ready and its output: it printed nothing)",
        ),
        (
            json.dumps(
                {
                    "command": [sys.executable, str(BAD), "{port}", "{redis_port}", "never-ready"],
                    "ready": {"path": "/ready", "within": 1.0},
                }
            ),
            "Gateway 1 was not ready within 1 s (check start.ready and its output: it printed nothing)",
        ),
    ],
)
def test_a_gateway_that_does_not_start_exits_69(tmp_path: Path, begin: str, line: str) -> None:
    """No such program, an end at once, never ready: one line says which and what to do, and the report has it too."""
    run = own_files(tmp_path, "")
    (tmp_path / "own.yaml").write_text(f"name: own\nstart: {begin}\n")
    said = stress(tmp_path, *run)
    assert (said.code, said.err) == (69, f"unavailable: {line}\n")
    result, events = report(tmp_path)
    assert (result["verdict"], result["reason"], events) == ("inconclusive", line, [])


def test_a_gateway_with_a_port_of_its_own_is_told_to_take_ours(tmp_path: Path) -> None:
    """The command names a fixed port: the line names it; where another process has it, the Gateway's last words do."""
    port = free_port()
    run = own_files(tmp_path, "well", port=str(port), within=2)
    said = stress(tmp_path, *run)
    hint = f"it listens on port {port}: let start.command hand it {{port}}"
    assert (said.code, said.err) == (69, f"unavailable: Gateway 1 was not ready within 2 s ({hint})\n")
    with socket.create_server(("127.0.0.1", port)):
        said = stress(tmp_path, *run)
    assert said.code == 69
    assert said.err.startswith("unavailable: Gateway 1 died (exit code 1) before it was ready: OSError: [Errno 98]")
    assert f"('127.0.0.1', {port})" in said.err


@pytest.mark.asyncio
async def test_a_stale_gateway_that_answers_in_its_place_is_seen() -> None:
    """The ready path answers 200, but the process that listens is not the one that was started."""

    async def ready(_: web.Request) -> web.Response:
        return web.json_response({"status": "ready"})

    app = web.Application()
    app.router.add_get("/ready", ready)
    runner = web.AppRunner(app)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    before = children()
    try:
        with pytest.raises(
            Unavailable, match=f"another process listens on port {port}, not Gateway 1 .end it, and let"
        ):
            await start(1, ["sleep", "60"], env={}, folder=None, port=port, ready=("/ready", 5.0))
    finally:
        await runner.cleanup()
    assert children() == before
