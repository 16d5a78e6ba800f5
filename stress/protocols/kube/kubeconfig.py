"""Kubeconfigs: reading a user's, which leads to the API server behind the gate, and writing a Gateway's.

Source: the v1 types of client-go's ``tools/clientcmd/api``. As there, data wins over files, a token file over a token;
files are relative to the kubeconfig. Credentials stay in memory. What would run a program, go through a proxy or act
for somebody else is refused.
"""

from __future__ import annotations

import base64
import binascii
import ssl
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import yaml
from cryptography import x509

from stress.config.yaml_file import load
from stress.core.errors import Fault, Unavailable, UsageFault
from stress.core.hosts import is_loopback
from stress.core.masking import name_secrets
from stress.protocols.kube.proxy import ApiServer
from stress.protocols.kube.tls import load_chain

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from stress.config.yaml_file import Location
    from stress.protocols.kube.http import Headers

_PORTS = {"http": 80, "https": 443}
_OURS = "give the user a `token`, or a client certificate and its key"
_EXTERNAL = {
    "exec": "a program that makes credentials is not run here",
    "auth-provider": "a provider is not asked here",
}
_FOR_OTHERS = ("as", "as-uid", "as-groups", "as-user-extra")


def upstream(path: Path, context: str | None = None, allow: Collection[str] = frozenset()) -> ApiServer:
    """Read where the API server is and how we prove who we are; ``context`` None is the current one.

    ``allow`` are hosts other than this machine that may be reached.

    Raises:
        UsageFault: when the file can't be read, misses something, or asks for what is not done here.
        Unavailable: when the client certificate has expired.

    """
    return _Kubeconfig(path).server(context, {host.lower() for host in allow})


def written(url: str, namespace: str, ca: bytes | None = None, token: str | None = None) -> str:
    """Write the kubeconfig of a Gateway; ``ca`` is the PEM of the CA that it must trust where the URL is https."""
    cluster = {"server": url}
    if ca is not None:
        cluster["certificate-authority-data"] = base64.b64encode(ca).decode("ascii")
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "gate",
        "clusters": [{"name": "gate", "cluster": cluster}],
        "contexts": [{"name": "gate", "context": {"cluster": "gate", "user": "gate", "namespace": namespace}}],
        "users": [{"name": "gate", "user": {} if token is None else {"token": token}}],
    }
    text: str = yaml.safe_dump(config, sort_keys=False)
    return text


class _Part:
    """One entry of the file: a cluster, a context or a user, and where it stands."""

    def __init__(self, config: _Kubeconfig, at: Location, name: str, data: dict[str, Any]) -> None:
        self._config = config
        self.at = at
        self.name = name
        self.data = data

    def wrong(self, key: str, message: str, hint: str) -> NoReturn:
        """Refuse the file for the sake of one key."""
        document = self._config.document
        raise UsageFault([Fault(document.key_place((*self.at, key)), message, hint)])

    def text(self, key: str) -> str:
        """Give a text; empty where there is none."""
        value = self.data.get(key)
        if value is not None and not isinstance(value, str):
            self.wrong(key, f"{key} must be a text", "put it in quotes")
        return value or ""

    def flag(self, key: str) -> bool:
        """Give yes or no; no where it is not said."""
        value = self.data.get(key)
        if value is not None and not isinstance(value, bool):
            self.wrong(key, f"{key} must be true or false", "write it without quotes")
        return bool(value)

    def file(self, key: str) -> bytes:
        """Read the file that a key names; empty where there is none."""
        name = self.text(key)
        if not name:
            return b""
        try:
            return (self._config.folder / name).read_bytes()
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            self.wrong(key, f"{key}: {name} can't be read: {why}", "the path is relative to the kubeconfig")

    def blob(self, key: str) -> bytes:
        """Give what is written out in the file (``…-data``), else what the file that is named holds."""
        text = self.text(f"{key}-data")
        if not text:
            return self.file(key)
        try:
            return base64.b64decode("".join(text.split()), validate=True)
        except (binascii.Error, ValueError):
            self.wrong(f"{key}-data", f"{key}-data is no base64", "encode the PEM text: base64 -w0 FILE")

    def named(self, key: str) -> str:
        """Give the key that the blob comes from."""
        return f"{key}-data" if self.text(f"{key}-data") else key


