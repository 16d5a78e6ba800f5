"""A test of a user without any library: two callers and a Redis. The mode is its first argument; exit code 1 fails."""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Client:
    """One connection."""

    def __init__(self) -> None:
        """Connect."""
        self._socket = socket.create_connection((os.environ["REDIS_HOST"], int(os.environ["REDIS_PORT"])))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self._socket.makefile("rb")

    def ask(self, *words: str) -> str:
        """Send a command, give its reply; what is not there is empty."""
        packed = "".join(f"${len(word)}\r\n{word}\r\n" for word in words)
        self._socket.sendall(f"*{len(words)}\r\n{packed}".encode())
        line = self._file.readline().decode().strip()
        if line.startswith("$") and line != "$-1":
            return self._file.readline().decode().strip()
        return "" if line == "$-1" else line[1:]


def add(client: Client, key: str = "counter") -> None:
    """Read, add, write: an update may be lost."""
    client.ask("SET", key, str(int(client.ask("GET", key) or 0) + 1))


def both(first: Callable[[Client], object], second: Callable[[Client], object]) -> Client:
    """Run two callers in threads, of which the second reads its configuration first; give the first one's client."""
    clients = Client(), Client()

    def late() -> None:
        for number in range(3):
            clients[1].ask("GET", f"config:{number}")
        second(clients[1])

    threads = [threading.Thread(target=first, args=(clients[0],)), threading.Thread(target=late)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return clients[0]


def racy() -> bool:
    """Both count, in two commands each."""
    return both(add, add).ask("GET", "counter") == "2"


def fixed() -> bool:
    """Both count, in one command each."""
    return both(lambda one: one.ask("INCR", "counter"), lambda one: one.ask("INCR", "counter")).ask(
        "GET", "counter"
    ) == ("2")


def always() -> bool:
    """Fails by itself."""
    both(add, add)
    return False


def chance() -> bool:
    """Fails now and then, whatever its store commands do."""
    return both(lambda one: one.ask("INCR", "counter"), add) is not None and os.urandom(1)[0] < 150


def nothing() -> bool:
    """Uses no store."""
    return True


def one_connection() -> bool:
    """Counts twice, one after the other."""
    client = Client()
    add(client)
    add(client)
    return client.ask("GET", "counter") == "2"


def processes() -> bool:
    """Two processes count."""
    import subprocess  # noqa: PLC0415 - the others start faster without it

    script = [sys.executable, "-S", __file__]
    children = [subprocess.Popen([*script, mode]) for mode in ("early", "late")]
    for child in children:
        child.wait()
    return Client().ask("GET", "counter") == "2"


def early() -> bool:
    """Counts: the first process."""
    add(Client())
    return True


def late() -> bool:
    """Reads its configuration, and counts: the second process."""
    client = Client()
    for number in range(3):
        client.ask("GET", f"config:{number}")
    add(client)
    return True


def second() -> bool:
    """Two callers make sure of a record that is called by the second; it passes where there is one in the end."""

    def write(client: Client) -> None:
        client.ask("EXISTS", "records")
        client.ask("SADD", "records", f"at-{int(time.time())}")

    return both(write, write).ask("SCARD", "records") == "1"


def limited() -> bool:
    """Fails wherever it takes more than 0.4 s."""
    begun = time.monotonic()
    both(lambda one: one.ask("INCR", "counter"), lambda one: one.ask("INCR", "counter"))
    return time.monotonic() - begun < 0.4


def kept() -> bool:
    """Writes a key and reads it again, beside another caller; a sibling that cleans up makes it fail."""
    found: list[str] = []

    def write(client: Client) -> None:
        client.ask("SET", "job", "1")
        found.append(client.ask("GET", "job"))

    both(write, lambda one: one.ask("GET", "job"))
    return found == ["1"]


def suite() -> bool:
    """The whole suite: that test, and another that cleans up."""
    done = kept()
    Client().ask("DEL", "job")
    return done


def named() -> bool:
    """Two callers count in a key that has another name in each run."""
    key = f"counter:{os.urandom(8).hex()}"
    return both(lambda one: add(one, key), lambda one: add(one, key)).ask("GET", key) == "2"


if __name__ == "__main__":
    sys.exit(0 if globals()[sys.argv[1]]() else 1)
