"""Kubeconfigs: what is read of a user's, what is refused and where, and what a Gateway is given."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
import trustme
import yaml
from kubewire import Api, Wire

from stress.core.errors import Unavailable, UsageFault
from stress.protocols.gate import Gate
from stress.protocols.kube.kubeconfig import upstream, written
from stress.protocols.kube.proxy import ApiServer, KubeProxy
from stress.protocols.kube.tls import authority

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CA = trustme.CA()
OTHER = trustme.CA()
CLIENT = CA.issue_cert("client@example.com", common_name="client")
LONG_AGO: dict[str, Any] = {
    "not_before": datetime(2020, 1, 1, tzinfo=UTC),
    "not_after": datetime(2020, 1, 2, tzinfo=UTC),
}
CONFIG = """\
apiVersion: v1
kind: Config
current-context: here
clusters:
- name: local
  cluster:
    server: {server}
{cluster}
contexts:
- name: here
  context: {{cluster: local, user: me}}
- name: nobody
  context: {{cluster: local}}
- name: lost
  context: {{cluster: nowhere}}
users:
- name: me
  user:
{user}
"""


@pytest.fixture
def config(tmp_path: Path) -> Callable[..., Path]:
    """Give a writer of kubeconfigs: a server, and the lines of its cluster and of its user."""

    def write(server: str, cluster: dict[str, Any] | None = None, user: dict[str, Any] | None = None) -> Path:
        parts = {"cluster": _lines(cluster), "user": _lines(user)}
        path = tmp_path / "kubeconfig"
        path.write_text(CONFIG.format(server=server, **parts))
        return path

    return write


def _lines(part: dict[str, Any] | None) -> str:
    return "\n".join(f"    {key}: {json.dumps(value)}" for key, value in (part or {}).items())


def encoded(pem: bytes) -> str:
    """Write PEM as a kubeconfig has it."""
    return base64.b64encode(pem).decode()


def proof(leaf: trustme.LeafCert) -> dict[str, str]:
    """Write a client certificate as a kubeconfig has it."""
    chain = b"".join(blob.bytes() for blob in leaf.cert_chain_pems)
    return {"client-certificate-data": encoded(chain), "client-key-data": encoded(leaf.private_key_pem.bytes())}


def context_of(leaf: trustme.LeafCert, *, clients: trustme.CA | None = None) -> ssl.SSLContext:
    """Give what a server listens with; with ``clients`` whoever comes must show a certificate of that CA."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    leaf.configure_cert(context)
    if clients is not None:
        clients.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


async def asked(server: ApiServer, tls: ssl.SSLContext | None = None, *, fits: bool = True) -> list[dict[str, str]]:
    """Ask an API server one thing through a gate; give the headers of what it saw, or the gate's fault."""
    api = Api()
    port = await api.start(tls)
    reached = ApiServer(server.host, port, server.tls, server.name, server.headers)
    try:
        async with Wire(port, server=reached) as wire:
            if fits:
                assert (await wire.ask("GET", "/api"))[0] == 200
                return api.sent
            wire.ask("GET", "/api")
            return [{"fault": (await wire.until_fault()).replace(str(port), "PORT")}]
    finally:
        await api.runner.cleanup()


# --- what is read ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("server", "place"),
    [
        ("http://127.0.0.1:8001", ("127.0.0.1", 8001)),
        ("http://localhost", ("localhost", 80)),
        ("https://127.0.0.1", ("127.0.0.1", 443)),
        ("https://[::1]:6443/", ("::1", 6443)),
    ],
)
def test_the_address_is_that_of_the_current_context(
    config: Callable[..., Path], server: str, place: tuple[str, int]
) -> None:
    """Host and port are the cluster's; a port that is not named is the usual one of the scheme."""
    found = upstream(config(server))
    assert (found.host, found.port) == place
    assert (found.tls is None) is server.startswith("http:")


