"""``python -m stress.gateways.nursery``: forks bundled Gateways for the harness that has started it.

Nearly all that `python -m stress.gateways` does until it serves is imports. This process has done them: a Gateway
forked off it serves in milliseconds. It has one thread and no event loop, so that there is nothing a fork could break.

Its standard input is a socket to the harness. Each way goes one JSON object a line, and each request is answered:
``{"words": […], "env": {…}}``, with a file for the output beside it (SCM_RIGHTS, unix(7)), starts a Gateway and is
answered by ``{"pid": …}``; ``{"take": pid}`` takes up one that has ended, answered by ``{"status": …}`` of waitpid(2).
Where the kernel refuses, the answer is ``{"errno": …}``.
"""

from __future__ import annotations

import gc
import json
import os
import socket
import sys
from typing import TYPE_CHECKING, Any

from stress.gateways.__main__ import main as gateway
from stress.stores.process import die_with_parent

if TYPE_CHECKING:
    from collections.abc import Sequence

_BYTES = 65536


def main() -> int:
    """Fork for as long as the harness lives; a Gateway that was forked comes out here too, with its exit code."""
    with socket.socket(fileno=os.dup(0)) as link:
        _redirect(os.open(os.devnull, os.O_RDONLY), 0)
        gc.collect()
        gc.freeze()  # no collection writes to the pages that all Gateways share
        _tell(link, {})
        nursery = os.getpid()
        while (request := _next(link)) is not None:
            asked, log = request
            if "take" in asked:
                _tell(link, _taken(asked["take"]))
                continue
            answer = _forked()
            if answer.get("pid") == 0:
                link.close()  # the harness is to see when the nursery ends
                return _serve(nursery, asked["words"], asked["env"], log)
            os.close(log)
            _tell(link, answer)
    return 0


def _serve(nursery: int, words: Sequence[str], env: dict[str, str], log: int) -> int:
    """Be a Gateway, in a session of its own, until it is told to end."""
    die_with_parent()
    if os.getppid() != nursery:  # it died before the kernel knew
        return 1
    os.setsid()
    os.dup2(log, 1)
    _redirect(log, 2)
    os.environ.clear()
    os.environ.update(env)
    return gateway(words)


def _forked() -> dict[str, int]:
    """Fork; the process id is 0 in the Gateway."""
    try:
        return {"pid": os.fork()}
    except OSError as error:
        return {"errno": error.errno or 0}


def _taken(pid: int) -> dict[str, int]:
    """Take up a Gateway that has ended."""
    try:
        return {"status": os.waitpid(pid, 0)[1]}
    except OSError as error:
        return {"errno": error.errno or 0}


def _redirect(file: int, to: int) -> None:
    os.dup2(file, to)
    os.close(file)


def _tell(link: socket.socket, answer: dict[str, Any]) -> None:
    link.sendall(json.dumps(answer).encode() + b"\n")


def _next(link: socket.socket) -> tuple[dict[str, Any], int] | None:
    """Read a request and the file beside it (-1: none); None when the harness is gone."""
    line, files, _, _ = socket.recv_fds(link, _BYTES, 1)
    while line and not line.endswith(b"\n"):
        more = link.recv(_BYTES)
        line = line + more if more else b""
    return (json.loads(line), files[0] if files else -1) if line else None


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)  # to take the interpreter down takes as long as all that a Gateway does until it serves
