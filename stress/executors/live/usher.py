"""Requests at work while no schedule is followed: what they send is let through, and what they write is noted."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

    from stress.executors.live.attribution import Attribution
    from stress.executors.live.deployment import Deployment

TOGETHER_SECONDS = 0.01
"""How long no frame must have come for those that come together to be there."""
_STORE_SECONDS = 5.0


async def usher(
    deployment: Deployment, work: asyncio.Future[Any], names: Attribution, *, together: bool = False
) -> None:
    """Let one frame after another through, and note what is written.

    With ``together`` the first frame waits until no more come, so that each request has a connection to the store.
    """
    gate = deployment.gate
    work.add_done_callback(lambda _: gate.signal.notify())
    gate.close()
    try:
        while together and await gate.signal.wait(gate.signal.count, TOGETHER_SECONDS):
            pass
        while not work.done():
            gate.check()
            seen = gate.signal.count
            for number in deployment.replicas:
                for frame in gate.settle(number):
                    await names.note(frame)
            heads = list(gate.heads())
            for frame in heads:
                await deployment.let(frame, names.named, _STORE_SECONDS)
                await names.done(frame)
            if not heads:
                await gate.signal.wait(seen, TOGETHER_SECONDS)
    except asyncio.CancelledError:
        raise  # the gate stays closed: a user who interrupts wants nothing more to be written
    except BaseException:
        gate.reopen()
        raise
    gate.reopen()