@pytest.mark.asyncio
async def test_a_token_goes_with_each_request(config: Callable[..., Path], tmp_path: Path) -> None:
    """A token is sent as it stands, one in a file comes before it, name and password go as Basic, none as none."""
    (tmp_path / "token").write_text("of-a-file\n")
    got = []
    for user, context in [
        ({"token": "secret"}, None),
        ({"token": "secret", "tokenFile": "token"}, None),
        ({"username": "me", "password": "ä:b"}, None),
        ({"token": "secret"}, "nobody"),
    ]:
        server = upstream(config("http://127.0.0.1:1", user=user), context)
        assert "secret" not in repr(server)
        (headers,) = await asked(server)
        got.append(headers.get("Authorization"))
    basic = "Basic " + base64.b64encode("me:ä:b".encode()).decode()
    assert got == ["Bearer secret", "Bearer of-a-file", basic, None]


@pytest.mark.asyncio
async def test_a_client_certificate_proves_who_we_are(config: Callable[..., Path], tmp_path: Path) -> None:
    """CA, certificate and key are taken from the file or from those it names; the server sees the certificate."""
    CA.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    CLIENT.cert_chain_pems[0].write_to_path(str(tmp_path / "me.pem"))
    CLIENT.private_key_pem.write_to_path(str(tmp_path / "me.key"))
    listening = context_of(CA.issue_cert("127.0.0.1"), clients=CA)
    for cluster, user in [
        ({"certificate-authority-data": encoded(CA.cert_pem.bytes())}, proof(CLIENT)),
        ({"certificate-authority": "ca.pem"}, {"client-certificate": "me.pem", "client-key": "me.key"}),
    ]:
        assert await asked(upstream(config("https://127.0.0.1:1", cluster, user)), listening)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("cluster", "fault"),
    [
        ({"tls-server-name": "api.example.com"}, ""),
        (
            {"tls-server-name": "other.example.com"},
            "Hostname mismatch, certificate is not valid for 'other.example.com'.",
        ),
        ({}, "IP address mismatch, certificate is not valid for '127.0.0.1'."),
        ({"insecure-skip-tls-verify": True}, ""),
        ({"certificate-authority-data": encoded(OTHER.cert_pem.bytes())}, "unable to get local issuer certificate"),
    ],
)
async def test_a_server_is_trusted_as_the_cluster_says(
    config: Callable[..., Path], cluster: dict[str, Any], fault: str
) -> None:
    """The certificate is checked against the CA and the name that the cluster says, unless it says not to."""
    skipped = cluster.get("insecure-skip-tls-verify", False)
    trust = {} if skipped else {"certificate-authority-data": encoded(CA.cert_pem.bytes())}
    server = upstream(config("https://127.0.0.1:1", {**trust, **cluster}))
    found = await asked(server, context_of(CA.issue_cert("api.example.com")), fits=not fault)
    expected = f"store lost: 127.0.0.1:PORT has no certificate to trust ({fault})"
    assert [one.get("fault", "") for one in found] == [expected if fault else ""]


@pytest.mark.asyncio
async def test_an_expired_certificate_of_the_server_is_named(config: Callable[..., Path]) -> None:
    """The fault of the gate says that it has expired."""
    server = upstream(config("https://127.0.0.1:1", {"certificate-authority-data": encoded(CA.cert_pem.bytes())}))
    (found,) = await asked(server, context_of(CA.issue_cert("127.0.0.1", **LONG_AGO)), fits=False)
    assert found["fault"] == "store lost: 127.0.0.1:PORT has no certificate to trust (certificate has expired)"


def test_an_expired_client_certificate_is_named(config: Callable[..., Path]) -> None:
    """It is refused before anything is asked, as a server that refuses it says only that it hangs up."""
    path = config("https://127.0.0.1:1", user=proof(CA.issue_cert("me@example.com", **LONG_AGO)))
    with pytest.raises(Unavailable) as refused:
        upstream(path)
    assert str(refused.value) == (
        "the client certificate of the user 'me' expired on 2020-01-02 00:00 UTC "
        "(get a new one from the cluster, and put it in the kubeconfig)"
    )


# --- what is refused ---------------------------------------------------------------------------------

LOCAL = "https://127.0.0.1:1"
SERVER_LINE, CLUSTER_LINE, USER_LINE = "7:5", "8:5", "19:5"


