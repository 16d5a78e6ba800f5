"""The doctor on the API server of a kubeconfig: reachable, trusted, and with the rights and records of a run."""

from __future__ import annotations

import json
import ssl
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
import trustme
import yaml
from aiohttp import web
from commands import stress
from test_kube_server import DEFINITION

from stress.config.target import Target
from stress.diagnose.doctor.targets import of_target
from stress.processes.child import free_port
from stress.processes.probe import examine
from stress.protocols.gate import Gate
from stress.protocols.kube.kubeconfig import written
from stress.protocols.kube.proxy import ApiServer, KubeProxy
from stress.protocols.kube.server.server import KubeServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

RECORDS = "remediationrequests.kubernaut.ai"
LEASES = "leases.coordination.k8s.io"
TARGET = f"""\
name: mine
start: {{command: [sh]}}
stores: {{kubernetes: {{kubeconfig: config}}}}
observe: {{records: {{kubernetes: {RECORDS}}}}}
"""
EXPIRING = f"environment: {{expiry: {{kubernetes: {LEASES}, where: {{metadata.name: x}}}}}}\n"
SETUP = f"setup: [{{apiVersion: x/v1, kind: CustomResourceDefinition, metadata: {{name: {RECORDS}}}}}]\n"
WRONG = "FAULT certificate: the certificate of {}"
CORRECT = "correct `certificate-authority` in config"
RENAME = "write the name that it is for as `server` or `tls-server-name` in config"
NOTHING = "nothing is known of it, as is reported above"
UNREPORTED = "hunter2"
CA = trustme.CA()
GOOD: dict[str, Any] = {"not_after": datetime(2099, 1, 2, tzinfo=UTC)}
LONG_AGO: dict[str, Any] = {
    "not_before": datetime(2020, 1, 1, tzinfo=UTC),
    "not_after": datetime(2020, 1, 2, tzinfo=UTC),
}


async def reported(folder: Path, more: str = "", allow: frozenset[str] = frozenset()) -> list[str]:
    """Probe the target; give a line for each probe but that of its program, a fault with `FAULT` before it."""
    (folder / "mine.yaml").write_text(TARGET + more)
    found = await examine(of_target(Target.load(folder / "mine.yaml"), folder, allow))
    lines = [one._replace(target="") for one in found if one.name != "program"]
    return [one.line if one.well else f"FAULT {one.line}" for one in lines]


def lead(folder: Path, url: str, cluster: Mapping[str, object] | None = None, token: str | None = None) -> str:
    """Write the kubeconfig of the target; give host and port."""
    config = yaml.safe_load(written(url, "default", token=token))
    config["clusters"][0]["cluster"] |= cluster or {}
    (folder / "config").write_text(yaml.safe_dump(config))
    return url.partition("//")[2]


@asynccontextmanager
async def answering(answers: dict[str, tuple[int, dict[str, Any]]]) -> AsyncIterator[str]:
    """Serve these answers by path, and 404 elsewhere; give the address."""

    async def handle(request: web.BaseRequest) -> web.Response:
        status, body = answers.get(request.path, (404, {}))
        return web.json_response(body, status=status)

    runner = web.ServerRunner(web.Server(handle))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@pytest.mark.asyncio
async def test_a_server_that_has_what_a_run_needs_is_well(tmp_path: Path) -> None:
    """It is reached, tells its version, serves what the target names, and lists it; nothing is changed there."""
    async with KubeServer() as server:
        server.install(DEFINITION)
        before = server.verbs.storage.version
        where = lead(tmp_path, server.url)
        lines = await reported(tmp_path, EXPIRING)
        assert server.verbs.storage.version == before
    assert lines == [
        f"API server: {where} takes connections",
        f"version: {where} is v1.34.0-gateway-stress",
        f"definition: {RECORDS} is served at /apis/kubernaut.ai/v1alpha1/remediationrequests",
        f"rights: we may list {RECORDS}",
        f"definition: {LEASES} is served at /apis/coordination.k8s.io/v1/leases",
        f"rights: we may list {LEASES}",
    ]


