"""Records as the Gateway keeps them in Kubernetes: which are active, what a new one holds, how a hit is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stress.gateways.kubeapi import CONFLICT, EXISTS, RECORDS, ApiError
from stress.gateways.store import Outcome, stamp

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from stress.gateways.kubeapi import Json, KubeApi
    from stress.gateways.store import Incoming

    Get = Callable[[str, str], Awaitable[Json]]

FINGERPRINT = "spec.signalFingerprint"
FINISHED = ("Completed", "Failed", "TimedOut", "Skipped", "Cancelled")
"""The phases of a record that is not active any more (contract section 1.5)."""
_PAUSES = (0.01, 0.05, 0.25)
"""How long a writer waits after each conflict but the last, in seconds (contract section 2 (c))."""


def name_of(record: Json) -> str:
    """Give the name of an object."""
    return str(record["metadata"]["name"])


def is_active(record: Json) -> bool:
    """Tell whether a record is active; one without a phase is."""
    return (record.get("status") or {}).get("overallPhase") not in FINISHED


def active(records: Iterable[Json]) -> list[Json]:
    """Give the active ones."""
    return [record for record in records if is_active(record)]


def listed(api: KubeApi, signal: Incoming) -> Awaitable[Sequence[Json]]:
    """List the records of a signal as they are now."""
    return api.list(RECORDS, signal.namespace, FINGERPRINT, signal.fingerprint)


def hits(record: Json) -> Json | None:
    """Give what is known of the hits of a record; None before anything is."""
    found: Json | None = (record.get("status") or {}).get("deduplication")
    return found


def count_hit(record: Json, now: float, first: int = 1) -> None:
    """Count one more hit in a record; where nothing was counted, this makes ``first``."""
    known = hits(record)
    counted: dict[str, Any] = {"occurrenceCount": first, "firstSeenAt": stamp(now)} if known is None else known
    if known is not None:
        counted = {**known, "occurrenceCount": known["occurrenceCount"] + 1}
    record["status"] = {**(record.get("status") or {}), "deduplication": {**counted, "lastSeenAt": stamp(now)}}


def new_record(signal: Incoming, name: str, now: float) -> Json:
    """Give a record to be created."""
    return {
        "apiVersion": f"{RECORDS.group}/{RECORDS.version}",
        "kind": RECORDS.kind,
        "metadata": {"name": name, "namespace": signal.namespace},
        "spec": {
            "signalFingerprint": signal.fingerprint,
            "signalName": signal.alertname,
            "severity": "warning",
            "signalType": "prometheus-alert",
            "targetType": "kubernetes",
            "targetResource": {"kind": "Unknown", "name": "unknown"},
            "firingTime": stamp(now),
            "receivedTime": stamp(now),
        },
    }


def outcome(record: Json, now: float, *, created: bool) -> Outcome:
    """Give what a client is answered about a record; the count is what was computed last, stored or not."""
    known = hits(record) or {}
    return Outcome(
        created=created,
        record=name_of(record),
        count=int(known.get("occurrenceCount", 0)),
        first_seen=str(known.get("firstSeenAt", "")),
        last_seen=str(known.get("lastSeenAt", "")) or stamp(now),
    )


async def write_hit(api: KubeApi, record: Json, get: Get) -> Json:
    """Count a hit as era (c) does: read and write, at most four times; give the record as it was computed last.

    That it failed is not reported: the client has its 2xx all the same.
    """
    for pause in (*_PAUSES, None):
        try:
            record = await get(record["metadata"]["namespace"], name_of(record))
        except ApiError:
            return record
        count_hit(record, api.now())
        try:
            await api.update_status(RECORDS, record)
        except ApiError as error:
            if error.reason != CONFLICT or pause is None:
                return record
            await api.sleep(pause)
        else:
            return record
    return record


async def by_status(
    api: KubeApi, signal: Incoming, known: Callable[[], Awaitable[Sequence[Json]]], get: Get
) -> Outcome:
    """Era (c): list; none is active: create ``rr-<fp12>-<unix s>``; write the hit (contract section 2 (c)).

    ``known`` lists the records of the signal, ``get`` reads one by namespace and name.

    Raises:
        ApiError: when the server refuses, or the loser of the creation can't read the record.

    """
    found = active(await known())
    if found:
        return outcome(await write_hit(api, found[0], get), api.now(), created=False)
    name = f"rr-{signal.fingerprint[:12]}-{int(api.now())}"
    try:
        record = await api.create(RECORDS, new_record(signal, name, api.now()))
    except ApiError as error:
        if error.reason != EXISTS:
            raise
        record = await get(signal.namespace, name)
    return outcome(await write_hit(api, record, get), api.now(), created=True)
