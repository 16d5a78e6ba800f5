"""What the Kubernetes API contributes to the format of a target file: server, records, what the environment does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, Field, StringConstraints, WithJsonSchema, model_validator

from stress.config.formats import Compared, Dotted, Part, wrong
from stress.config.placeholders import placeholders, unknown
from stress.config.stores import Parts, StatePart, StorePart

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stress.config.target import Target

KUBERNETES = "kubernetes"
"""The key of a part that is about the Kubernetes API."""
FINISHED = ["Completed", "Failed", "TimedOut", "Skipped", "Cancelled"]
"""The phases of a RemediationRequest that is not active any more (contract section 1.5)."""
PAST = "1970-01-01T00:00:00.000000Z"
"""The renewTime of a lease that has run out."""

Plural = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9-]+(\.[a-z0-9-]+)*$"), Field(examples=["leases.coordination.k8s.io"])
]
"""A resource by its plural and its group: ``remediationrequests.kubernaut.ai``, ``pods``."""
Where = dict[Dotted, Annotated[Compared, placeholders("fingerprint", "fresh", "namespace")]]
"""Which objects: what stands at a dotted path of each."""


def _settable(value: object) -> object:
    if isinstance(value, dict | list):
        raise wrong("must be a text, a number, true, false or null", "write the path of one value as the key")
    for name, hint in unknown(value, _IN_SETS) if isinstance(value, str) else ():
        raise wrong(f"unknown placeholder {{{name}}}", hint)
    return value


_IN_SETS = ("fingerprint", "fresh", "namespace", "occurrence")
Settable = Annotated[Any, AfterValidator(_settable), WithJsonSchema({"type": ["string", "number", "boolean", "null"]})]
"""A value that is written as it stands, with its type: a text, which may hold placeholders, a number, true, false; null
removes the field."""
Sets = dict[Dotted, Settable]
"""What is written: the new value of each dotted path."""


class KubernetesStore(StorePart):
    """The Kubernetes API server of a Gateway; `{}` is a small one that is started for it."""

    protocol: ClassVar[str] = KUBERNETES

    kubeconfig: str | None = Field(
        default=None, min_length=1, description="a kubeconfig of one that runs already, relative to this file"
    )
    context: str | None = Field(default=None, min_length=1, description="the context of it; default: the current one")
    assets: bool = Field(default=False, description="start etcd and kube-apiserver of KUBEBUILDER_ASSETS")
    tls: bool = Field(default=False, description="whether the Gateway must speak TLS to the gate")
    listen: int | None = Field(
        default=None, ge=1, le=65535, description="the port where the gate listens for replica 1 (2: the next port)"
    )

    @model_validator(mode="after")
    def _one_server(self) -> Self:
        if self.assets and self.kubeconfig is not None:
            raise wrong("`assets` and `kubeconfig` are two servers", "leave one of them out", ("assets",))
        if self.context is not None and self.kubeconfig is None:
            raise wrong("`context` belongs to a kubeconfig", "name it by `kubeconfig`", ("context",))
        return self

    @property
    def files(self) -> dict[str, str]:
        """The kubeconfig, where one is named."""
        return {} if self.kubeconfig is None else {"kubeconfig": self.kubeconfig}

    @property
    def binaries(self) -> tuple[str, ...]:
        """The control plane, where `assets` are started."""
        return ("etcd", "kube-apiserver") if self.assets else ()


class Condition(Part):
    """A condition on one field, which may be absent."""

    not_in: list[Compared] = Field(
        min_length=1, description="values that the field must not have; absent is none of them"
    )


class KubeRecords(StatePart):
    """How the active records are read: objects of one resource."""

    protocol: ClassVar[str] = KUBERNETES

    kubernetes: Plural = Field(description="plural.group of the resource that holds the records")
    where: Where = Field(default={}, description="which of them: what stands at each dotted path")
    active: dict[Dotted, Condition] = Field(
        default={"status.overallPhase": Condition(not_in=FINISHED)}, description="which of those are active"
    )

    @property
    def how(self) -> str:
        """The resource, or the field."""
        return self.kubernetes


class KubeHits(StatePart):
    """How the hits of a record are read: a field of it."""

    protocol: ClassVar[str] = KUBERNETES

    kubernetes: Dotted = Field(description="a dotted path in the record")

    @property
    def how(self) -> str:
        """The resource, or the field."""
        return self.kubernetes

    @property
    def of_records(self) -> str:
        """It is a field of them."""
        return "a field of records that are in no Kubernetes"


class KubeCleanup(StatePart):
    """Which objects are deleted."""

    protocol: ClassVar[str] = KUBERNETES

    kubernetes: Plural = Field(description="plural.group of the resource that is cleaned up")
    where: Where | None = Field(default=None, description="which objects of it; default: the records of observe")


class KubeExpiry(StatePart):
    """Which objects run out: their time is rewritten into the past."""

    protocol: ClassVar[str] = KUBERNETES

    kubernetes: Plural = Field(description="plural.group of what runs out")
    where: Where = Field(description="which objects of it")
    sets: Sets = Field(default={"spec.renewTime": PAST}, description="what is written")


class KubeWriter(StatePart):
    """What another writer changes in the records: by default nothing but their resourceVersion."""

    protocol: ClassVar[str] = KUBERNETES

    kubernetes: Plural = Field(description="plural.group of what is written")
    where: Where | None = Field(default=None, description="which objects of it; default: the records of observe")
    sets: Sets = Field(
        default={"metadata.annotations.gateway-stress/writer": "{occurrence}"},
        description="what is written, unless the scenario says; a path below `status` goes to the subresource",
    )


OfResource = KubeRecords | KubeCleanup | KubeExpiry | KubeWriter
"""A part that names a resource of the Kubernetes API."""


def resources(target: Target) -> tuple[str, ...]:
    """Name the resources whose objects are read or changed past the gate, by plural and group."""
    acting = (getattr(target.environment, name) for name in ("cleanup", "expiry", "writer"))
    parts = (target.observe.records if target.observe is not None else None, *acting)
    return tuple(dict.fromkeys(part.kubernetes for part in parts if isinstance(part, OfResource)))


def at_path(found: object, path: str) -> object:
    """Give what stands at a dotted path of an object; None where nothing does."""
    for key in path.split("."):
        found = found.get(key) if isinstance(found, dict) else None
    return found


def nested(sets: Mapping[str, object]) -> dict[str, Any]:
    """Make the object in which each dotted path has its value."""
    whole: dict[str, Any] = {}
    for path, value in sets.items():
        *above, last = path.split(".")
        inner = whole
        for key in above:
            inner = inner.setdefault(key, {})
        inner[last] = value
    return whole


def _manifest(value: dict[str, Any]) -> dict[str, Any]:
    named = isinstance(value.get("metadata"), dict) and isinstance(value["metadata"].get("name"), str)
    if not (isinstance(value.get("apiVersion"), str) and isinstance(value.get("kind"), str) and named):
        raise wrong("no object of the Kubernetes API", "it needs apiVersion, kind and metadata.name")
    return value


Manifest = Annotated[dict[str, Any], AfterValidator(_manifest)]
"""An object of the Kubernetes API."""

PARTS = Parts(
    server="an API server",
    flags={"--kubeconfig": "kubeconfig", "--namespace": "namespace", "--replica": "replica"},
    store=KubernetesStore,
    about="a Kubernetes API server; {} is a small one that is started for it",
    background=Annotated[
        list[Annotated[str, StringConstraints(min_length=1)]],
        Field(description="rules `VERBS RESOURCES [PARAMETER=VALUE]`; `!` before it: a step; the last decides"),
    ],
    started=("kubeconfig", "kube_url", "namespace"),
    sent=("token",),
    put=Manifest,
    setup=Manifest,
    records=KubeRecords,
    hits=KubeHits,
    cleanup=KubeCleanup,
    expiry=KubeExpiry,
    writer=KubeWriter,
    sets=Sets,
)
