"""Probes of what one target needs: what it names itself, its program, ports, stores, and its API server."""

from __future__ import annotations

import errno
import os
import re
import socket
from functools import partial
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING

from stress.config.placeholders import filled, from_environment
from stress.core.errors import UsageFault
from stress.core.registry import PROTOCOLS
from stress.processes import requirements
from stress.processes.needed import ASSETS, binaries, needed
from stress.processes.probe import Ill, Probe, version

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from stress.config.target import Target
    from stress.config.target_parts import Start

_OF_CONTAINERS = re.compile(r"\b[\w-]+(?:\.[\w-]+)*\.internal\b")
"""Names that only container engines let resolve, such as host.containers.internal."""


def of_target(target: Target, folder: Path, allow: Collection[str]) -> list[Probe]:
    """Give all probes of a target; ``allow`` are hosts other than this machine that may be talked to.

    Raises:
        UsageFault: when it has an address that is neither of this machine nor allowed, as for a run.

    """
    _refuse_strangers(target, allow)
    attached = [PROTOCOLS[name].attached(target, folder, allow) for name in target.stores.used]
    looks = [*needed(target, folder), *(Probe("assets", target.name, partial(_runs, one)) for one in binaries(target))]
    own = [
        *_ports(target),
        *_program(target, folder),
        *_hosts(target, [host for one in attached for host in one.hosts]),
        *_gateway(target),
        *(probe for one in attached for probe in one.probes),
    ]
    return [*looks, *own]


def _refuse_strangers(target: Target, allow: Collection[str]) -> None:
    if target.url is None and not _store_urls(target):
        return
    from stress.processes.launch import strangers  # noqa: PLC0415 - a second of imports that most targets do not need

    if faults := strangers(target, allow):
        raise UsageFault(faults)


def _store_urls(target: Target) -> list[str]:
    return [url for one in target.stores.used.values() for url in one.urls.values()]


def _runs(name: str) -> str:
    found = which(name, path=os.environ.get(ASSETS, ""))
    return version(found, "let setup-envtest fetch it again") if found else f"{name} is reported above"


def _ports(target: Target) -> Iterator[Probe]:
    for store, first in target.stores.listens.items():
        for port in range(first, first + target.replicas):
            yield Probe("port", target.name, partial(_port, port, f"stores.{store}.listen"))


def _port(port: int, key: str) -> str:
    with socket.socket() as own:
        own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            own.bind(("127.0.0.1", port))
            own.listen()
        except OSError as error:
            why = "is taken" if error.errno == errno.EADDRINUSE else f"can't be listened on: {error.strerror}"
            raise Ill(f"{port}, where the gate must listen, {why}", f"end who listens, or change {key}") from None
    return f"{port} is free"


def _program(target: Target, folder: Path) -> Iterator[Probe]:
    begin = target.start
    if begin is None:
        return
    checked = {one.what for one in target.requires if one.kind in ("file", "program")}
    if not checked & {begin.command[0], str(Path(begin.folder) / begin.command[0])}:
        yield Probe("program", target.name, partial(_starts, begin, (folder / begin.folder).absolute()))


def _starts(begin: Start, home: Path) -> str:
    """Find the program as the operating system will, in the folder and with the PATH that it is started with."""
    known = {"folder": str(home.resolve())}
    name = filled(from_environment(begin.command[0]), known)
    if "{" in name:
        return f"{name} is known only when it starts"
    path = begin.env.get("PATH")
    path = None if path is None else filled(from_environment(path), known)
    found = which(str(home / name)) if "/" in name else which(name, path=path)
    if found is None:
        raise Ill(f"start.command: no such program: {name} in {home}", "build it, or correct start.command")
    return f"{name} is there"


def _hosts(target: Target, attached: Collection[str]) -> Iterator[Probe]:
    begin = target.start
    texts = [target.url or "", *_store_urls(target), *attached]
    if begin is not None:
        texts += [*begin.command, *begin.env.values(), *begin.files.values()]
    checked = {one.what for one in target.requires if one.kind == "host"}
    for name in sorted({name for text in texts for name in _OF_CONTAINERS.findall(text)}):
        if name not in checked:
            yield Probe("host", target.name, partial(requirements.host, name))


def _gateway(target: Target) -> Iterator[Probe]:
    if target.url is not None:
        yield Probe("Gateway", target.name, partial(_answers, target.url, target.stores.places))


def _answers(url: str, places: str) -> str:
    """Ask a Gateway that runs; any answer will do, as its stores are there only while the gate is."""
    try:
        return f"{url} answers {requirements.answer(url)}"
    except Ill as ill:
        raise Ill(str(ill), f"start it; its store is at {places} while a run lasts") from None
