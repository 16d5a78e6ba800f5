"""The lock of era (d): a lease by fingerprint, which runs out 30 s after it was renewed (contract section 2 (d))."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from stress.gateways.kubeapi import CONFLICT, EXISTS, LEASES, NOT_FOUND, ApiError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stress.gateways.kubeapi import Json, KubeApi
    from stress.gateways.store import Incoming

_SECONDS = 30


def lock_name(signal: Incoming) -> str:
    """Give the name of the lease of a fingerprint."""
    return f"gw-lock-{signal.fingerprint[:16]}"


def pauses(attempts: int) -> Iterator[float]:
    """Give how long to wait between attempts, in seconds: 0.1, 0.2, 0.4, 0.8, then 1 each."""
    return (min(0.1 * 2**number, 1.0) for number in range(attempts - 1))


async def taken(api: KubeApi, name: str, holder: str) -> bool:
    """Try once to take the lock; true also where this holder has it already: no look is taken at its time then.

    Raises:
        ApiError: when the server refuses for another reason than that someone else was faster.

    """
    try:
        lease = await api.get(LEASES, api.namespace, name)
    except ApiError as error:
        if error.reason != NOT_FOUND:
            raise
        return await _made(api, name, holder)
    if lease["spec"].get("holderIdentity") == holder:
        return True
    if _renewed(lease) + _SECONDS >= api.now():
        return False
    lease["spec"] = _spec(holder, api.now())
    try:
        await api.update(LEASES, lease)
    except ApiError as error:
        if error.reason != CONFLICT:
            raise
        return False
    return True


async def release(api: KubeApi, name: str, holder: str, *, fenced: bool) -> None:
    """GET and, if it is this holder's, DELETE; ``fenced``: only the very lease that was read. Failures are not told."""
    try:
        lease = await api.get(LEASES, api.namespace, name)
        if lease["spec"].get("holderIdentity") != holder:
            return
        metadata = lease["metadata"]
        only = {"uid": metadata["uid"], "version": metadata["resourceVersion"]} if fenced else {}
        await api.delete(LEASES, api.namespace, name, **only)
    except ApiError:
        return


async def _made(api: KubeApi, name: str, holder: str) -> bool:
    metadata = {"name": name, "namespace": api.namespace}
    kind = {"apiVersion": f"{LEASES.group}/{LEASES.version}", "kind": LEASES.kind}
    try:
        await api.create(LEASES, {**kind, "metadata": metadata, "spec": _spec(holder, api.now())})
    except ApiError as error:
        if error.reason != EXISTS:
            raise
        return False
    return True


def _spec(holder: str, now: float) -> Json:
    time = datetime.fromtimestamp(now, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    return {"holderIdentity": holder, "leaseDurationSeconds": _SECONDS, "acquireTime": time, "renewTime": time}


def _renewed(lease: Json) -> float:
    """Give when a lease was renewed, in seconds since 1970; one that never was has run out."""
    told = lease["spec"].get("renewTime")
    return datetime.fromisoformat(told).timestamp() if isinstance(told, str) else 0.0
