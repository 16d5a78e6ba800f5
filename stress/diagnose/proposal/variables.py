"""Which variables, or words of its command, tell a service where to listen and where its Redis is.

Each candidate has a value of its own, and the service is started once with all of them: what it listens on, and which
listener it connects to, tells which it reads.
"""

from __future__ import annotations

import asyncio
import os
import re
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp

from stress.config.placeholders import filled, from_environment
from stress.core.errors import Unavailable
from stress.diagnose.proposal.curl import Unread
from stress.processes.child import connections, free_port, ports, spawn
from stress.processes.replicas import Replica

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterator, Mapping, Sequence

_USUAL_PORTS = ("PORT", "HTTP_PORT", "SERVER_PORT", "APP_PORT", "LISTEN_PORT", "UVICORN_PORT", "LISTEN_ADDR")
_USUAL_STORES = (
    *("REDIS_URL", "REDIS_ADDR", "REDIS_PORT", "REDIS_URI", "REDIS_ADDRESS", "VALKEY_URL", "VALKEY_PORT", "CACHE_URL"),
    *("SPRING_DATA_REDIS_URL", "SPRING_DATA_REDIS_PORT"),
)
_STORE = re.compile(
    r"[A-Z][A-Z0-9_]*(?:REDIS|VALKEY|CACHE|QUEUE|BROKER|KV)[A-Z0-9_]*|(?:REDIS|VALKEY|CACHE|KV)[A-Z0-9_]*"
)
_LISTEN = re.compile(r"(?:[A-Z][A-Z0-9_]*_)?(?:PORT|ADDR|ADDRESS|LISTEN)")
_FOREIGN = re.compile(r"DB|PG|POSTGRES|MYSQL|MONGO|KAFKA|AMQP|RABBIT|NATS|SMTP|MAIL|ELASTIC|PROXY|SENTINEL|CLUSTER|TLS")
_WORD = re.compile(r"\b[A-Z][A-Z0-9_]{3,}\b")
_SOURCES = (
    ".py",
    ".js",
    ".ts",
    ".mjs",
    ".cjs",
    ".go",
    ".java",
    ".kt",
    ".rb",
    ".rs",
    ".cs",
    ".php",
    ".ex",
    ".yaml",
    ".yml",
)
_MOST_FILES, _MOST_BYTES, _MOST_NAMES = 300, 200_000, 40
_ADDRESS = re.compile(r"(redis://)?(localhost|127\.0\.0\.1):6379(/\d+)?")
_NOT_LOOKED_AT = frozenset({"node_modules", "vendor", "target", "build", "dist", "__pycache__", "venv"})
_READY = ("/ready", "/readyz", "/health", "/healthz")
_WITHIN, _ELSEWHERE, _MORE_SECONDS, _MET_SECONDS, _LOOK_SECONDS = 15.0, 2.0, 0.1, 1.0, 0.02
"""How long it may take to listen at all, after it listens elsewhere, on more ports, and to connect after an answer."""


@dataclass
class Launch:
    """How a service is started: its command and its variables, with placeholders, and a path that says it is ready."""

    command: list[str]
    env: dict[str, str] = field(default_factory=dict)
    folder: Path = field(default_factory=Path.cwd)
    ready: str | None = None

    def holds(self, *names: str) -> bool:
        """Tell whether it holds one of these placeholders."""
        return any(f"{{{name}}}" in text for text in (*self.command, *self.env.values()) for name in names)


def with_placeholders(launch: Launch, port: int) -> None:
    """Put placeholders where words of the command, or variables, name the sample's port or a Redis at its usual one."""
    named = launch.holds("port") or not port

    def replaced(text: str) -> str:
        text = text if named else re.sub(rf"(?<!\d){port}(?!\d)", "{port}", text)
        return _redis_named(text)

    launch.command[1:] = map(replaced, launch.command[1:])
    launch.env = {name: replaced(text) for name, text in launch.env.items()}


def _redis_named(text: str) -> str:
    return _ADDRESS.sub(lambda one: "{redis_url}" if one[1] else "{redis_host}:{redis_port}", text)


def names_in(folder: Path) -> list[str]:
    """Give the words in capitals that the sources in a folder have: variables of the environment are among them."""
    found: dict[str, None] = {}
    for path in _files(folder):
        with suppress(OSError):
            found.update(dict.fromkeys(_WORD.findall(path.read_bytes()[:_MOST_BYTES].decode("utf-8", "replace"))))
    return list(found)


