"""Answers at once and puts the alert into a queue of its process, from which WORKERS threads count it.

Its server looks for something to do twice a second, as servers of the standard library do.
"""

from __future__ import annotations

import os
import socket
import threading
from queue import SimpleQueue
from typing import BinaryIO

from objects import serve

jobs: SimpleQueue[str] = SimpleQueue()


def ask(link: tuple[socket.socket, BinaryIO], *words: str) -> str:
    """Run one command; give what its reply holds, empty for none."""
    parts = "".join(f"${len(word)}\r\n{word}\r\n" for word in words)
    link[0].sendall(f"*{len(words)}\r\n{parts}".encode())
    line = link[1].readline().decode().strip()
    return link[1].read(int(line[1:]) + 2).decode().strip() if line[0] == "$" and line != "$-1" else ""


def work() -> None:
    """Count one alert after another."""
    plug = socket.create_connection(("127.0.0.1", int(os.environ["REDIS_PORT"])))
    link = plug, plug.makefile("rb")
    while True:
        pod = jobs.get()
        count = ask(link, "GET", f"hits:{pod}") or "0"
        ask(link, "SET", f"hits:{pod}", str(int(count) + 1))


def deduplicate(pod: str, _request: str) -> tuple[int, str, int | None]:
    """Take the alert."""
    jobs.put(pod)
    return 202, f"hits:{pod}", None


for _ in range(int(os.environ["WORKERS"])):
    threading.Thread(target=work, daemon=True).start()
serve(deduplicate)
