"""Probes of an API server that runs already: reachable, trusted, and with the rights and records that a run needs."""

from __future__ import annotations

import json
import ssl
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from http.client import HTTPConnection, HTTPException
from socket import create_connection
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import yaml

from stress.core.errors import Unavailable
from stress.processes.probe import Ill, Probe
from stress.protocols.kube.kubeconfig import upstream
from stress.protocols.kube.parts import KubernetesStore, resources

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from pathlib import Path
    from socket import socket

    from stress.config.target import Target
    from stress.protocols.kube.proxy import ApiServer

_WITHIN = 5.0
_MOST_BYTES = 2**20
_OK, _UNKNOWN, _FORBIDDEN, _NOT_FOUND = 200, 401, 403, 404
_NOT_YET, _EXPIRED = 9, 10
_OF_ANOTHER = (62, 64)
"""Codes of X509_STORE_CTX_get_error(3): of the time, and of a certificate for another name or address."""


class _ReportedAbove(Exception):
    """What another probe tells, in a line before."""


class Cluster:
    """The API server that the kubeconfig of a target leads to; ``host`` is its name, empty where that is not known.

    Raises:
        UsageFault: when it is not of this machine and not in ``allow``, or the kubeconfig is wrong, as for a run.

    """

    def __init__(self, target: Target, folder: Path, allow: Collection[str]) -> None:
        """Read the kubeconfig; nobody is asked yet. Paths of the target are relative to ``folder``."""
        wanted = target.stores.part("kubernetes")
        assert isinstance(wanted, KubernetesStore)  # noqa: S101 - made for targets with a kubeconfig alone
        assert wanted.kubeconfig is not None  # noqa: S101 - the same
        self._target, self._folder, self._file = target, folder, wanted.kubeconfig
        self._found = _led_to(folder, self._file, wanted.context, allow)

    @property
    def host(self) -> str:
        """The host of the server."""
        return "" if isinstance(self._found, Ill) else self._found.host

    def probes(self) -> Iterator[Probe]:
        """Give the probes, each of one thing; what follows from a fault of one is not a fault of another."""
        whose = self._target.name
        if isinstance(self._found, Ill):
            yield Probe("kubeconfig", whose, partial(_fail, self._found))
            return
        asked = _Asked(self._found, self._file)
        yield Probe("API server", whose, asked.listens)
        if self._found.tls is not None:
            yield Probe("certificate", whose, partial(_unless_reported, asked.trusted))
        yield Probe("version", whose, partial(_unless_reported, asked.version))
        for resource in resources(self._target):
            yield Probe("definition", whose, partial(_unless_reported, partial(self._defined, asked, resource)))
            yield Probe("rights", whose, partial(_unless_reported, partial(asked.lists, resource)))

    def _defined(self, asked: _Asked, resource: str) -> str:
        """Look whether a resource is served, or `setup` installs it."""
        path = asked.path(resource)
        if path is not None:
            return f"{resource} is served at {path}"
        if resource in self._installed():
            return f"{resource} is installed by each run, as `setup` says"
        raise Ill(f"the API server has no {resource}", "install its definition: name its file in `setup`")

    def _installed(self) -> set[str]:
        """Name the resources that `setup` defines."""
        objects: list[Any] = []
        for one in self._target.setup:
            if not isinstance(one, str):
                objects.append(one)
                continue
            try:
                objects += yaml.safe_load_all((self._folder / one).read_text())
            except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
                why = str(error).splitlines()[0]
                raise Ill(f"setup: {one}: {why}", "write manifests as kubectl applies them") from None
        found = [one for one in objects if isinstance(one, dict) and one.get("kind") == "CustomResourceDefinition"]
        return {str((one.get("metadata") or {}).get("name")) for one in found}


