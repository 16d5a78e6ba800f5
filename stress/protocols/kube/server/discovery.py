"""What the server tells about itself: its version, groups and resources, in both forms that clients ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stress.protocols.kube.server.resources import Resource
    from stress.protocols.kube.server.status import Json

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
"""The type of an answer that holds everything at once."""
_STATUS_VERBS = ["get", "patch", "update"]


def version() -> Json:
    """Give the version that the server has, for what clients make of it."""
    return {
        "major": "1",
        "minor": "34",
        "emulationMajor": "1",
        "emulationMinor": "34",
        "minCompatibilityMajor": "1",
        "minCompatibilityMinor": "33",
        "gitVersion": "v1.34.0-gateway-stress",
        "gitCommit": "",
        "gitTreeState": "",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "none",
        "compiler": "none",
        "platform": "linux/amd64",
    }


def core_versions(address: str) -> Json:
    """Give the versions of the group without a name; ``address`` is HOST:PORT."""
    addresses = [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}]
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": addresses}


def groups(resources: Iterable[Resource]) -> list[Json]:
    """Give each named group with its versions."""
    found: dict[str, list[Json]] = {}
    for resource in resources:
        if resource.group:
            entry = {"groupVersion": resource.api_version, "version": resource.version}
            versions = found.setdefault(resource.group, [])
            if entry not in versions:
                versions.append(entry)
    return [{"name": group, "versions": versions, "preferredVersion": versions[0]} for group, versions in found.items()]


def group_list(resources: Iterable[Resource]) -> Json:
    """Give the list of named groups."""
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups(resources)}


def group(found: Json) -> Json:
    """Give one group alone."""
    return {"kind": "APIGroup", "apiVersion": "v1", **found}


def resource_list(group_version: str, resources: Iterable[Resource]) -> Json:
    """Give the resources of one version of a group, which are those given."""
    entries: list[Json] = []
    for resource in resources:
        entry: Json = {
            "name": resource.plural,
            "singularName": resource.one,
            "namespaced": resource.namespaced,
            "kind": resource.kind,
            "verbs": [*resource.verbs],
        }
        entry |= _extras(resource)
        if not resource.review:
            entry["storageVersionHash"] = resource.storage_hash
        entries.append(entry)
        if resource.status:
            name = f"{resource.plural}/status"
            entries.append({**entry_of_status(resource), "name": name, "verbs": _STATUS_VERBS})
    found: Json = {"kind": "APIResourceList", "groupVersion": group_version, "resources": entries}
    return found if "/" not in group_version else {**found, "apiVersion": "v1"}


def entry_of_status(resource: Resource) -> Json:
    """Give what a list tells of the status of a resource, besides name and verbs."""
    return {"singularName": "", "namespaced": resource.namespaced, "kind": resource.kind}


def aggregated(resources: Iterable[Resource], *, core: bool) -> Json:
    """Give groups, versions and resources in one answer: of the group without a name, or of all others."""
    found: dict[str, dict[str, list[Json]]] = {}
    for resource in resources:
        if (not resource.group) is core:
            found.setdefault(resource.group, {}).setdefault(resource.version, []).append(_aggregated_entry(resource))
    items = [
        {
            "metadata": {"name": group_name} if group_name else {},
            "versions": [
                {"version": name, "resources": entries, "freshness": "Current"} for name, entries in versions.items()
            ],
        }
        for group_name, versions in found.items()
    ]
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": items,
    }


def _aggregated_entry(resource: Resource) -> Json:
    # Built-in kinds tell no group and version here where they are the ones above; custom ones do.
    kind = {"group": "", "version": "", "kind": resource.kind}
    if resource.custom:
        kind = {"group": resource.group, "version": resource.version, "kind": resource.kind}
    entry: Json = {
        "resource": resource.plural,
        "responseKind": kind,
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "singularResource": resource.one,
        "verbs": [*resource.verbs],
    }
    entry |= _extras(resource)
    if resource.status:
        entry["subresources"] = [{"subresource": "status", "responseKind": kind, "verbs": _STATUS_VERBS}]
    return entry


def _extras(resource: Resource) -> Json:
    found: Json = {}
    if resource.short:
        found["shortNames"] = [*resource.short]
    if resource.categories:
        found["categories"] = [*resource.categories]
    return found