@pytest.mark.parametrize(
    ("server", "cluster", "user", "place", "said"),
    [
        (LOCAL, {}, {"exec": {"command": "aws"}}, USER_LINE, "exec: a program that makes credentials is not run here"),
        (LOCAL, {}, {"auth-provider": {"name": "gcp"}}, USER_LINE, "auth-provider: a provider is not asked here"),
        (LOCAL, {}, {"as": "root"}, USER_LINE, "as: nobody is acted for here"),
        (LOCAL, {}, {"token": "a b"}, USER_LINE, "token holds no token"),
        (LOCAL, {}, {"token": 5}, USER_LINE, "token must be a text"),
        (LOCAL, {}, {"tokenFile": "none"}, USER_LINE, "tokenFile: none can't be read: No such file or directory"),
        (LOCAL, {}, {"client-key": "none"}, USER_LINE, "client-key: none can't be read: No such file or directory"),
        (LOCAL, {}, {"client-key-data": "aGk="}, USER_LINE, "the user 'me' has no client-certificate"),
        (LOCAL, {}, {"client-certificate-data": "?"}, USER_LINE, "client-certificate-data is no base64"),
        (LOCAL, {"proxy-url": "http://p:1"}, {}, CLUSTER_LINE, "proxy-url: the gate goes through no proxy"),
        (LOCAL, {"certificate-authority-data": "aGk="}, {}, CLUSTER_LINE, "certificate-authority-data holds no cert"),
        (
            LOCAL,
            {"insecure-skip-tls-verify": "yes"},
            {},
            CLUSTER_LINE,
            "insecure-skip-tls-verify must be true or false",
        ),
        ("https://10.0.0.1:6443", {}, {}, SERVER_LINE, "server: 10.0.0.1 is not this machine"),
        ("http://allowed:1", {}, {"token": "t"}, SERVER_LINE, "credentials must not cross a network in plain text"),
        ("https://localhost/k8s/1", {}, {}, SERVER_LINE, "server: the path /k8s/1 can't be put behind the gate"),
        ("https://me:pw@localhost", {}, {}, SERVER_LINE, "server: 'localhost' is no address of an API server"),
        ("ftp://localhost", {}, {}, SERVER_LINE, "server: 'ftp://localhost' is no address of an API server"),
        ('""', {}, {}, SERVER_LINE, "server: nothing is no address of an API server"),
    ],
)
def test_what_is_not_done_is_refused_at_its_place(  # noqa: PLR0913, PLR0917 - a table
    config: Callable[..., Path], server: str, cluster: dict[str, Any], user: dict[str, Any], place: str, said: str
) -> None:
    """The fault names file, line and column of the key, what is wrong and how to fix it; it never holds a secret."""
    path = config(server, cluster, user)
    with pytest.raises(UsageFault) as refused:
        upstream(path, allow=["Allowed"])
    (fault,) = refused.value.faults
    assert (str(fault.place), fault.message[: len(said)]) == (f"{path}:{place}", said)
    assert fault.hint
    assert "pw" not in str(fault)


def test_a_key_of_another_certificate_is_refused(config: Callable[..., Path]) -> None:
    """Certificate and key must belong together."""
    user = proof(CLIENT) | {"client-key-data": encoded(OTHER.issue_cert("x.com").private_key_pem.bytes())}
    with pytest.raises(UsageFault, match="client-key-data does not fit the client certificate"):
        upstream(config(LOCAL, user=user))


@pytest.mark.parametrize(
    ("context", "said"),
    [
        ("absent", ":3:18: there is no context 'absent' in this file (it has: here, nobody, lost)"),
        ("lost", ":15:22: there is no cluster 'nowhere' in this file (it has: local)"),
    ],
)
def test_a_context_that_leads_nowhere_is_refused(config: Callable[..., Path], context: str, said: str) -> None:
    """What is not there is named, and what is there."""
    path = config(LOCAL)
    with pytest.raises(UsageFault) as refused:
        upstream(path, context)
    assert str(refused.value) == f"{path}{said}"