class _Kubeconfig:
    """A file that was read."""

    def __init__(self, path: Path) -> None:
        self.folder = path.parent
        self.document = load(path, "write a kubeconfig, as `kubectl config view --raw --minify` shows it")

    def server(self, context: str | None, allow: Collection[str]) -> ApiServer:
        chosen = self._context(context)
        cluster = self._entry("clusters", "cluster", chosen.text("cluster"), chosen)
        user = self._entry("users", "user", chosen.text("user"), chosen) if chosen.text("user") else None
        scheme, host, port = _address(cluster, allow)
        headers = _credentials(user) if user is not None else ()
        if scheme == "http":
            if headers and not is_loopback(host):
                cluster.wrong("server", "credentials must not cross a network in plain text", "write https://")
            return ApiServer(host, port, headers=headers)
        tls = _trust(cluster)
        if user is not None:
            _prove(user, tls)
        return ApiServer(host, port, tls, cluster.text("tls-server-name"), headers)

    def _context(self, wanted: str | None) -> _Part:
        name = wanted or self.document.data.get("current-context")
        if not isinstance(name, str) or not name:
            known = ", ".join(self._names("contexts")) or "none"
            hint = f"set it, or name one by stores.kubernetes.context; the file has: {known}"
            raise UsageFault([Fault(self.document.place(("current-context",)), "no current-context is set", hint)])
        return self._entry("contexts", "context", name, None)

    def _names(self, several: str) -> list[str]:
        entries = self.document.data.get(several)
        found = entries if isinstance(entries, list) else []
        return [str(entry.get("name")) if isinstance(entry, dict) else "" for entry in found]

    def _entry(self, several: str, one: str, name: str, asker: _Part | None) -> _Part:
        """Find an entry by its name; ``asker`` is the context that names it."""
        names = self._names(several)
        if name in names:
            at: Location = (several, names.index(name), one)
            data = self.document.data[several][names.index(name)].get(one) or {}
            if not isinstance(data, dict):
                hint = "`kubectl config view` shows what it may hold"
                raise UsageFault([Fault(self.document.place(at), f"{one} must be a mapping", hint)])
            return _Part(self, at, name, data)
        place = self.document.place(("current-context",)) if asker is None else self.document.place((*asker.at, one))
        known = ", ".join(names) or "none"
        raise UsageFault([Fault(place, f"there is no {one} {name!r} in this file", f"it has: {known}")])


def _address(cluster: _Part, allow: Collection[str]) -> tuple[str, str, int]:
    """Give scheme, host and port of a server that may be reached.

    Raises:
        UsageFault: when it is none, not of this machine, or only to be reached through a proxy.

    """
    url = cluster.text("server")
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").lower(), parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:
        host, port = "", 0
    if not host or not port or parts.username is not None or parts.query or parts.fragment:
        cluster.wrong("server", f"server: {_shown(url)} is no address of an API server", "write https://HOST:PORT")
    if parts.path.strip("/"):
        message = f"server: the path {parts.path} can't be put behind the gate"
        cluster.wrong("server", message, "name the server itself, or open a `kubectl proxy` and name that")
    if not is_loopback(host) and host not in allow:
        hint = f"a stress test must not hit it by mistake: allow it by name with --allow-host {host}"
        cluster.wrong("server", f"server: {host} is not this machine", hint)
    if cluster.text("proxy-url"):
        cluster.wrong(
            "proxy-url", "proxy-url: the gate goes through no proxy", "leave it out, and reach the server directly"
        )
    proxies = getproxies()
    if not is_loopback(host) and parts.scheme in proxies and not proxy_bypass(host):
        name = f"{parts.scheme.upper()}_PROXY"
        cluster.wrong("server", f"{name} is set, and the gate goes through no proxy", f"add {host} to NO_PROXY")
    return parts.scheme, host, port