@pytest.mark.asyncio
async def test_a_definition_must_be_there_or_in_setup(tmp_path: Path) -> None:
    """A resource that is not served is a fault, unless `setup` installs it: as an object, or by a file."""
    (tmp_path / "crd.yaml").write_text(f"kind: X\n---\nkind: CustomResourceDefinition\nmetadata: {{name: {RECORDS}}}\n")
    (tmp_path / "wrong.yaml").write_text("{")
    missing = f"the API server has no {RECORDS} (install its definition: name its file in `setup`)"
    expected = {
        "": f"FAULT definition: {missing}",
        SETUP: f"definition: {RECORDS} is installed by each run, as `setup` says",
        "setup: [crd.yaml]\n": f"definition: {RECORDS} is installed by each run, as `setup` says",
        "setup: [wrong.yaml]\n": "FAULT definition: setup: wrong.yaml: "
        "while parsing a flow node (write manifests as kubectl applies them)",
    }
    async with KubeServer() as server:
        lead(tmp_path, server.url)
        found = {more: (await reported(tmp_path, more))[2:] for more in expected}
    assert found == {
        more: [line, f"rights: those on {RECORDS} are known once it is defined"] for more, line in expected.items()
    }


@pytest.mark.asyncio
async def test_a_user_without_rights_is_a_fault(tmp_path: Path) -> None:
    """Who may not list the records is told so, with what the server says; a user who is not known, at the version."""
    forbidden = {"kind": "Status", "message": f'{RECORDS} is forbidden: User "x" cannot list resource'}
    served = {"resources": [{"name": "remediationrequests"}]}
    answers: dict[str, tuple[int, dict[str, Any]]] = {
        "/version": (200, {"gitVersion": "v1.33.1"}),
        "/apis/kubernaut.ai": (200, {"preferredVersion": {"groupVersion": "kubernaut.ai/v1alpha1"}}),
        "/apis/kubernaut.ai/v1alpha1": (200, served),
        "/apis/kubernaut.ai/v1alpha1/remediationrequests": (403, forbidden),
    }
    async with answering(answers) as url:
        where = lead(tmp_path, url, token=UNREPORTED)
        refused = await reported(tmp_path)
    async with answering({path: (401, {}) for path in answers}) as url:
        elsewhere = lead(tmp_path, url, token=UNREPORTED)
        unknown = await reported(tmp_path)
    fix = f"let the user in config get, list, create, patch and delete {RECORDS}"
    assert refused[1:] == [
        f"version: {where} is v1.33.1",
        f"definition: {RECORDS} is served at /apis/kubernaut.ai/v1alpha1/remediationrequests",
        f"FAULT rights: {RECORDS} can't be listed: 403: {forbidden['message']} ({fix})",
    ]
    assert unknown[1:] == [
        f"FAULT version: {elsewhere} answers 401 to us (check the user in config)",
        f"definition: {NOTHING}",
        f"rights: {NOTHING}",
    ]
    assert UNREPORTED not in json.dumps([refused, unknown])