@pytest.mark.parametrize(
    ("text", "said"), [("", "the file is empty"), ("- a\n", "must be a mapping of keys to values")]
)
def test_a_file_that_is_no_kubeconfig_is_refused(text: str, said: str, tmp_path: Path) -> None:
    """The hint says how one is written, and not where our own formats are told."""
    path = tmp_path / "kubeconfig"
    path.write_text(text)
    with pytest.raises(UsageFault) as refused:
        upstream(path)
    hint = "write a kubeconfig, as `kubectl config view --raw --minify` shows it"
    assert str(refused.value) == f"{path}:1:1: {said} ({hint})"


def test_a_file_without_a_current_context_is_refused(tmp_path: Path) -> None:
    """One must be named then."""
    path = tmp_path / "kubeconfig"
    path.write_text("contexts: [{name: a, context: {}}]\n")
    with pytest.raises(UsageFault) as refused:
        upstream(path)
    hint = "set it, or name one by stores.kubernetes.context; the file has: a"
    assert str(refused.value) == f"{path}:1:1: no current-context is set ({hint})"


def test_a_server_that_is_allowed_by_name_is_reached_without_a_proxy(
    config: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy of the environment would be passed by, so it is refused unless the host is excepted from it."""
    path = config("https://api.example.com")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:3128")
    monkeypatch.setenv("NO_PROXY", "")
    with pytest.raises(UsageFault, match=r"7:5: HTTPS_PROXY is set, .* \(add api.example.com to NO_PROXY\)"):
        upstream(path, allow={"api.example.com"})
    monkeypatch.setenv("NO_PROXY", "example.com")
    assert upstream(path, allow={"api.example.com"}).port == 443


# --- what a Gateway is given -------------------------------------------------------------------------


def test_a_written_kubeconfig_is_read_again(tmp_path: Path) -> None:
    """Address, CA and token are those that were written, and the namespace is that of its context."""
    path = tmp_path / "kubeconfig"
    path.write_text(written("https://127.0.0.1:4711", "prod", authority().pem, "secret"))
    found = upstream(path)
    assert (found.host, found.port, found.headers) == ("127.0.0.1", 4711, ((b"authorization", b"Bearer secret"),))
    assert found.tls is not None
    assert next(one["subject"] for one in found.tls.get_ca_certs())[0] == (("organizationName", "gateway-stress"),)
    assert yaml.safe_load(path.read_text())["contexts"][0]["context"]["namespace"] == "prod"
    path.write_text(written("http://127.0.0.1:4711", "prod"))
    assert upstream(path) == ApiServer("127.0.0.1", 4711)


@pytest.mark.asyncio
async def test_a_gateway_that_speaks_tls_trusts_the_gate_alone() -> None:
    """With the CA of this process a client reaches the gate by HTTP/1.1, and without it not."""
    api = Api()
    proxy = KubeProxy(Gate(), 1, ApiServer("127.0.0.1", await api.start()))
    port = await proxy.start(tls=authority().context())
    trusting = ssl.create_default_context(cadata=authority().pem.decode())
    trusting.set_alpn_protocols(["h2", "http/1.1"])
    async with aiohttp.ClientSession() as session:
        async with session.get(f"https://127.0.0.1:{port}/api", ssl=trusting) as answer:
            assert (answer.status, answer.version) == (200, aiohttp.HttpVersion11)
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await session.get(f"https://127.0.0.1:{port}/api", ssl=ssl.create_default_context())
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusting)
    assert writer.get_extra_info("ssl_object").selected_alpn_protocol() == "http/1.1"
    writer.transport.abort()
    await proxy.close()
    await api.runner.cleanup()


def test_the_ca_is_made_once_and_its_key_is_in_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each Gateway of a process trusts the same CA; neither its key nor that of a kubeconfig is written anywhere."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert authority() is authority()
    authority().context()
    upstream_config = tmp_path / "kubeconfig"
    upstream_config.write_text(CONFIG.format(server=LOCAL, cluster="", user=_lines(proof(CLIENT))))
    upstream(upstream_config)
    assert [path.name for path in tmp_path.iterdir()] == ["kubeconfig"]
