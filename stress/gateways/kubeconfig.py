"""Reading of a kubeconfig what a bundled Gateway needs: where the API server is, whom to trust, and a token."""

from __future__ import annotations

import base64
import binascii
import ssl
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from stress.core.errors import Fault, Place, UsageFault


class Cluster(NamedTuple):
    """An API server. ``tls`` is how to trust it, None where it speaks plain HTTP; ``token`` may be empty."""

    url: str
    tls: ssl.SSLContext | None
    token: str

    def __repr__(self) -> str:
        """Name the server alone: a token is nobody's business."""
        return f"Cluster({self.url!r})"


def read_kubeconfig(file: str) -> Cluster:
    """Read the current context of a file.

    Raises:
        UsageFault: when it can't be read, or says not what is needed.

    """
    try:
        whole = yaml.safe_load(Path(file).read_text(encoding="utf-8"))
        context = _entry(whole, "contexts", "context", whole["current-context"])
        cluster = _entry(whole, "clusters", "cluster", context["cluster"])
        user = _entry(whole, "users", "user", context["user"]) if context.get("user") else {}
        url = str(cluster["server"]).rstrip("/")
        tls = _trust(cluster, Path(file).parent) if url.startswith("https:") else None
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError) as error:
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        hint = "write a kubeconfig whose current context names a cluster"
        raise UsageFault([Fault(Place(file, 1, 1), f"no kubeconfig: {why}", hint)]) from None
    return Cluster(url, tls, str(user.get("token") or ""))


def _entry(whole: dict[str, Any], several: str, one: str, name: str) -> dict[str, Any]:
    for entry in whole.get(several) or ():
        if entry["name"] == name:
            found: dict[str, Any] = entry[one] or {}
            return found
    raise ValueError(f"{several} has no {name}")


def _trust(cluster: dict[str, Any], folder: Path) -> ssl.SSLContext:
    inline, file = cluster.get("certificate-authority-data"), cluster.get("certificate-authority")
    try:
        if inline:
            return ssl.create_default_context(cadata=base64.b64decode(inline, validate=True).decode("ascii"))
    except binascii.Error as error:
        raise ValueError(f"certificate-authority-data: {error}") from None
    return ssl.create_default_context(cafile=str(folder / file) if file else None)
