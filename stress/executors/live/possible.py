"""What is possible at one moment of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stress.core.step import START, Move

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from stress.executors.live.request import Request
    from stress.protocols.gate import Frame


def possible(
    requests: Collection[Request],
    frames: Iterable[Frame],
    left: Mapping[str, int],
    acted: Mapping[str, int],
    *,
    begun: bool,
) -> list[Move]:
    """List what is possible now: requests by name, then events of watches and workers, then the environment.

    ``left`` is how often each actor of the environment may act yet, ``acted`` how often it has; ``begun`` is whether
    there was a move.
    """
    found = []
    steps = [frame for frame in frames if any(head is frame for head in frame.channel.heads())]
    for request in requests:
        if request.task is None:
            found.append(Move(request.actor, START, ""))
        for frame in steps:
            if frame.actor == request.actor and frame.step is not None:
                found.append(frame.step.move)  # noqa: PERF401 - a loop, as it is asked at every step
    events = [frame for frame in steps if frame.actor.startswith(("watch:", "worker:"))]
    if not left and not events:
        return found
    unfinished = bool(found) or any(not one.answered for one in requests)
    # What a watch delivers or a worker does matters, as the clock does, only until the last step of a request.
    found += sorted(frame.step.move for frame in events if frame.step is not None and unfinished)
    for name, times in left.items():
        if name == "client":
            flying = [one.actor for one in requests if one.task is not None and not one.answered]
            found += [Move(f"client:{actor}", "hang-up", "") for actor in flying if times]
            continue
        # The clock matters only between the first start and the last answer.
        if times and (name != "clock" or (unfinished and begun)):
            found.append(Move(name, name, "", acted[name] + 1))
    return found
