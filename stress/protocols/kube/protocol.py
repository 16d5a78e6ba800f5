"""The Kubernetes API as a wire protocol."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from stress.core.registry import PROTOCOLS
from stress.protocols.base import Attached, WireProtocol
from stress.protocols.kube.parts import PARTS

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from contextlib import AsyncExitStack

    from stress.config.target import Target
    from stress.protocols.base import TargetStore
    from stress.protocols.gate import Gate
    from stress.protocols.looked import Looked, Observing
    from stress.protocols.wrapped import GatedStore, Wanted


class KubeProtocol(WireProtocol):
    """HTTP/1.1 to an API server, with its watches."""

    name, title, leads = "kubernetes", "the Kubernetes API", "{kubeconfig} or {kube_url}"
    parts = PARTS
    variables = {"KUBECONFIG": "{kubeconfig}"}
    unread = "say stores.kubernetes.tls: true"

    def of_target(self, target: Target, folder: Path, gate: Gate, allow: Collection[str]) -> TargetStore:
        """Make the API server of a target."""
        from stress.protocols.kube.deployed import DeployedKube

        return DeployedKube(target, folder, gate, allow)

    def attached(self, target: Target, folder: Path, allow: Collection[str]) -> Attached:
        """Give the probes of the server that a kubeconfig leads to."""
        if not target.stores.part(self.name).files:
            return Attached()
        from stress.protocols.kube.probed import Cluster

        cluster = Cluster(target, folder, allow)
        return Attached(list(cluster.probes()), [cluster.host])

    async def isolated(self, keys: Mapping[str, Any], folder: Path, stack: AsyncExitStack) -> dict[str, str]:
        """Start an API server with what the target wants to be there."""
        from stress.config.target import Target
        from stress.protocols.kube.kubeconfig import written
        from stress.protocols.kube.store import KubeStore

        store = KubeStore(Target.model_validate(keys), folder)
        stack.push_async_callback(store.close)
        await store.open()
        url = f"http://{store.server.host}:{store.server.port}"
        file = Path(stack.enter_context(TemporaryDirectory(prefix="gateway-stress-"))) / "kubeconfig.yaml"
        file.write_text(written(url, store.namespace, None))
        return {"kubeconfig": str(file), "kube_url": url, "namespace": store.namespace, "token": await store.token()}

    def observing(self, looked: Looked) -> Observing | None:
        """Find records, and their hits."""
        from stress.protocols.kube.observing import observing

        return observing(looked)

    def wrapped(self, wanted: Wanted) -> GatedStore:
        """Make the store of a command."""
        from stress.protocols.kube.wrapped import KubernetesGated

        return KubernetesGated(wanted)

    def rule(self, command: str, objects: str) -> str:
        """Give verb and resource."""
        return "" if command.isupper() else f'"{command} {objects.partition("/")[0]}"'

    def named_by(self, environment: Mapping[str, str]) -> bool:
        """Tell whether an environment leads there."""
        return bool(environment.get("KUBECONFIG"))


PROTOCOLS.register("kubernetes", KubeProtocol())
