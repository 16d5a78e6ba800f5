"""A real API server: etcd and kube-apiserver of ``KUBEBUILDER_ASSETS``, started as controller-runtime's envtest does.

Source: the default arguments in controller-runtime's ``pkg/internal/testing/controlplane``. Both listen on loopback
alone and are ended by `KubeAssets.close`; what they write lies in a private folder that goes with them.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import ssl
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, Self

import aiohttp

from stress.core.errors import Unavailable
from stress.processes.child import Child, end, ending, free_port, spawn
from stress.protocols.kube.proxy import ApiServer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stress.protocols.kube.server.reviews import User

ASSETS = "KUBEBUILDER_ASSETS"
_USUAL = "/usr/local/kubebuilder/bin"
"""Where envtest looks when nothing is said."""
_GET_THEM = (
    "get both with setup-envtest: `go run sigs.k8s.io/controller-runtime/tools/setup-envtest@latest use -p path` "
    f"prints a folder, which {ASSETS} must name"
)
_HOST = "127.0.0.1"
_START_SECONDS = 60.0
_END_SECONDS = 5.0
_LOOK_SECONDS = 0.05
_TRIES = 3
_ASKED_SECONDS = 2.0
_TAIL_BYTES = 4096
_OK = 200

Authorization = Literal["AlwaysAllow", "RBAC"]


class Binaries(NamedTuple):
    """Where both programs are."""

    etcd: Path
    apiserver: Path


def binaries() -> Binaries:
    """Find etcd and kube-apiserver.

    Raises:
        Unavailable: when one of them is not there; says which, where it was looked for, and how to get it.

    """
    named = os.environ.get(ASSETS, "")
    folder = Path(named or _USUAL)
    found = Binaries(folder / "etcd", folder / "kube-apiserver")
    for path in found:
        if not (path.is_file() and os.access(path, os.X_OK)):
            where = f"which {ASSETS} names" if named else f"as {ASSETS} is not set"
            raise Unavailable(f"no program {path.name} in {folder}, {where}", _GET_THEM)
    return found


class KubeAssets:
    """One etcd and one kube-apiserver. ``server`` is how to reach it once it is started, as an administrator.

    With the authorization "AlwaysAllow" everybody who is known may do everything, as on the embedded server.
    """

    server: ApiServer

    def __init__(self, tokens: Mapping[str, User] | None = None, authorization: Authorization = "AlwaysAllow") -> None:
        """Start nothing yet; ``tokens`` are bearer tokens that it shall know besides our own."""
        self._tokens = dict(tokens or {})
        self._authorization = authorization
        self._folder: Path | None = None
        self.processes: list[Child] = []
        """The two children, while they are started: etcd and kube-apiserver."""

    async def __aenter__(self) -> Self:
        """Start both."""
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """End both."""
        await self.close()

    async def start(self) -> None:
        """Start both and wait until the API server is ready.

        Raises:
            Unavailable: when a program is missing or ends, or is not ready in time.

        """
        found = binaries()
        for tries_left in reversed(range(_TRIES)):
            self._folder = Path(tempfile.mkdtemp(prefix="gateway-stress-"))
            try:
                await self._start(found, self._folder)
            except _PortTaken as taken:
                await self.close()
                if not tries_left:
                    raise Unavailable(str(taken), "ports are taken as fast as they are found: start again") from None
            except BaseException:
                await self.close()
                raise
            else:
                return

    async def close(self) -> None:
        """End both, the API server first, and delete what they wrote."""
        while self.processes:
            await asyncio.to_thread(end, self.processes.pop(), _END_SECONDS)
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    async def _start(self, found: Binaries, folder: Path) -> None:
        store, port = f"http://{_HOST}:{free_port()}", free_port()
        self._spawn(found.etcd, folder, _etcd(folder, store))
        token = secrets.token_urlsafe(32)
        trust = _credentials(folder, token, self._tokens)
        arguments = [*_apiserver(folder, store, port), f"--authorization-mode={self._authorization}"]
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_ASKED_SECONDS)) as session:
            await self._until(found.etcd, folder, session, f"{store}/health", None)
            self._spawn(found.apiserver, folder, arguments)
            session.headers["Authorization"] = f"Bearer {token}"
            await self._until(found.apiserver, folder, session, f"https://{_HOST}:{port}/readyz", trust)
        self.server = ApiServer(_HOST, port, trust, headers=((b"authorization", f"Bearer {token}".encode()),))

    def _spawn(self, program: Path, folder: Path, arguments: list[str]) -> None:
        with (folder / f"{program.name}.log").open("wb") as log:
            self.processes.append(spawn([str(program), *arguments], folder=folder, log=log.fileno()))

    async def _until(
        self, program: Path, folder: Path, session: aiohttp.ClientSession, url: str, tls: ssl.SSLContext | None
    ) -> None:
        """Wait until the program that was started last says that it is ready."""
        process, deadline = self.processes[-1], time.monotonic() + _START_SECONDS
        while not await _answers(session, url, tls):
            reported = _tail(folder / f"{program.name}.log")
            if process.poll() is not None:
                if "address already in use" in reported:
                    raise _PortTaken(f"{program.name} found its port taken")
                remedy = f"it says: {reported or 'nothing'}"
                raise Unavailable(f"{program.name} of {program.parent} did not start ({ending(process)})", remedy)
            if time.monotonic() > deadline:
                message = f"{program.name} of {program.parent} is not ready after {_START_SECONDS:g} s"
                raise Unavailable(message, f"it says: {reported or 'nothing'}")
            await asyncio.sleep(_LOOK_SECONDS)


class _PortTaken(Exception):
    """Somebody else was faster with a port that was free a moment ago."""


async def _answers(session: aiohttp.ClientSession, url: str, tls: ssl.SSLContext | None) -> bool:
    try:
        async with session.get(url, ssl=tls if tls is not None else True) as answer:
            return answer.status == _OK
    except (aiohttp.ClientError, TimeoutError, OSError):
        return False


def _etcd(folder: Path, url: str) -> list[str]:
    return [
        f"--data-dir={folder / 'etcd'}",
        f"--listen-client-urls={url}",
        f"--advertise-client-urls={url}",
        f"--listen-peer-urls=http://{_HOST}:0",
        "--unsafe-no-fsync",
        "--logger=zap",
        "--log-level=error",
    ]


def _apiserver(folder: Path, store: str, port: int) -> list[str]:
    return [
        f"--bind-address={_HOST}",
        f"--advertise-address={_HOST}",
        f"--secure-port={port}",
        f"--etcd-servers={store}",
        f"--cert-dir={folder / 'certificates'}",
        f"--tls-cert-file={folder / 'server.pem'}",
        f"--tls-private-key-file={folder / 'server.key'}",
        f"--token-auth-file={folder / 'tokens.csv'}",
        f"--service-account-issuer=https://{_HOST}:{port}",
        f"--service-account-key-file={folder / 'accounts.key'}",
        f"--service-account-signing-key-file={folder / 'accounts.key'}",
        "--service-cluster-ip-range=10.0.0.0/24",
        "--allow-privileged=true",
        "--disable-admission-plugins=ServiceAccount",
    ]


def _credentials(folder: Path, token: str, tokens: Mapping[str, User]) -> ssl.SSLContext:
    """Write what the API server shows and knows; give how to trust it. The folder is readable by nobody else."""
    import trustme  # noqa: PLC0415 - it takes long to load, and few targets need it

    authority = trustme.CA(organization_name="gateway-stress")
    shown = authority.issue_cert(_HOST, "localhost")
    shown.private_key_pem.write_to_path(str(folder / "server.key"))
    shown.cert_chain_pems[0].write_to_path(str(folder / "server.pem"))
    authority.issue_cert("accounts.invalid").private_key_pem.write_to_path(str(folder / "accounts.key"))
    lines = [f'{token},gateway-stress,gateway-stress,"system:masters"\n']
    for known, user in tokens.items():
        groups = ",".join(group for group in user.groups if group != "system:authenticated")
        lines.append(f'{known},{user.name},{user.uid},"{groups}"\n')
    (folder / "tokens.csv").write_text("".join(lines))
    trust = ssl.create_default_context(cadata=authority.cert_pem.bytes().decode("ascii"))
    trust.set_alpn_protocols(["http/1.1"])
    return trust


def _tail(log: Path) -> str:
    """Give the last line that a program printed."""
    lines = log.read_bytes()[-_TAIL_BYTES:].decode("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else ""
