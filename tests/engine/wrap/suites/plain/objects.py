"""A test of a user without any library: two callers and a Kubernetes API server. The mode is its first argument."""

from __future__ import annotations

import json
import os
import re
import socket
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

MAPS = "/api/v1/namespaces/default/configmaps"
OK, CONFLICT = 200, 409


class Pool:
    """Connections that callers share: one takes the one that was given back last, as HTTP clients do."""

    def __init__(self, url: str) -> None:
        """Lead to a server."""
        self._scheme, _, rest = url.partition("://")
        self._host, _, port = rest.partition(":")
        self._port, self._idle = int(port), list[socket.socket]()

    def _connect(self) -> socket.socket:
        made = socket.create_connection((self._host, self._port))
        if self._scheme == "http":
            return made
        import ssl  # noqa: PLC0415 - only a control plane of its own speaks TLS, and it takes long to load

        return ssl._create_unverified_context().wrap_socket(made)  # noqa: S323 - its certificate is its own

    def ask(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """Send a request; give status and body."""
        connection = self._idle.pop() if self._idle else self._connect()
        sent = json.dumps(body) if body else ""
        head = f"{method} {path} HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n"
        connection.sendall(f"{head}Content-Length: {len(sent)}\r\n\r\n{sent}".encode())
        answer = connection.makefile("rb")
        status, length = int(answer.readline().split()[1]), 0
        while (line := answer.readline().lower()) != b"\r\n":
            length = int(line.partition(b":")[2]) if line.startswith(b"content-length:") else length
        read = answer.read(length).decode()
        self._idle.append(connection)
        return status, json.loads(read) if read.startswith("{") else read


def named() -> Pool:
    """Lead to the server that the kubeconfig names."""
    found = re.search(r"server: (\S+)", Path(os.environ["KUBECONFIG"]).read_text())
    assert found is not None
    return Pool(found[1])


def both(first: Callable[[], object], second: Callable[[], object]) -> None:
    """Run two callers in threads."""
    threads = [threading.Thread(target=first), threading.Thread(target=second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def counted(pool: Pool, *, checked: bool) -> bool:
    """Count twice at once, where ``checked`` only if nobody else did so meanwhile."""

    def add() -> None:
        while True:
            _, found = pool.ask("GET", f"{MAPS}/counter")
            if "data" not in found:
                return  # somebody deleted it
            found["data"]["hits"] = str(int(found["data"]["hits"]) + 1)
            if not checked:
                del found["metadata"]["resourceVersion"]
            if pool.ask("PUT", f"{MAPS}/counter", found)[0] != CONFLICT:
                return

    pool.ask("POST", MAPS, {"metadata": {"name": "counter"}, "data": {"hits": "0"}})
    both(add, add)
    return bool(pool.ask("GET", f"{MAPS}/counter")[1].get("data") == {"hits": "2"})


def deduplicated(pool: Pool) -> bool:
    """Make one record for two signals: its name ends with the second."""

    def signal() -> None:
        if not pool.ask("GET", MAPS)[1]["items"]:
            pool.ask("POST", MAPS, {"metadata": {"name": f"signal-{int(time.time())}"}})

    both(signal, signal)
    records = len(pool.ask("GET", MAPS)[1]["items"])
    pool.ask("DELETE", MAPS)
    return records == 1


def own_plane() -> bool:
    """Start a control plane as controller-runtime's envtest does, and count there."""
    import subprocess  # noqa: PLC0415 - as above
    import tempfile  # noqa: PLC0415 - as above

    programs, folder = Path(os.environ["KUBEBUILDER_ASSETS"]), Path(tempfile.mkdtemp())
    store, port = (int(word) for word in sys.argv[2:4])
    for name in ("apiserver.crt", "apiserver.key"):
        (folder / name).write_bytes(Path(sys.argv[4], name).read_bytes())
    url = f"http://127.0.0.1:{store}"
    started = [
        subprocess.Popen([programs / "etcd", f"--listen-client-urls={url}", f"--data-dir={folder}"]),
        subprocess.Popen(
            [
                *(programs / "kube-apiserver", f"--cert-dir={folder}", f"--secure-port={port}"),
                *(f"--etcd-servers={url}", "--bind-address=127.0.0.1", "--authorization-mode=RBAC"),
            ]
        ),
    ]
    try:
        for pool, path in ((Pool(url), "/health"), (Pool(f"https://127.0.0.1:{port}"), "/readyz")):
            while True:
                try:
                    if pool.ask("GET", path)[0] == OK:
                        break
                except OSError:
                    time.sleep(0.02)
        return counted(pool, checked=False)
    finally:
        for process in reversed(started):
            process.terminate()
            process.wait()


MODES = {
    "racy": lambda: counted(named(), checked=False),
    "fixed": lambda: counted(named(), checked=True),
    "second": lambda: deduplicated(named()),
    "sibling": lambda: named().ask("DELETE", MAPS)[0] == OK,
    "own": own_plane,
}

if __name__ == "__main__":
    if sink := os.environ.get("AUDIT"):
        assert Pool(sink).ask("POST", "/audit", [1]) == (OK, {})
    sys.exit(not MODES[sys.argv[1]]())
