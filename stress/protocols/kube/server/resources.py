"""Which resources there are: those built in, as plain storage, and those that a CustomResourceDefinition adds."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stress.protocols.kube.server.status import Json

VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
_CUSTOM_VERBS = ("delete", "deletecollection", "get", "list", "patch", "create", "update", "watch")

RBAC = "rbac.authorization.k8s.io"
"""The group whose names may hold almost anything, such as colons."""


@dataclass(frozen=True, eq=False)
class Resource:
    """One resource: its names, its scope, and how it behaves where resources differ."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True
    short: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    verbs: tuple[str, ...] = VERBS
    status: bool = False
    """Whether status is a subresource: the object's own verbs then leave it alone."""
    custom: bool = False
    schema: Json | None = None
    """What a custom resource must look like (OpenAPI v3)."""
    fields: tuple[str, ...] = ()
    """Paths that a field selector may name, besides the object's name and namespace."""
    generation: bool = False
    """Whether `metadata.generation` counts the changes of what is wanted."""
    unconditional: bool = True
    """Whether an update may leave out the resource version."""
    create_on_update: bool = False
    """Whether an update creates what is not there."""
    singular: str = ""
    list_kind: str = ""

    @cached_property
    def qualified(self) -> str:
        """Its name with its group, as messages have it."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @cached_property
    def api_version(self) -> str:
        """Its group and version, as objects have it."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @cached_property
    def key(self) -> str:
        """Where the server would keep its objects."""
        return f"/registry/{self.group}/{self.plural}" if self.custom else f"/registry/{self.plural}"

    @cached_property
    def collection_kind(self) -> str:
        """The kind of a list of it."""
        return self.list_kind or f"{self.kind}List"

    @cached_property
    def one(self) -> str:
        """Its name in the singular."""
        return self.singular or self.kind.lower()

    @cached_property
    def storage_hash(self) -> str:
        """What discovery tells about the version in which it is stored."""
        words = f"{self.group}/{self.version}/{self.kind}"
        return base64.b64encode(hashlib.sha256(words.encode()).digest()[:8]).decode()

    @cached_property
    def review(self) -> bool:
        """Whether it is asked and answered, and never stored."""
        return self.verbs == ("create",)


_REVIEW = ("create",)
_EVENT_FIELDS = ("type", "reason", "reportingComponent", "source")
_INVOLVED = tuple(
    f"involvedObject.{field}" for field in ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion")
)
_POD_FIELDS = (
    *("spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName"),
    *("status.phase", "status.podIP", "status.nominatedNodeName"),
)


def _core() -> Iterator[Resource]:
    def core(plural: str, kind: str, *short: str, **more: object) -> Resource:
        return Resource("", "v1", plural, kind, short=short, **more)  # type: ignore[arg-type] # a table of names

    yield core("configmaps", "ConfigMap", "cm")
    yield core("endpoints", "Endpoints", "ep", create_on_update=True)
    yield core("events", "Event", "ev", fields=(*_INVOLVED, *_EVENT_FIELDS), create_on_update=True)
    yield core("limitranges", "LimitRange", "limits", create_on_update=True)
    verbs = tuple(verb for verb in VERBS if verb != "deletecollection")
    yield core("namespaces", "Namespace", "ns", namespaced=False, status=True, verbs=verbs, fields=("status.phase",))
    yield core("nodes", "Node", "no", namespaced=False, status=True, fields=("spec.unschedulable",))
    yield core("persistentvolumeclaims", "PersistentVolumeClaim", "pvc", status=True)
    yield core("persistentvolumes", "PersistentVolume", "pv", namespaced=False, status=True)
    yield core("pods", "Pod", "po", categories=("all",), status=True, fields=_POD_FIELDS)
    yield core("podtemplates", "PodTemplate")
    yield core(
        "replicationcontrollers", "ReplicationController", "rc", categories=("all",), status=True, generation=True
    )
    yield core("resourcequotas", "ResourceQuota", "quota", status=True)
    yield core("secrets", "Secret", fields=("type",))
    yield core("serviceaccounts", "ServiceAccount", "sa")
    yield core("services", "Service", "svc", categories=("all",), status=True, create_on_update=True)


