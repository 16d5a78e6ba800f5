"""`{token}`: a service account's token, which a Gateway's API server accepts, for requests and for the Gateway."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from stress.config.scenario import Scenario
from stress.config.target import Target
from stress.core.errors import Unavailable
from stress.core.masking import mask_text
from stress.executors.live.deployment import Deployment
from stress.executors.live.executor import LiveExecutor
from stress.protocols.kube.kubeconfig import written
from stress.protocols.kube.server.server import KubeServer
from stress.schedulers.random_walk import Walk

if TYPE_CHECKING:
    from pathlib import Path

GATEWAY = """\
import http.server, json, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        known = self.headers["Authorization"] == "Bearer " + os.environ["TOKEN"]
        self.send_response(201 if known else 401)
        self.end_headers()
        self.wfile.write(json.dumps({"remediationRequestName": str(len(os.environ["TOKEN"]))}).encode())
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
SCENARIO = Scenario.model_validate({"name": "own", "story": "One.", "concurrent": 1})


def target(**stores: object) -> Target:
    """Make the target of a Gateway that accepts the token of its environment alone."""
    return Target.model_validate(
        {
            "name": "own",
            "start": {"command": [sys.executable, "-c", GATEWAY, "{port}"], "env": {"TOKEN": "{token}"}},
            "request": {"headers": {"Authorization": "Bearer {token}"}},
            "stores": {"kubernetes": stores},
            "patience": 0.2,
        }
    )


@pytest.mark.asyncio
async def test_a_token_is_the_same_for_requests_and_gateway_and_is_masked() -> None:
    """The Gateway answers 201 to who has the token of its environment; no report repeats it."""
    executor = LiveExecutor(SCENARIO, target())
    executor.judged = False  # it has no store
    async with executor:
        trace = await executor.run(Walk(1))
        token = executor.deployment.given["token"]
    assert [(one.status, one.record) for one in trace.answers] == [(201, str(len(token)))]
    assert mask_text(f"it sent {token}") == "it sent ***"


@pytest.mark.asyncio
async def test_a_server_that_gives_no_token_is_named(tmp_path: Path) -> None:
    """A lent API server that has no such subresource is unavailable, with what it says and what to allow."""
    async with KubeServer() as server:
        (tmp_path / "config.yaml").write_text(written(server.url, "default"))
        with pytest.raises(Unavailable) as caught:
            async with Deployment(target(kubeconfig="config.yaml"), tmp_path):
                pass
        assert server.objects("serviceaccounts") == []
    assert str(caught.value) == (
        "no token for {token}: the API server says 404 the server could not find the requested resource "
        "(allow `create serviceaccounts/token` to the user of the kubeconfig)"
    )


@pytest.mark.cases
@pytest.mark.asyncio
@pytest.mark.skipif("KUBEBUILDER_ASSETS" not in os.environ, reason="KUBEBUILDER_ASSETS names no kube-apiserver")
async def test_a_real_server_knows_its_token() -> None:
    """A review of the token, asked of the kube-apiserver that gave it, names the service account."""
    async with Deployment(target(assets=True)) as deployment:
        kube = deployment.stores["kubernetes"].store
        spec = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "spec": {"token": deployment.given["token"]},
        }
        status, found = await kube.call("POST", "/apis/authentication.k8s.io/v1/tokenreviews", spec)
        assert found is not None
        user = found["status"]["user"]["username"]
        assert (status, user) == (201, f"system:serviceaccount:{kube.namespace}:gateway-stress")
