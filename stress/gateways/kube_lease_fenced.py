"""Twin: a lock of each request's own, released in any case, and behind it a name derived from the fingerprint.

The lock saves conflicts and nothing else, as a lease may run out between the look and the creation. So nobody is
refused for want of it: after a few attempts the name alone decides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stress.gateways.generations import by_generation
from stress.gateways.leases import lock_name, pauses, release, taken
from stress.gateways.remediations import active, listed

if TYPE_CHECKING:
    from stress.gateways.kubeapi import KubeApi
    from stress.gateways.store import Incoming, Outcome

_ATTEMPTS = 3


async def deduplicate(api: KubeApi, signal: Incoming) -> Outcome:
    """Lock by a lease, or see that a record is active; LIST, then PUT the status or POST; unlock."""
    holder = api.holder()
    if not await _locked(api, signal, holder):
        return await by_generation(api, signal)
    try:
        return await by_generation(api, signal)
    finally:
        await api.apart(release(api, lock_name(signal), holder, fenced=True))


async def _locked(api: KubeApi, signal: Incoming, holder: str) -> bool:
    """Tell whether the lock was taken; it is not needed once a record is active."""
    for pause in pauses(_ATTEMPTS + 1):
        if await taken(api, lock_name(signal), holder):
            return True
        await api.sleep(pause)
        if active(await listed(api, signal)):
            return False
    return False