def _shown(url: str) -> str:
    """Give an address without a password in it."""
    return repr(url.rpartition("@")[2]) if url else "nothing"


def _trust(cluster: _Part) -> ssl.SSLContext:
    """Give a context that trusts what the cluster says, as client-go would: roots may be intermediates."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.set_alpn_protocols(["http/1.1"])
    ca = cluster.blob("certificate-authority")
    if cluster.flag("insecure-skip-tls-verify"):
        if ca:
            message = "insecure-skip-tls-verify stands beside a CA"
            cluster.wrong("insecure-skip-tls-verify", message, "leave one of them out")
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    elif ca:
        try:
            context.load_verify_locations(cadata=ca.decode("ascii"))
        except (ValueError, ssl.SSLError):
            key = cluster.named("certificate-authority")
            cluster.wrong(key, f"{key} holds no certificate", "it must be PEM: -----BEGIN CERTIFICATE-----")
    else:
        context.load_default_certs()
    return context


def _prove(user: _Part, context: ssl.SSLContext) -> None:
    """Let a context show the client certificate of a user who has one.

    Raises:
        UsageFault: when certificate and key can't be read or do not fit.
        Unavailable: when it has expired.

    """
    chain, private = user.blob("client-certificate"), user.blob("client-key")
    if not chain and not private:
        return
    for key, there in (("client-certificate", chain), ("client-key", private)):
        if not there:
            user.wrong(
                key, f"the user {user.name!r} has no {key}", "a client certificate needs its key, and the key it"
            )
    place = user.named("client-certificate")
    try:
        until = x509.load_pem_x509_certificate(chain).not_valid_after_utc
    except ValueError:
        user.wrong(place, f"{place} holds no certificate", "it must be PEM: -----BEGIN CERTIFICATE-----")
    if until < datetime.now(UTC):
        message = f"the client certificate of the user {user.name!r} expired on {until:%Y-%m-%d %H:%M} UTC"
        raise Unavailable(message, "get a new one from the cluster, and put it in the kubeconfig")
    try:
        load_chain(context, private.rstrip() + b"\n" + chain)
    except (ssl.SSLError, ValueError):
        key = user.named("client-key")
        hint = "it must be PEM, without a password, and belong to the client certificate"
        user.wrong(key, f"{key} does not fit the client certificate", hint)


def _credentials(user: _Part) -> Headers:
    """Give the headers that prove who a user is.

    Raises:
        UsageFault: when they would come from elsewhere, or can't be sent.

    """
    for key, message in _EXTERNAL.items():
        if user.data.get(key) is not None:
            user.wrong(key, f"{key}: {message}", _OURS)
    for key in _FOR_OTHERS:
        if user.data.get(key):
            user.wrong(key, f"{key}: nobody is acted for here", "give the user that other user's own `token`")
    name_secrets([user.text(key) for key in ("token", "password", "client-key-data")])
    token = user.file("tokenFile").decode("latin-1").strip() or user.text("token").strip()
    if token:
        if not token.isascii() or not token.isprintable() or " " in token:
            key = "tokenFile" if user.text("tokenFile") else "token"
            user.wrong(key, f"{key} holds no token", "a token is one word in ASCII")
        name_secrets([token])
        return ((b"authorization", b"Bearer " + token.encode("ascii")),)
    name = user.text("username")
    if not name:
        return ()
    pair = f"{name}:{user.text('password')}".encode()
    name_secrets([base64.b64encode(pair).decode("ascii")])
    return ((b"authorization", b"Basic " + base64.b64encode(pair)),)
