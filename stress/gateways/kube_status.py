"""Racy: era (c) of the contract with live reads; names by the second (R1, R2), four attempts at a hit (R6, R8, R9)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from stress.gateways.kubeapi import RECORDS
from stress.gateways.remediations import by_status, listed

if TYPE_CHECKING:
    from stress.gateways.kubeapi import KubeApi
    from stress.gateways.store import Incoming, Outcome


async def deduplicate(api: KubeApi, signal: Incoming) -> Outcome:
    """LIST; none active: POST (taken: GET); then GET and PUT the status."""
    return await by_status(api, signal, partial(listed, api, signal), partial(api.get, RECORDS))