@pytest.mark.asyncio
async def test_who_is_not_there_is_one_fault(tmp_path: Path) -> None:
    """Nobody listens, or the client certificate of the kubeconfig has run out: all else follows from it."""
    where = lead(tmp_path, f"https://127.0.0.1:{free_port()}")
    assert await reported(tmp_path) == [
        f"FAULT API server: nobody listens at {where}: Connection refused (start it, or correct `server` in config)",
        *(f"{name}: {NOTHING}" for name in ("certificate", "version", "definition", "rights")),
    ]
    leaf = CA.issue_cert("me@example.com", **LONG_AGO)
    config = yaml.safe_load((tmp_path / "config").read_text())
    config["users"][0]["user"] = {"client-certificate": "me.pem", "client-key": "me.key"}
    (tmp_path / "config").write_text(yaml.safe_dump(config))
    leaf.cert_chain_pems[0].write_to_path(str(tmp_path / "me.pem"))
    leaf.private_key_pem.write_to_path(str(tmp_path / "me.key"))
    (line,) = await reported(tmp_path)
    assert line == (
        "FAULT kubeconfig: the client certificate of the user 'gate' expired on 2020-01-02 00:00 UTC "
        "(get a new one from the cluster, and put it in the kubeconfig)"
    )


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("issued", "cluster", "line"),
    [
        (GOOD, {}, "certificate: that of {} is good until 2099-01-02 00:00 UTC"),
        (
            GOOD,
            {"certificate-authority": None, "insecure-skip-tls-verify": True},
            "certificate: that of {} is not checked, as insecure-skip-tls-verify says",
        ),
        (LONG_AGO, {}, f"{WRONG} has expired (renew it where the server runs, or set the clock of this machine)"),
        (
            GOOD,
            {"certificate-authority": "other.pem"},
            f"{WRONG} is not to be trusted: unable to get local issuer certificate ({CORRECT})",
        ),
        (
            GOOD,
            {"tls-server-name": "elsewhere"},
            f"{WRONG} is for another name: Hostname mismatch, certificate is not valid for 'elsewhere'. ({RENAME})",
        ),
    ],
)
async def test_a_certificate_is_named_as_what_is_wrong_with_it(
    tmp_path: Path, issued: dict[str, Any], cluster: dict[str, object], line: str
) -> None:
    """Over TLS: a good one, one that is not checked, one that has run out, of another CA, of another name."""
    CA.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "other.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    CA.issue_cert("127.0.0.1", **issued).configure_cert(context)
    async with KubeServer() as server:
        server.install(DEFINITION)
        proxy = KubeProxy(Gate(), 1, ApiServer("127.0.0.1", server.port))
        port = await proxy.start(tls=context)
        where = lead(tmp_path, f"https://127.0.0.1:{port}", {"certificate-authority": "ca.pem", **cluster})
        _, certificate, version, *rest = await reported(tmp_path)
        await proxy.close()
    assert certificate == line.format(where)
    if line.startswith("FAULT"):
        assert [version, *rest] == [f"{name}: {NOTHING}" for name in ("version", "definition", "rights")]
    else:
        assert (version, rest[-1]) == (f"version: {where} is v1.34.0-gateway-stress", f"rights: we may list {RECORDS}")


@pytest.mark.asyncio
async def test_a_plain_server_that_is_spoken_to_by_tls_is_reported(tmp_path: Path) -> None:
    """The kubeconfig says https://, and the server does not."""
    async with KubeServer() as server:
        where = lead(tmp_path, f"https://127.0.0.1:{server.port}")
        _, certificate, *rest = await reported(tmp_path)
    reported_ = f"{where} speaks no TLS that fits: WRONG_VERSION_NUMBER"
    assert certificate == f"FAULT certificate: {reported_} (correct `server` in config: it may be http://)"
    assert rest == [f"{name}: {NOTHING}" for name in ("version", "definition", "rights")]


def test_a_server_elsewhere_is_refused_as_by_a_run(tmp_path: Path) -> None:
    """Unless it is allowed by name: exit 64 with the place in the kubeconfig, and nothing is asked."""
    lead(tmp_path, "https://k8s.invalid:6443")
    (tmp_path / "mine.yaml").write_text(TARGET)
    doctor = stress(tmp_path, "doctor", "--target", "mine.yaml")
    run = stress(tmp_path, "run", "r2-same-second-losers", "--target", "mine.yaml")
    assert (doctor.code, doctor.out, doctor.err) == (64, "", run.err)
    assert doctor.err.partition(": ")[2] == (
        "server: k8s.invalid is not this machine "
        "(a stress test must not hit it by mistake: allow it by name with --allow-host k8s.invalid)\n"
    )


@pytest.mark.asyncio
async def test_a_name_of_containers_that_is_allowed_must_resolve(tmp_path: Path) -> None:
    """The host of the kubeconfig is looked up as those are that the target hands to its Gateway."""
    name = "no-such.containers.internal"
    lead(tmp_path, f"http://{name}:6443")
    host, server, *rest = await reported(tmp_path, SETUP, frozenset({name}))
    assert host.startswith(f"FAULT host: {name} does not resolve: ")
    assert server.startswith(f"FAULT API server: nobody listens at {name}:6443: ")
    assert rest == [f"{kind}: {NOTHING}" for kind in ("version", "definition", "rights")]
