"""Starting etcd and kube-apiserver, with stand-ins for both: `test_kube_server.py` takes the real ones."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
from kubewire import Wire

from stress.core.errors import Unavailable
from stress.protocols.kube.assets import KubeAssets
from stress.protocols.kube.server.reviews import User

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

STAND_IN = f"""#!{sys.executable}
import http.server, ssl, sys
from urllib.parse import urlsplit
told = dict(word[2:].split("=", 1) for word in sys.argv[1:] if "=" in word)
serving = "token-auth-file" in told
known = open(told["token-auth-file"]).read().splitlines() if serving else []
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        who = [line.split(",", 1)[1] for line in known if line.split(",")[0] == token]
        body = (who[0] + " " + told["authorization-mode"]).encode() if who else b"{{}}"
        self.send_response(200 if who or not serving else 401)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
port = int(told["secure-port"]) if serving else urlsplit(told["listen-client-urls"]).port
server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
if serving:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(told["tls-cert-file"], told["tls-private-key-file"])
    server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""
GET_THEM = (
    "get both with setup-envtest: `go run sigs.k8s.io/controller-runtime/tools/setup-envtest@latest use -p path` "
    "prints a folder, which KUBEBUILDER_ASSETS must name"
)


@pytest.fixture
def assets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Give a maker of a folder with both programs; temporary folders are made in another."""
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path))
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))

    def make(**programs: str) -> Path:
        for name, text in programs.items():
            path = tmp_path / name.replace("_", "-")
            path.write_text(text)
            path.chmod(0o755)
        return tmp_path

    return make


@pytest.mark.asyncio
async def test_both_are_started_and_ended(assets: Callable[..., Path]) -> None:
    """The server is reached by TLS as an administrator, knows the tokens it is told, and leaves nothing behind."""
    folder = assets(etcd=STAND_IN, kube_apiserver=STAND_IN)
    async with KubeAssets({"known": User("sender", "2", ("a", "system:authenticated"))}, "RBAC") as started:
        processes = list(started.processes)
        async with Wire(0, server=started.server) as wire:
            reported = []
            for headers in ({}, {"Authorization": "Bearer known"}):
                async with wire.clients[0].get("/api", headers=headers) as answer:
                    reported.append(await answer.text())
        (made,) = (folder / "temporary").iterdir()
        assert made.stat().st_mode & 0o777 == 0o700
    assert reported == ['gateway-stress,gateway-stress,"system:masters" RBAC', 'sender,2,"a" RBAC']
    assert len(processes) == 2
    assert [process.poll() is None for process in processes] == [False, False]
    assert list((folder / "temporary").iterdir()) == []


@pytest.mark.asyncio
@pytest.mark.parametrize(("there", "lacks"), [([], "etcd"), (["etcd"], "kube-apiserver")])
async def test_a_program_that_is_missing_is_named(assets: Callable[..., Path], there: list[str], lacks: str) -> None:
    """The message says which, where it is looked for, and how to get it; what may not be run is missing too."""
    folder = assets(**dict.fromkeys(there, "#!/bin/sh\n"))
    (folder / lacks).write_text("not to be run")
    with pytest.raises(Unavailable) as missing:
        await KubeAssets().start()
    assert str(missing.value) == f"no program {lacks} in {folder}, which KUBEBUILDER_ASSETS names ({GET_THEM})"


@pytest.mark.asyncio
async def test_the_usual_folder_is_named_where_none_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without KUBEBUILDER_ASSETS the message says that it is not set."""
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    monkeypatch.setattr("stress.protocols.kube.assets._USUAL", "/nowhere")
    with pytest.raises(Unavailable) as missing:
        await KubeAssets().start()
    assert str(missing.value) == f"no program etcd in /nowhere, as KUBEBUILDER_ASSETS is not set ({GET_THEM})"


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("programs", "said"),
    [
        ({"etcd": "echo one\necho bad flag >&2\nexit 3"}, "etcd of {} did not start (exit code 3) (it says: bad flag)"),
        ({"etcd": "kill -9 $$"}, "etcd of {} did not start (killed by signal 9) (it says: nothing)"),
        ({"kube-apiserver": "exit 1"}, "kube-apiserver of {} did not start (exit code 1) (it says: nothing)"),
    ],
)
async def test_a_program_that_ends_is_reported_with_its_last_words(
    assets: Callable[..., Path], programs: dict[str, str], said: str
) -> None:
    """Its exit code and the last line that it printed are told, and nothing is left behind."""
    shells = {name: f"#!/bin/sh\n{text}\n" for name, text in programs.items()}
    folder = assets(**{"etcd": STAND_IN, "kube-apiserver": STAND_IN} | shells)
    failing = KubeAssets()
    with pytest.raises(Unavailable) as refused:
        await failing.start()
    assert str(refused.value) == said.format(folder)
    assert (failing.processes, list((folder / "temporary").iterdir())) == ([], [])


@pytest.mark.asyncio
async def test_a_program_that_is_never_ready_is_reported(
    assets: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the time to start it is given up."""
    folder = assets(etcd="#!/bin/sh\nexec sleep 60\n", kube_apiserver=STAND_IN)
    monkeypatch.setattr("stress.protocols.kube.assets._START_SECONDS", 0.1)
    with pytest.raises(Unavailable) as refused:
        await KubeAssets().start()
    assert str(refused.value) == f"etcd of {folder} is not ready after 0.1 s (it says: nothing)"


@pytest.mark.asyncio
async def test_a_port_that_is_taken_meanwhile_is_tried_again(assets: Callable[..., Path]) -> None:
    """Another port is found up to three times."""
    taken = (
        'echo . >> {}/tries\n[ "$(wc -l < {}/tries)" = {} ] && exec {}/good "$@"\necho address already in use\nexit 1'
    )
    folder = assets(good=STAND_IN, kube_apiserver=STAND_IN)
    for successful in (3, 9):
        assets(etcd="#!/bin/sh\n" + taken.format(folder, folder, successful, folder))
        if successful == 3:
            async with KubeAssets() as started:
                assert len(started.processes) == 2
            continue
        (folder / "tries").unlink()
        with pytest.raises(Unavailable, match="etcd found its port taken"):
            await KubeAssets().start()
    assert (folder / "tries").read_text() == ".\n" * 3
