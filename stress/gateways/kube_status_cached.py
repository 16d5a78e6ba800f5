"""Racy: era (c) of the contract as in production: it reads from the cache of a watch (R3, R4, R5, R7)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from stress.gateways.remediations import by_status

if TYPE_CHECKING:
    from stress.gateways.kubeapi import KubeApi
    from stress.gateways.store import Incoming, Outcome

CACHED = True
"""It reads from a cache, which is filled before the Gateway is ready."""


async def deduplicate(api: KubeApi, signal: Incoming) -> Outcome:
    """POST, and PUT the status; what it lists and gets it takes from its cache."""
    known = partial(api.cached_list, signal.namespace, signal.fingerprint)
    return await by_status(api, signal, known, api.cached_get)