class _Asked:
    """Asks an API server as a run would; ``file`` is the kubeconfig that fixes name."""

    def __init__(self, server: ApiServer, file: str) -> None:
        self._server, self._file = server, file
        self._name = server.name or server.host
        self._where = f"{server.host}:{server.port}"

    def listens(self) -> str:
        try:
            create_connection((self._server.host, self._server.port), _WITHIN).close()
        except OSError as error:
            fix = f"start it, or correct `server` in {self._file}"
            raise Ill(f"nobody listens at {self._where}: {error.strerror or error}", fix) from None
        return f"{self._where} takes connections"

    def trusted(self) -> str:
        """Shake hands and look at the certificate that is shown; asked of a server that speaks TLS alone."""
        try:
            with self._connected() as plain, self._secured(plain) as secure:
                assert isinstance(secure, ssl.SSLSocket)  # noqa: S101 - as the docstring says
                shown = secure.getpeercert()
        except ssl.SSLCertVerificationError as error:
            raise self._untrusted(error) from None
        except OSError as error:
            reported = getattr(error, "reason", None) or error.strerror or error
            fix = f"correct `server` in {self._file}: it may be http://"
            raise Ill(f"{self._where} speaks no TLS that fits: {reported}", fix) from None
        if not shown:
            return f"that of {self._where} is not checked, as insecure-skip-tls-verify says"
        until = datetime.fromtimestamp(ssl.cert_time_to_seconds(str(shown["notAfter"])), UTC)
        return f"that of {self._where} is good until {until:%Y-%m-%d %H:%M} UTC"

    def _untrusted(self, error: ssl.SSLCertVerificationError) -> Ill:
        whose, why = f"the certificate of {self._where}", error.verify_message
        if error.verify_code == _EXPIRED:
            return Ill(f"{whose} has expired", "renew it where the server runs, or set the clock of this machine")
        if error.verify_code == _NOT_YET:
            return Ill(f"{whose} is not valid yet", "set the clock of this machine, or of the one that made it")
        if error.verify_code in _OF_ANOTHER:
            fix = f"write the name that it is for as `server` or `tls-server-name` in {self._file}"
            return Ill(f"{whose} is for another name: {why}", fix)
        return Ill(f"{whose} is not to be trusted: {why}", f"correct `certificate-authority` in {self._file}")

    def version(self) -> str:
        status, found = self._get("/version")
        if status == _OK:
            return f"{self._where} is {found.get('gitVersion') or 'of a version that it does not tell'}"
        fix = (
            f"check the user in {self._file}" if status in (_UNKNOWN, _FORBIDDEN) else f"check `server` in {self._file}"
        )
        raise Ill(f"{self._where} answers {status} to us", fix)

    def lists(self, resource: str) -> str:
        """List the objects of a resource, as a run does after each schedule."""
        path = self.path(resource)
        if path is None:
            return f"those on {resource} are known once it is defined"
        status, found = self._get(f"{path}?limit=1")
        if status == _OK:
            return f"we may list {resource}"
        reported = f": {found['message']}" if found.get("message") else ""
        fix = f"let the user in {self._file} get, list, create, patch and delete {resource}"
        raise Ill(f"{resource} can't be listed: {status}{reported}", fix)

    def path(self, resource: str) -> str | None:
        """Find the path of all objects of a resource (``remediationrequests.kubernaut.ai``); None: it is not served."""
        plural, _, group = resource.partition(".")
        prefix = "/api/v1"
        if group:
            preferred = self._found(f"/apis/{quote(group)}").get("preferredVersion") or {}
            if not preferred.get("groupVersion"):
                return None
            prefix = f"/apis/{preferred['groupVersion']}"
        served = self._found(prefix).get("resources") or ()
        return f"{prefix}/{plural}" if any(one.get("name") == plural for one in served) else None

    def _found(self, path: str) -> dict[str, Any]:
        """Read a page of the discovery; empty where there is none.

        Raises:
            Ill: when it is refused.

        """
        status, found = self._get(path)
        if status not in (_OK, _NOT_FOUND):
            raise Ill(f"{self._where} answers {status} to GET {path}", f"let the user in {self._file} read it")
        return found if status == _OK else {}

    def _get(self, path: str) -> tuple[int, dict[str, Any]]:
        """Ask; give the status, and the body where it is a JSON object.

        Raises:
            Ill: when there is no answer.

        """
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in self._server.headers}
        connection = HTTPConnection(self._server.host, self._server.port)
        with closing(connection), self._connected() as plain:
            try:
                connection.sock = self._secured(plain)
            except OSError:
                raise _ReportedAbove from None
            try:
                connection.request("GET", path, headers={"Accept": "application/json", **headers})
                answer = connection.getresponse()
                body = answer.read(_MOST_BYTES)
            except (OSError, HTTPException) as error:
                reported = getattr(error, "reason", None) or str(error) or type(error).__name__
                raise Ill(
                    f"{self._where} does not answer: {reported}", f"see its log, and the user in {self._file}"
                ) from None
        if answer.status == _UNKNOWN and path != "/version":
            raise _ReportedAbove
        try:
            found = json.loads(body)
        except (ValueError, RecursionError):
            found = None
        return answer.status, found if isinstance(found, dict) else {}

    def _connected(self) -> socket:
        try:
            return create_connection((self._server.host, self._server.port), _WITHIN)
        except OSError:
            raise _ReportedAbove from None

    def _secured(self, plain: socket) -> socket:
        tls = self._server.tls
        return plain if tls is None else tls.wrap_socket(plain, server_hostname=self._name)


def _led_to(folder: Path, file: str, context: str | None, allow: Collection[str]) -> ApiServer | Ill:
    """Read a kubeconfig; give what is wrong where that is a matter of the surroundings."""
    try:
        return upstream(folder / file, context, allow)
    except Unavailable as error:  # such as a client certificate that has expired
        return Ill(str(error).removesuffix(f" ({error.remedy})"), error.remedy)


def _fail(ill: Ill) -> str:
    raise ill


def _unless_reported(look: Callable[[], str]) -> str:
    try:
        return look()
    except _ReportedAbove:
        return "nothing is known of it, as is reported above"