def _groups() -> Iterator[Resource]:
    all_of = ("all",)
    extends = ("api-extensions",)
    apps = "apps"
    yield Resource(apps, "v1", "controllerrevisions", "ControllerRevision")
    for plural, kind, short in (
        ("daemonsets", "DaemonSet", "ds"),
        ("deployments", "Deployment", "deploy"),
        ("replicasets", "ReplicaSet", "rs"),
        ("statefulsets", "StatefulSet", "sts"),
    ):
        yield Resource(apps, "v1", plural, kind, short=(short,), categories=all_of, status=True, generation=True)
    yield Resource("events.k8s.io", "v1", "events", "Event", short=("ev",), create_on_update=True)
    review = "authentication.k8s.io"
    yield Resource(review, "v1", "tokenreviews", "TokenReview", namespaced=False, verbs=_REVIEW)
    review = "authorization.k8s.io"
    yield Resource(review, "v1", "localsubjectaccessreviews", "LocalSubjectAccessReview", verbs=_REVIEW)
    yield Resource(review, "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview", namespaced=False, verbs=_REVIEW)
    yield Resource(review, "v1", "selfsubjectrulesreviews", "SelfSubjectRulesReview", namespaced=False, verbs=_REVIEW)
    yield Resource(review, "v1", "subjectaccessreviews", "SubjectAccessReview", namespaced=False, verbs=_REVIEW)
    yield Resource("batch", "v1", "cronjobs", "CronJob", short=("cj",), categories=all_of, status=True, generation=True)
    yield Resource("batch", "v1", "jobs", "Job", categories=all_of, status=True, generation=True)
    net = "networking.k8s.io"
    yield Resource(net, "v1", "ingresses", "Ingress", short=("ing",), status=True, generation=True, singular="ingress")
    yield Resource(net, "v1", "networkpolicies", "NetworkPolicy", short=("netpol",), generation=True)
    yield Resource("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget", short=("pdb",), status=True)
    for kind in ("ClusterRoleBinding", "ClusterRole", "RoleBinding", "Role"):
        yield Resource(
            RBAC, "v1", f"{kind.lower()}s", kind, namespaced=not kind.startswith("Cluster"), create_on_update=True
        )
    group, plural, kind = "apiextensions.k8s.io", "customresourcedefinitions", "CustomResourceDefinition"
    yield Resource(
        group,
        "v1",
        plural,
        kind,
        namespaced=False,
        short=("crd", "crds"),
        categories=extends,
        status=True,
        generation=True,
    )
    yield Resource("coordination.k8s.io", "v1", "leases", "Lease", unconditional=False, create_on_update=True)
    yield Resource("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice", generation=True, unconditional=False)


BUILT_IN = (*_core(), *_groups())
DEFINITIONS = next(resource for resource in BUILT_IN if resource.plural == "customresourcedefinitions")
NAMESPACES = next(resource for resource in BUILT_IN if resource.plural == "namespaces")


def of_definition(definition: Json) -> list[Resource]:
    """Give the resources of a CustomResourceDefinition: one for each version that is served.

    Raises:
        KeyError: when a part that every definition has is missing.

    """
    spec = definition["spec"]
    names = spec["names"]
    found = []
    for version in spec["versions"]:
        if not version.get("served", True):
            continue
        selectable = version.get("selectableFields", ())
        found.append(
            Resource(
                spec["group"],
                version["name"],
                names["plural"],
                names["kind"],
                namespaced=spec.get("scope", "Namespaced") == "Namespaced",
                short=tuple(names.get("shortNames", ())),
                categories=tuple(names.get("categories", ())),
                verbs=_CUSTOM_VERBS,
                status="status" in version.get("subresources", {}),
                custom=True,
                schema=version.get("schema", {}).get("openAPIV3Schema"),
                fields=tuple(field["jsonPath"].removeprefix(".") for field in selectable),
                generation=True,
                unconditional=False,
                singular=names.get("singular", ""),
                list_kind=names.get("listKind", ""),
            )
        )
    return found
