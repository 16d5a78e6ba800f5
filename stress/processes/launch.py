"""How the replicas of a target come to be: a bundled Gateway, a command with its files, or one that runs already."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from stress.config.placeholders import filled, from_environment
from stress.config.stores import protocols
from stress.core.errors import Fault, Unavailable
from stress.core.hosts import is_loopback
from stress.processes.child import accepts, free_port
from stress.processes.forkserver import gateway
from stress.processes.replicas import Replica, by_command, start

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from stress.config.target import Target
    from stress.config.target_parts import Start

_USUAL_PORT = 80
_REACH_PATIENCES = 5
_LOOK_SECONDS = 0.05


def strangers(target: Target, allow: Collection[str]) -> list[Fault]:
    """Name the addresses of a target that are not of this machine and not allowed by name."""
    stores = target.stores.used.items()
    named = [(("stores", store, key), url) for store, one in stores for key, url in one.urls.items()]
    found = []
    for where, url in ((("url",), target.url), *named):
        host = (urlsplit(url).hostname or "") if url else ""
        if host and not is_loopback(host) and host not in {name.lower() for name in allow}:
            hint = f"a stress test must not hit it by mistake: allow it by name with --allow-host {host}"
            found.append(Fault(target.place(*where), f"{'.'.join(where)}: {host} is not this machine", hint))
    return found


async def launch(target: Target, folder: Path, number: int, addresses: Mapping[str, str]) -> Replica:
    """Start one replica, or reach the one that runs; ``addresses`` of the stores as it must use them, by placeholder.

    Raises:
        Unavailable: when it does not start, is not ready in time, or does not answer.

    """
    if target.url is not None:
        return await reach(target.url, number, _REACH_PATIENCES * target.patience, target.stores.places)
    port = free_port()
    begin = target.start
    if begin is None:
        used, values = target.stores.used, {**addresses, "replica": str(number)}
        flags = [pair for name, parts in protocols().items() if name in used for pair in parts.flags.items()]
        words = ["--protocol", str(target.protocol), "--port", str(port)]
        words += [word for flag, name in flags for word in (flag, values[name])]
        return await start(number, partial(gateway, words), port=port, ready=("/ready", 10.0))
    home = (folder / begin.folder).resolve()
    values = {
        **addresses,
        "port": str(port),
        "replica": str(number),
        "folder": str(home),
    }
    files = write_files(begin, values)
    if files is not None:
        values["files"] = str(files)
    env = {name: filled(from_environment(text), values) for name, text in begin.env.items()}
    words = [filled(from_environment(text), values) for text in begin.command]
    ready = (begin.ready.path, begin.ready.within)
    try:
        replica = await start(number, by_command(words, env, home), port=port, ready=ready)
    except BaseException:
        if files is not None:
            shutil.rmtree(files, ignore_errors=True)
        raise
    replica.files = files
    return replica


async def reach(url: str, number: int, seconds: float, places: str) -> Replica:
    """Find a Gateway that runs already, or is started again now that its stores are there, at ``places``.

    Raises:
        Unavailable: when nobody listens there in time.

    """
    parts = urlsplit(url)
    deadline = time.monotonic() + seconds
    while not accepts(parts.hostname or "", parts.port or _USUAL_PORT):
        if time.monotonic() > deadline:
            raise Unavailable(f"no Gateway answers at {url}", f"start it; its store is at {places}")
        await asyncio.sleep(_LOOK_SECONDS)
    return Replica(number, url)


def write_files(begin: Start, values: Mapping[str, str]) -> Path | None:
    """Write the files of a replica into a new private folder, which `{files}` names; None where there are none."""
    if not begin.files:
        return None
    folder = Path(tempfile.mkdtemp(prefix="gateway-stress-"))
    for name, text in begin.files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(filled(text, {**values, "files": str(folder)}))
    return folder
