"""A run on an API server that runs already, named by a kubeconfig, from the command line."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from threading import Thread
from typing import TYPE_CHECKING

import pytest
from commands import stress

from stress.config.formats import bundled
from stress.protocols.kube.kubeconfig import written
from stress.protocols.kube.server.server import KubeServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.unmeasured, pytest.mark.cases]


@contextmanager
def running(server: KubeServer) -> Iterator[None]:
    """Serve in a thread of its own, as what runs elsewhere does."""
    loop = asyncio.new_event_loop()
    loop.run_until_complete(server.start())
    thread = Thread(target=loop.run_forever)
    thread.start()
    yield
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.run_until_complete(server.stop())
    loop.close()


@pytest.mark.parametrize(("target", "code"), [("kube-status", 1), ("kube-lease", 0)])
def test_a_run_on_a_server_of_ones_own_ends_as_any_other(tmp_path: Path, target: str, code: int) -> None:
    """A racy target exits 1, a correct one 0; the report is there, and neither token nor password in it."""
    manifests = bundled("targets") / "manifests"
    text = (bundled("targets") / f"{target}.yaml").read_text().replace("manifests", str(manifests))
    text = text.replace("{kubernetes: {}}", "{kubernetes: {kubeconfig: config.yaml}}")
    (tmp_path / "own.yaml").write_text(text.replace(f"name: {target}", "name: own"))
    server = KubeServer()
    with running(server):
        (tmp_path / "config.yaml").write_text(written(server.url, "default", token="opaque-t0k3n-9x"))  # noqa: S106
        said = stress(tmp_path, "run", "r2-same-second-losers", "--target", "own.yaml", "--seconds", "8")
    assert (said.code, said.err) == (code, "")
    latest = tmp_path / "reports" / "latest"
    assert {"result.json", "index.html", "summary.md"} <= {path.name for path in latest.iterdir()}
    assert not any("opaque-t0k3n" in path.read_text() for path in latest.iterdir() if path.is_file())
