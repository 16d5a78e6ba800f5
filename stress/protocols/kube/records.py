"""Which objects of the Kubernetes API are the records of a signal, and what they hold. No I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stress.config.placeholders import filled
from stress.core.trace import Snapshot
from stress.core.values import number, word
from stress.protocols.kube.parts import KubeHits, KubeRecords, at_path, nested

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from stress.config.target import Target

Json = dict[str, Any]


def chosen(objects: Sequence[Json], where: Mapping[str, str], values: Mapping[str, str]) -> list[Json]:
    """Give the objects in which each dotted path has its value; ``values`` are those of placeholders."""
    wanted = [(path, filled(text, values)) for path, text in where.items()]
    return [one for one in objects if all(word(at_path(one, path)) == text for path, text in wanted)]


def active(one: Json, records: KubeRecords) -> bool:
    """Return whether a record is active: no field has a value that it must not have."""
    return all(word(at_path(one, path)) not in condition.not_in for path, condition in records.active.items())


def name_of(one: Json) -> str:
    """Give the name of an object."""
    return str(one["metadata"]["name"])


def snapshot_of(
    target: Target, objects: Sequence[Json], values: Mapping[str, str], naming: Callable[[str], str], ended_by: str = ""
) -> Snapshot:
    """Read the active records out of the ``objects`` of their resource, and the hits of each if they are a field."""
    observe = target.observe
    if observe is None or not isinstance(observe.records, KubeRecords):
        return Snapshot(None, None, ended_by)
    found = [one for one in chosen(objects, observe.records.where, values) if active(one, observe.records)]
    hits: dict[str, int | None] | None = None
    if isinstance(observe.hits, KubeHits):
        counts = [at_path(one, observe.hits.kubernetes) for one in found]
        hits = {naming(name_of(one)): number(count) for one, count in zip(found, counts, strict=True)}
    return Snapshot(tuple(sorted(naming(name_of(one)) for one in found)), hits, ended_by)


def change(sets: Mapping[str, object], values: Mapping[str, str]) -> Json:
    """Give the merge patch that writes these values."""
    return nested({path: filled(one, values) if isinstance(one, str) else one for path, one in sets.items()})
