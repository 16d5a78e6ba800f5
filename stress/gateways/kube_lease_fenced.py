"""Fixed counterpart: a lock of each request's own, always released, and behind it a name derived from the fingerprint.

The lock saves conflicts and nothing else, as a lease may run out between the look and the creation. So nobody is
refused for want of it: who does not get it waits once, and then the name alone decides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stress.gateways.generations import by_generation
from stress.gateways.leases import acquired, lock_name, released

if TYPE_CHECKING:
    from stress.gateways.kubeapi import KubeApi
    from stress.gateways.store import Incoming, Outcome

_PAUSE_SECONDS = 0.1


async def deduplicate(api: KubeApi, signal: Incoming) -> Outcome:
    """Lock by a lease, or wait 100 ms; LIST, then PUT the status or POST; unlock."""
    lease = await acquired(api, lock_name(signal), api.holder())
    if lease is None:
        await api.sleep(_PAUSE_SECONDS)
        return await by_generation(api, signal)
    try:
        return await by_generation(api, signal)
    finally:
        await api.apart(released(api, lease))
