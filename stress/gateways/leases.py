"""The lock of era (d): a lease by fingerprint, which runs out 30 s after it was renewed (contract section 2 (d))."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from stress.gateways.kubeapi import CONFLICT, EXISTS, LEASES, NOT_FOUND, ApiError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterator

    from stress.gateways.kubeapi import Json, KubeApi
    from stress.gateways.store import Incoming

_SECONDS = 30


def lock_name(signal: Incoming) -> str:
    """Give the name of the lease of a fingerprint."""
    return f"gw-lock-{signal.fingerprint[:16]}"


def pauses(attempts: int) -> Iterator[float]:
    """Give how long to wait between attempts, in seconds: 0.1, 0.2, 0.4, 0.8, then 1 each."""
    return (min(0.1 * 2**number, 1.0) for number in range(attempts - 1))


async def entered(api: KubeApi, name: str) -> bool:
    """Try once to take the lock for the Gateway; true also where it has it already, and no look is taken at time then.

    Raises:
        ApiError: when the server refuses for another reason than that someone else was faster.

    """
    try:
        lease = await api.get(LEASES, api.namespace, name)
    except ApiError as error:
        if error.reason != NOT_FOUND:
            raise
        return await _unless(api.create(LEASES, _lease(api, name, api.identity)), EXISTS) is not None
    if lease["spec"].get("holderIdentity") == api.identity:
        return True
    return await _taken_over(api, lease, api.identity) is not None


async def left(api: KubeApi, name: str) -> None:
    """GET and, if the Gateway holds it, DELETE whatever is there then. Failures are not reported."""
    try:
        lease = await api.get(LEASES, api.namespace, name)
        if lease["spec"].get("holderIdentity") == api.identity:
            await api.delete(LEASES, api.namespace, name)
    except ApiError:
        return


async def acquired(api: KubeApi, name: str, holder: str) -> Json | None:
    """Try once to take the lock for one request; give the lease, None where another has it.

    Raises:
        ApiError: as by `entered`.

    """
    made = await _unless(api.create(LEASES, _lease(api, name, holder)), EXISTS)
    if made is not None:
        return made
    found = await _unless(api.get(LEASES, api.namespace, name), NOT_FOUND)
    return None if found is None else await _taken_over(api, found, holder)


async def released(api: KubeApi, lease: Json) -> None:
    """DELETE the very lease that was acquired. Failures are not reported: it expires."""
    metadata = lease["metadata"]
    try:
        await api.delete(
            LEASES, api.namespace, metadata["name"], uid=metadata["uid"], version=metadata["resourceVersion"]
        )
    except ApiError:
        return


async def _taken_over(api: KubeApi, lease: Json, holder: str) -> Json | None:
    """Take over a lease that has run out; None where it has not, or another was faster."""
    if _renewed(lease) + _SECONDS >= api.now():
        return None
    lease["spec"] = _spec(holder, api.now())
    return await _unless(api.update(LEASES, lease), CONFLICT, NOT_FOUND)


async def _unless(work: Awaitable[Json], *reasons: str) -> Json | None:
    """Give what comes of a request, None where it is refused for one of the reasons."""
    try:
        return await work
    except ApiError as error:
        if error.reason not in reasons:
            raise
        return None


def _lease(api: KubeApi, name: str, holder: str) -> Json:
    kind = {"apiVersion": f"{LEASES.group}/{LEASES.version}", "kind": LEASES.kind}
    return {**kind, "metadata": {"name": name, "namespace": api.namespace}, "spec": _spec(holder, api.now())}


def _spec(holder: str, now: float) -> Json:
    time = datetime.fromtimestamp(now, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    return {"holderIdentity": holder, "leaseDurationSeconds": _SECONDS, "acquireTime": time, "renewTime": time}


def _renewed(lease: Json) -> float:
    """Give when a lease was renewed, in seconds since 1970; one that never was has run out."""
    reported = lease["spec"].get("renewTime")
    return datetime.fromisoformat(reported).timestamp() if isinstance(reported, str) else 0.0