def _files(folder: Path) -> Iterator[Path]:
    left = _MOST_FILES
    for at, folders, names in os.walk(folder):
        folders[:] = sorted(one for one in folders if one[0] != "." and one not in _NOT_LOOKED_AT)
        for name in sorted(names):
            if name.endswith(_SOURCES) and left:
                left -= 1
                yield Path(at, name)


class Listeners:
    """A listener for each candidate, all of which lead to one server; ``met`` are those that were connected to."""

    def __init__(self, server: int) -> None:
        """Take the port of the server on this machine."""
        self.met: dict[str, None] = {}
        self.first = asyncio.Event()
        self._server = server
        self._open: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def add(self, name: str) -> int:
        """Listen for a candidate; give the port."""

        async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.met[name] = None
            self.first.set()
            there, back = await asyncio.open_connection("127.0.0.1", self._server)
            await asyncio.gather(_pump(reader, back), _pump(there, writer))

        def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.ensure_future(take(reader, writer))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        listener = await asyncio.start_server(begin, "127.0.0.1", free_port())
        self._open.append(listener)
        port: int = listener.sockets[0].getsockname()[1]
        return port

    async def close(self) -> None:
        """End all connections."""
        for listener in self._open:
            listener.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass on what comes, until one end closes."""
    try:
        with suppress(OSError):
            while some := await reader.read(1 << 16):
                writer.write(some)
                await writer.drain()
    finally:
        writer.close()


class Guess:
    """The candidates of a service: a text for each with placeholders, and the values that they are tried with."""

    def __init__(self, launch: Launch, *, store: bool) -> None:
        """Take those that the command and the sources may mean; of a store only where one is asked for."""
        self.ports: dict[str, str] = {}
        self.stores: dict[str, str] = {}
        named = names_in(launch.folder)
        if not launch.holds("port"):
            own = [one for one in named if _LISTEN.fullmatch(one) and not _STORE.fullmatch(one)]
            self.ports = {one: _port_of(one) for one in _wanted(_USUAL_PORTS, own)}
        if store and not launch.holds("redis_url", "redis_host", "redis_port"):
            own = [one for one in named if _STORE.fullmatch(one)]
            texts = {one: _store_of(one) for one in _wanted(_USUAL_STORES, own)}
            self.stores = {one: text for one, text in texts.items() if text}
            self.stores |= {one: _redis_named(text) for one, text in os.environ.items() if _ADDRESS.search(text)}
        self.hosts = {one for one in (*named, "REDIS_HOST", "SPRING_DATA_REDIS_HOST") if one.endswith("_HOST")}

    def host_of(self, name: str) -> str:
        """Give the variable that names the host beside one that names the port, if there is one."""
        host = re.sub(r"PORT$", "HOST", name)
        return host if host != name and host in self.hosts else ""


def _wanted(usual: Sequence[str], own: Sequence[str]) -> list[str]:
    names = [one for one in own if _FOREIGN.search(one) is None][:_MOST_NAMES]
    return [
        *(one for one in names if one in usual),
        *(one for one in names if one not in usual),
        *(one for one in usual if one not in names),
    ]


def _port_of(name: str) -> str:
    return "{port}" if name.endswith("PORT") else "127.0.0.1:{port}"


def _store_of(name: str) -> str:
    if name.endswith("PORT"):
        return "{redis_port}"
    if name.endswith(("URL", "URI", "DSN")):
        return "{redis_url}"
    return "{redis_host}:{redis_port}" if name.endswith(("ADDR", "ADDRESS", "ENDPOINT")) or name == "REDIS" else ""


class Unguessed(Unread):
    """No variable is known that says where a service listens, or where its store is; ``what`` it is."""

    def __init__(self, what: str, message: str) -> None:
        """Say what is not known, and what was seen."""
        self.what = what
        value = {"port": "{port}", "store": "{redis_url}"}[what]
        super().__init__(message, f"say --env NAME={value}, or write {value} in its command")


class Trial:
    """One start of a service with all candidates, to see which of them it reads."""

    def __init__(self, launch: Launch, listeners: Listeners | None, given: Mapping[str, str]) -> None:
        """Take how it is started, the listeners (None: it has no Redis), and values of placeholders."""
        self._launch, self._listeners = launch, listeners
        self._guess = Guess(launch, store=listeners is not None)
        self._given = {**given, "redis_host": "127.0.0.1", "replica": "1", "folder": str(launch.folder)}
        self._ports: dict[int, str] = {}
        self._replica: Replica | None = None
        self.url = ""

    async def begin(self) -> None:
        """Start it, and wait until it listens on one of the ports.

        Raises:
            Unguessed: when it listens on none of them.
            Unavailable: when it can't be started, or dies.

        """
        values = {**self._given, "port": str(free_port())}
        if self._listeners is not None:
            values |= _redis(await self._listeners.add(""))
        texts = [("env", name, filled(from_environment(text), values)) for name, text in self._launch.env.items()]
        words = [filled(from_environment(text), values) for text in self._launch.command]
        self._ports = {int(values["port"]): ""}
        for name, text in self._guess.ports.items():
            while (port := free_port()) in self._ports:
                pass
            self._ports[port] = name
            texts.append(("env", name, filled(text, {"port": str(port)})))
        for name, text in self._guess.stores.items():
            assert self._listeners is not None  # noqa: S101 - else there are no candidates
            own = _redis(await self._listeners.add(name)) | {"redis_host": "127.0.0.1"}
            texts.append(("env", name, filled(text, own)))
            if host := self._guess.host_of(name):
                texts.append(("env", host, "127.0.0.1"))
        env = {name: text for _, name, text in texts}
        await self._start(words, env)

    async def _start(self, words: Sequence[str], env: Mapping[str, str]) -> None:
        handle, name = tempfile.mkstemp(prefix="gateway-stress-", suffix=".log")
        try:
            process = spawn(words, folder=self._launch.folder, env={**os.environ, **env}, log=handle)
        except OSError as error:
            Path(name).unlink()  # noqa: ASYNC240 - one small file, before anything runs
            what = f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror)
            raise Unavailable(f"the service does not start: {what}", "check its command and the folder") from None
        finally:
            os.close(handle)
        self._replica = Replica(1, "", process, log=Path(name))
        deadline, elsewhere = time.monotonic() + _WITHIN, set[int]()
        while not (there := [port for port in self._ports if port in (listening := ports(process.pid))]):
            if self._replica.death:
                how = self._replica.death.partition("died ")[2]
                message = f"the service died {how} before it listened{self._printed()}"
                remedy = "run its command by hand; --env NAME={redis_url} tells it where its Redis is"
                raise Unavailable(message, remedy)
            if listening and not elsewhere:  # such as for metrics: the port that is asked for may come a little later
                elsewhere, deadline = listening, time.monotonic() + _ELSEWHERE
            if time.monotonic() > deadline:
                seen = f"port {min(elsewhere)}" if elsewhere else f"no port{self._printed()}"
                raise Unguessed("port", f"which variable tells the service its port is not known: it listens on {seen}")
            await asyncio.sleep(_LOOK_SECONDS)
        await asyncio.sleep(_MORE_SECONDS)
        self._port = next(port for port in self._ports if port in ports(process.pid) | {there[0]})
        self.url = f"http://127.0.0.1:{self._port}"

    def _printed(self) -> str:
        last = self._replica.tail() if self._replica is not None else ""
        return f": {last}" if last else ""

    async def read(self, sent: Awaitable[object]) -> Launch:
        """Send it the sample, and give how it is started, with the variables that it was seen to read.

        Raises:
            Unguessed: when it uses none of the listeners.

        """
        assert self._replica is not None and self._replica.process is not None  # noqa: S101, PT018 - it was begun
        ready = await self._ready()
        await sent
        env = dict(self._launch.env)
        if name := self._ports[self._port]:
            env[name] = self._guess.ports[name]
        if self._listeners is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._listeners.first.wait(), _MET_SECONDS)
            if not self._listeners.met:
                own = {self._port, *self._ports}
                others = sorted(one for one in connections(self._replica.process.pid) if one[1] not in own)
                seen = (
                    f"it is connected to {', '.join(f'{host}:{port}' for host, port in others)}"
                    if others
                    else (f"it connected to nothing{self._printed()}")
                )
                raise Unguessed("store", f"which variable tells the service where its Redis is, is not known: {seen}")
            for name in filter(None, self._listeners.met):
                if host := self._guess.host_of(name):
                    env[host] = "{redis_host}"
                env[name] = self._guess.stores[name]
        return Launch(self._launch.command, env, self._launch.folder, ready)

    async def _ready(self) -> str | None:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=1)) as session:
            for path in _READY:
                with suppress(aiohttp.ClientError, TimeoutError):
                    async with session.get(self.url + path) as answer:
                        if answer.ok:
                            return path
        return None

    async def close(self) -> None:
        """End it."""
        if self._replica is not None:
            await asyncio.to_thread(self._replica.close)


def _redis(port: int) -> dict[str, str]:
    return {"redis_port": str(port), "redis_url": f"redis://127.0.0.1:{port}/0"}
