"""The Kubernetes API as a wire protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stress.core.registry import PROTOCOLS
from stress.protocols.base import WireProtocol

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from stress.config.target import Target
    from stress.protocols.base import TargetStore
    from stress.protocols.gate import Gate


class KubeProtocol(WireProtocol):
    """HTTP/1.1 to an API server, with its watches."""

    name, title, leads = "kubernetes", "the Kubernetes API", "{kubeconfig} or {kube_url}"

    def of_target(self, target: Target, folder: Path, gate: Gate, allow: Collection[str]) -> TargetStore:
        """Make the API server of a target."""
        from stress.protocols.kube.deployed import DeployedKube

        return DeployedKube(target, folder, gate, allow)


PROTOCOLS.register("kubernetes", KubeProtocol())
