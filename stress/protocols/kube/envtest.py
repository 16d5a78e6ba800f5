"""Programs for ``KUBEBUILDER_ASSETS``: a test suite that starts a control plane of its own starts these, and gets ours.

Source: ``pkg/internal/testing/controlplane`` and ``process`` of controller-runtime 0.22. Each program is asked for its
``--help``, is started with the flags of the real one, must answer 200 to a look at its health, and is ended by SIGTERM.
The program itself only says what it was given, and then sleeps: we listen where it was asked to, the API server with
the certificate that it was handed. So no byte passes through it, and the gate sees each connection of the suite itself.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import ssl
import stat
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self
from urllib.parse import urlsplit

from stress.processes.sink import Sink
from stress.protocols.kube.assets import ASSETS
from stress.protocols.kube.tls import load_chain

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

_ETCD, _APISERVER, _KUBECTL = "etcd", "kube-apiserver", "kubectl"
_SOCKET = "asked"
_OWNER_ONLY = stat.S_IRWXU
_PROGRAM = f"""#!{sys.executable} -IS
import json, os, socket, sys
name = os.path.basename(sys.argv[0])
if "--help" in sys.argv:
    print("  --unsafe-no-fsync\\n  --secure-port")
    sys.exit(0)
asked = socket.socket(socket.AF_UNIX)
here = os.open(os.path.dirname(os.path.abspath(sys.argv[0])), os.O_PATH)
asked.connect(f"/proc/self/fd/{{here}}/{_SOCKET}")
words = dict(word[2:].split("=", 1) for word in sys.argv[1:] if word.startswith("--") and "=" in word)
asked.sendall(json.dumps({{"name": name, "folder": os.getcwd(), "flags": words}}).encode() + b"\\n")
fault = asked.makefile().readline().strip()
print(fault, file=sys.stderr) if fault else asked.recv(1)
sys.exit(1)
"""
"""It ends when it is killed, which ends the connection, or when we end the connection, which it takes for a fault."""


class Listening(Protocol):
    """What was opened for one program."""

    async def close(self) -> None:
        """Listen no more."""


class Programs:
    """The programs, in a private folder. ``folder`` is what ``KUBEBUILDER_ASSETS`` must name once they are written.

    ``serve`` opens an API server on a port, with TLS; the last argument names the etcd that it was given: those of one
    etcd show the same objects.
    """

    def __init__(self, serve: Callable[[int, ssl.SSLContext, str], Awaitable[Listening]]) -> None:
        """Write nothing yet."""
        self._serve = serve
        self._server: asyncio.Server | None = None
        self._asked: set[asyncio.Task[None]] = set()
        self.folder = Path()

    async def __aenter__(self) -> Self:
        """Write them."""
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Delete them."""
        await self.close()

    async def open(self) -> None:
        """Write them; a kubectl that is found is linked to, as what a suite runs finds it beside them."""
        self.folder = Path(tempfile.mkdtemp(prefix="gateway-stress-"))
        here = os.open(self.folder, os.O_PATH)  # a path of a socket may be 107 bytes long, and that of a folder longer
        try:
            self._server = await asyncio.start_unix_server(self._asking, f"/proc/self/fd/{here}/{_SOCKET}")
        finally:
            os.close(here)
        for name in (_ETCD, _APISERVER):
            program = self.folder / name
            program.write_text(_PROGRAM)
            program.chmod(_OWNER_ONLY)
        named = os.environ.get(ASSETS)
        kubectl = shutil.which(_KUBECTL, path=named) or shutil.which(_KUBECTL)
        if kubectl is not None:
            (self.folder / _KUBECTL).symlink_to(Path.cwd() / kubectl)

    async def close(self) -> None:
        """End what they had opened, and delete them."""
        if self._server is None:
            return
        self._server.close()
        for task in self._asked:
            task.cancel()
        await asyncio.gather(*self._asked, return_exceptions=True)
        shutil.rmtree(self.folder, ignore_errors=True)
        self._server = None

    async def _asking(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Open what one program was started for, until it ends."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a server runs this in a task of its own
        self._asked.add(task)
        opened: Listening | None = None
        try:
            asked = json.loads(await reader.readline())
            try:
                opened = await self._opened(asked["name"], Path(asked["folder"]), asked["flags"])
            except (KeyError, ValueError, OSError) as error:
                writer.write(f"gateway-stress can't be this {asked['name']}: {error}\n".encode())
                return
            writer.write(b"\n")
            await reader.read()
        finally:
            self._asked.discard(task)
            if opened is not None:
                await opened.close()
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _opened(self, name: str, folder: Path, flags: Mapping[str, str]) -> Listening:
        if name == _ETCD:
            sink = Sink()  # the health of an etcd is all that a suite asks for
            await sink.open(urlsplit(flags["listen-client-urls"].split(",")[0]).port or 0)
            return sink
        certificates = Path(flags.get("cert-dir", "."))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        shown = flags.get("tls-cert-file", str(certificates / "apiserver.crt"))
        key = flags.get("tls-private-key-file", str(certificates / "apiserver.key"))
        load_chain(context, (folder / key).read_bytes() + (folder / shown).read_bytes())
        return await self._serve(int(flags["secure-port"]), context, flags.get("etcd-servers", ""))
