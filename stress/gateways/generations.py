"""Records named by their fingerprint: the first is ``rr-<fp12>``, and one more only when all before it are finished.

The name is the lock: of two that create the same one, the server refuses one. What a request works on is the lowest
generation that is not finished, in one list. If it is active the hit is counted there; if it is missing it is created.

That must also be right when records are deleted meanwhile, all of a fingerprint at once. Generation 1 always may be
created. A later one is right only while the one before it is there and finished, as then the way from generation 1 is
closed to everyone. So its creator looks once more, after creating and before it tells anybody, and takes back what
nobody has used. Others never use it: they go the same way from generation 1.

The creation is the first hit of a record, whether its creator has written that yet or not: who finds no count writes 2,
and a creator who finds one leaves it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stress.gateways.kubeapi import CONFLICT, EXISTS, NOT_FOUND, RECORDS, ApiError
from stress.gateways.remediations import count_hit, hits, is_active, listed, name_of, new_record, outcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stress.gateways.kubeapi import Json, KubeApi
    from stress.gateways.store import Incoming, Outcome


async def by_generation(api: KubeApi, signal: Incoming) -> Outcome:
    """LIST; active: PUT its status; missing: POST, then PUT its status; again whenever another was faster.

    Raises:
        ApiError: when the server refuses for any other reason.

    """
    while True:
        number, record = _current(signal, await listed(api, signal))
        if record is not None:
            count_hit(record, api.now(), first=2)
            if await _stored(api, record):
                return outcome(record, api.now(), created=False)
        elif (made := await _made(api, signal, number)) is not None:
            return outcome(made, api.now(), created=True)


def _name(signal: Incoming, number: int) -> str:
    return f"rr-{signal.fingerprint[:12]}" + (f"-{number}" if number > 1 else "")


def _current(signal: Incoming, records: Sequence[Json]) -> tuple[int, Json | None]:
    """Give the lowest generation that is not finished, and its record if there is one."""
    known = {name_of(record): record for record in records}
    number = 1
    while (record := known.get(_name(signal, number))) is not None and not is_active(record):
        number += 1
    return number, record


async def _made(api: KubeApi, signal: Incoming, number: int) -> Json | None:
    """Create a generation and count its first hit; None where another was faster, or it had to be taken back."""
    try:
        made = await api.create(RECORDS, new_record(signal, _name(signal, number), api.now()))
    except ApiError as error:
        if error.reason != EXISTS:
            raise
        return None
    found: Json | None = made
    while found is not None and number > 1 and not await _closed(api, signal, number - 1):
        if await _taken_back(api, found):
            return None
        found = await _repeat(api, made)
    while found is not None and hits(found) is None:
        count_hit(found, api.now())
        found = found if await _stored(api, found) else await _repeat(api, made)
    return made  # also where somebody else has deleted it since


async def _closed(api: KubeApi, signal: Incoming, number: int) -> bool:
    """Tell whether a generation is there and finished."""
    try:
        return not is_active(await api.get(RECORDS, signal.namespace, _name(signal, number)))
    except ApiError as error:
        if error.reason != NOT_FOUND:
            raise
        return False


async def _taken_back(api: KubeApi, record: Json) -> bool:
    """Delete a record that should not be, unless somebody has changed it meanwhile; tell whether that was done."""
    metadata = record["metadata"]
    only = {"uid": metadata["uid"], "version": metadata["resourceVersion"]}
    try:
        await api.delete(RECORDS, metadata["namespace"], metadata["name"], **only)
    except ApiError as error:
        if error.reason not in (CONFLICT, NOT_FOUND):
            raise
        return False
    return True


async def _repeat(api: KubeApi, record: Json) -> Json | None:
    """Read a record again; None where it is gone, also if another has its name now."""
    metadata = record["metadata"]
    try:
        found = await api.get(RECORDS, metadata["namespace"], metadata["name"])
    except ApiError as error:
        if error.reason != NOT_FOUND:
            raise
        return None
    return found if found["metadata"]["uid"] == metadata["uid"] else None


async def _stored(api: KubeApi, record: Json) -> bool:
    """Write a status; false where the record is not what was read any more, or is gone."""
    try:
        await api.update_status(RECORDS, record)
    except ApiError as error:
        if error.reason not in (CONFLICT, NOT_FOUND):
            raise
        return False
    return True
