"""Racy: era (d) of the contract; one lock for all requests of a Gateway, which any of them may enter (L1 to L6)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from stress.gateways.kubeapi import RECORDS, ApiError
from stress.gateways.leases import entered, left, lock_name, pauses
from stress.gateways.remediations import active, listed, new_record, outcome, write_hit

if TYPE_CHECKING:
    from stress.gateways.kubeapi import Json, KubeApi
    from stress.gateways.store import Incoming, Outcome

_ATTEMPTS = 10


async def deduplicate(api: KubeApi, signal: Incoming) -> Outcome:
    """Lock by a lease; LIST; none active: POST ``rr-<fp12>-<8 hex>``; GET and PUT the status; unlock.

    Who waits for the lock lists the records after each attempt, and needs no lock once one is active. The lock stays
    where the client hangs up: it is released by the request that is cancelled then.
    """
    get = partial(api.get, RECORDS)
    known = await _locked(api, signal)
    if known is not None:
        return outcome(await write_hit(api, known, get), api.now(), created=False)
    try:
        found = active(await listed(api, signal))
        created = not found
        record = found[0] if found else await _create(api, signal)
        reported = outcome(await write_hit(api, record, get), api.now(), created=created)
    except ApiError:
        await left(api, lock_name(signal))
        raise
    await left(api, lock_name(signal))
    return reported


async def _locked(api: KubeApi, signal: Incoming) -> Json | None:
    """Take the lock, or give a record that became active meanwhile.

    Raises:
        ApiError: when the server refuses, or after ten attempts.

    """
    waits = pauses(_ATTEMPTS)
    for _ in range(_ATTEMPTS):
        if await entered(api, lock_name(signal)):
            return None
        if (pause := next(waits, None)) is not None:
            await api.sleep(pause)
            if found := active(await listed(api, signal)):
                return found[0]
    raise ApiError(500, "", f"the lock was not to be had in {_ATTEMPTS} attempts")


async def _create(api: KubeApi, signal: Incoming) -> Json:
    return await api.create(RECORDS, new_record(signal, f"rr-{signal.fingerprint[:12]}-{api.unique()}", api.now()))
