"""Probes of what a target itself names under `requires`, one function for each of its keys."""

from __future__ import annotations

import os
import re
import shlex
import socket
from functools import partial
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from stress.config.placeholders import from_environment
from stress.processes.command import once
from stress.processes.probe import Ill, Probe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from stress.config.requires import Requirement
    from stress.config.target import Target

_ANSWERS_WITHIN = 5.0
_RUNS_WITHIN = 10.0
_OK = range(200, 300)
_VARIABLE = re.compile(r"\$\{?(\w+)")


def named(target: Target, folder: Path) -> Iterator[Probe]:
    """Give a probe for each item of `requires`; paths are relative to ``folder``."""
    for one in target.requires:
        yield Probe(one.kind, target.name, partial(look, one, folder))


def look(one: Requirement, folder: Path) -> str:
    """Say what was found; a fault is reported with the fix of the target.

    Raises:
        Ill: when it is not there.

    """
    try:
        if isinstance(one.what, str):
            return _LOOKS[one.kind](one.what, folder)
        return _command(one.what, folder)
    except Ill as ill:
        raise Ill(str(ill), one.fix or ill.fix) from None


def _file(name: str, folder: Path) -> str:
    name = from_environment(name)
    path = _path(name, folder)
    if not path.exists():
        raise Ill(f"no such file: {name}{_unset(name)}", "put it there, or correct `requires` of the target")
    return f"{name} is there"


def program(name: str, folder: Path) -> str:
    """Find a program by name on PATH, or by path.

    Raises:
        Ill: when it is not there, or may not be run.

    """
    name = from_environment(name)
    path = _path(name, folder)
    by_path = "/" in os.path.expandvars(name)
    if which(str(path) if by_path else path.name) is None:
        there = by_path and path.exists()
        text = f"may not be run: {name}" if there else f"no such program: {name}{_unset(name)}"
        raise Ill(text, "make it executable: chmod +x" if there else "build or install it")
    return f"{name} is there"


def host(name: str, _: Path = Path()) -> str:
    """Resolve a name.

    Raises:
        Ill: when it does not resolve.

    """
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        text = error.strerror if isinstance(error, OSError) else error
        raise Ill(f"{name} does not resolve: {text}", f"let {name} resolve: a line in /etc/hosts") from None
    return f"{name} is {found[0][4][0]}"


def tcp(address: str, _: Path) -> str:
    """Connect to a host and port.

    Raises:
        Ill: when nobody listens there.

    """
    parts = urlsplit(f"//{address}")
    try:
        socket.create_connection((parts.hostname or "", parts.port or 0), _ANSWERS_WITHIN).close()
    except OSError as error:
        raise Ill(f"nobody listens at {address}: {error.strerror or error}", "start it") from None
    return f"somebody listens at {address}"


def answer(url: str) -> int:
    """Give the status that a URL answers.

    Raises:
        Ill: when it does not answer.

    """
    parts = urlsplit(url)
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=_ANSWERS_WITHIN)
    try:
        connection.request("GET", (parts.path or "/") + (f"?{parts.query}" if parts.query else ""))
        return connection.getresponse().status
    except (OSError, HTTPException) as error:
        text = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise Ill(f"{url} does not answer: {text}", "start what answers there") from None
    finally:
        connection.close()


def _http(url: str, _: Path) -> str:
    status = answer(url)
    if status not in _OK:
        raise Ill(f"{url} answers {status}", "see the log of what answers there")
    return f"{url} answers {status}"


def _command(words: list[str], folder: Path) -> str:
    shown = shlex.join(words)
    try:
        ran = once(words, folder, _RUNS_WITHIN)
    except OSError as error:
        raise Ill(f"{words[0]} can't be run: {error.strerror}", "install it, or correct `requires`") from None
    if not ran.passed:
        raise Ill(f"{shown}: {ran.ending}", "run it by hand to see why")
    return f"{shown} exits 0"


_LOOKS: dict[str, Callable[[str, Path], str]] = {
    "file": _file,
    "program": program,
    "host": host,
    "tcp": tcp,
    "http": _http,
}


def _path(name: str, folder: Path) -> Path:
    return (folder / Path(os.path.expandvars(name)).expanduser()).absolute()  # "./x" must not become "x", found on PATH


def _unset(name: str) -> str:
    """Name the variables of a path that are not set."""
    missing = [variable for variable in _VARIABLE.findall(name) if variable not in os.environ]
    return f", as {' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not set" if missing else ""
