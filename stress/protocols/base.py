"""The interface of a wire protocol: all that anything outside its folder asks of a kind of store.

A protocol is one object, a `WireProtocol`, registered in `protocols/<name>/protocol.py` under its key in `stores` of a
target file. It makes a `TargetStore`: one store of one deployment, behind the gate.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol

from stress.core.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
    from contextlib import AsyncExitStack
    from pathlib import Path

    from stress.config.stores import Parts, StatePart, StorePart
    from stress.config.target import Target
    from stress.core.step import Touch
    from stress.core.trace import Snapshot
    from stress.processes.child import Child
    from stress.processes.probe import Probe
    from stress.protocols.gate import Frame, Gate
    from stress.protocols.looked import Content, Looked, Observing
    from stress.protocols.wrapped import GatedStore, Wanted

Written = tuple[str, object]
"""What a Gateway wrote: the protocol of its store, and what only that understands."""


class Found(NamedTuple):
    """What commands access, each object once with its strongest access.

    ``objects`` are those that the commands name themselves: a step is called by them, so that what becomes known of a
    script does not change what its step is called. ``words`` is the first command, named. ``varies`` says that a script
    among them accesses what it does not declare: in another state it may access more.
    """

    touches: tuple[Touch, ...]
    objects: tuple[str, ...]
    words: tuple[str, ...]
    varies: bool = False


class Proxy(Protocol):
    """What listens for one replica and leads its connections through the gate to the server."""

    port: int
    replica: int

    async def close(self) -> None:
        """Stop listening and end every connection."""


class TargetStore(ABC):
    """One store of one deployment: started or attached, behind the gate, restored after each run.

    ``embedded`` is whether it was started here for this deployment alone. ``watched`` is whether clients learn of
    changes by events that may come before or after a reply. ``notes`` are for the user of a store that is lent.
    ``given`` are values of placeholders that requests may hold, known once it is open.
    """

    protocol: ClassVar[str]
    embedded = True
    watched = False
    database = 0
    """The number of the part of it that state is read in, where it has several."""

    def __init__(self, target: Target, gate: Gate) -> None:
        """Start nothing yet."""
        self._target, self._gate = target, gate
        self._proxies: list[Proxy] = []
        self.given: dict[str, str] = {}

    # --- its life -----------------------------------------------------------------------------------------

    @abstractmethod
    async def open(self) -> None:
        """Start the server or attach to it, and make what the target wants to be there.

        Raises:
            Unavailable: when it is not there, or refuses us.
            UsageFault: when a file that the target names can't be read.

        """

    @abstractmethod
    async def close(self) -> None:
        """Give back what was there before, and end what was started here."""

    @abstractmethod
    async def serve(self, number: int) -> dict[str, str]:
        """Listen for a replica; give the placeholders by which its clients are led to the gate.

        Raises:
            Unavailable: when the port that the target names is taken.

        """

    async def end_proxies(self) -> None:
        """Stop listening for every replica."""
        for proxy in self._proxies:
            await proxy.close()
        self._proxies.clear()

    @property
    def ports(self) -> set[int]:
        """Where the gate listens for it."""
        return {proxy.port for proxy in self._proxies}

    @property
    def processes(self) -> Sequence[Child]:
        """The processes that were started here and must live as long as the deployment."""
        return ()

    @property
    def death(self) -> str:
        """Say how a server that was started here ended, or nothing while it lives."""
        return ""

    @property
    def notes(self) -> list[str]:
        """What the user of a lent store should know; who reads it clears it."""
        return []

    async def remember(self) -> None:
        """Keep what replicas have written as they started: each run begins with it."""

    async def empty(self) -> None:
        """Forget everything, as the replicas are about to be started again."""

    # --- a command ----------------------------------------------------------------------------------------

    @abstractmethod
    async def found(self, frame: Frame, naming: Callable[[str], str], seen: Sequence[Touch] | None = None) -> Found:
        """Give what a frame accesses; objects are called as ``naming`` calls them.

        ``seen`` is what the store was seen to access for it: some accesses are known only after the fact.
        """

    @abstractmethod
    async def release(self, frame: Frame, naming: Callable[[str], str], seconds: float) -> bool:
        """Let a frame through; tell whether it was replied to within so many seconds."""

    @abstractmethod
    def written(self, frame: Frame, touches: Sequence[Touch], raw: Mapping[str, str]) -> set[Written]:
        """Give what a frame writes; ``raw`` has the names of objects as the store knows them."""

    def replied(self, frame: Frame) -> set[Written]:  # noqa: ARG002 - a store that names what it makes overrides it
        """Take in the reply to a frame; give what the store made for it under a name of its own."""
        return set()

    def session(self, command: str) -> str:  # noqa: ARG002 - a store without sessions has nothing to say
        """Tell what a command does to what its connection watches: ``begins``, ``ends``, or nothing."""
        return ""

    # --- a run --------------------------------------------------------------------------------------------

    @abstractmethod
    async def probe(self) -> None:
        """Ask whether it is there.

        Raises:
            StoreLost: when it is not.

        """

    @property
    def suspected(self) -> bool:
        """Whether it was seen not to reply, and has not replied since."""
        return False

    def suspect(self) -> None:
        """Wait no more than a moment for it: it was seen not to reply."""

    @abstractmethod
    async def begin(self) -> None:
        """Count what is written from now on to a run."""

    @abstractmethod
    async def put(self, at: int, one: StatePart | dict[str, object], values: Mapping[str, str]) -> set[Written]:
        """Make what ``each_run`` of the target wants at a place; ``values`` are those of placeholders.

        Raises:
            UsageFault: when it refuses.

        """

    @abstractmethod
    async def forget(self, written: Collection[Written]) -> None:
        """Restore what a run has written. A store that is lost keeps it: that it is lost is reported elsewhere."""

    async def clear(self, written: Collection[Written]) -> None:
        """Restore the state in which the replicas had started, where it is ours alone; else what was written."""
        await self.forget(written)

    async def drained(self) -> None:
        """Wait until every client was sent all that follows from what has happened so far."""

    async def is_done(self, part: StatePart, values: Mapping[str, str]) -> bool:
        """Tell whether what ``settle`` of the target names shows that no work is left."""
        raise NotImplementedError  # a protocol whose parts of a target have `settle` has it

    @property
    def watching(self) -> bool:
        """Whether a client is sent events now."""
        return False

    @property
    def hides(self) -> bool:
        """Whether it sends clients events that are no step."""
        return False

    # --- its state ----------------------------------------------------------------------------------------

    @abstractmethod
    async def observe(
        self,
        values: Mapping[str, str],
        naming: Callable[[str], str],
        ended_by: str,
        forget: set[Written] | None,
    ) -> Snapshot:
        """Read the records of the target, and their hits where they are in it too; names as ``naming`` gives them.

        With ``forget`` what was written may be restored in the same go; it is empty then.
        """

    async def hits(self, names: Sequence[str], values: Mapping[str, str]) -> list[int | None]:
        """Read the hits of records that another store holds, by their names."""
        raise NotImplementedError  # a protocol whose parts of a target have `hits` has it

    @abstractmethod
    async def act(
        self, actor: str, sets: Mapping[str, object] | None, occurrence: int, values: Mapping[str, str]
    ) -> Sequence[object]:
        """Let an environment actor act; ``sets`` is what a writer writes if not what the target says.

        Each reply is true where something was there to act on.
        """

    @abstractmethod
    async def content(self) -> Content:
        """Read all that it holds."""

    async def make_namespace(self, name: str) -> None:
        """Make sure that the namespace of a signal is there, where it has such things."""

    # --- for those who implement it -----------------------------------------------------------------------

    async def _listen(self, proxy: Proxy, part: StorePart, start: Callable[[int], Awaitable[int]]) -> int:
        """Let a proxy listen where the target wants it to; give the port."""
        self._proxies.append(proxy)
        wanted = 0 if part.listen is None else part.listen + proxy.replica - 1
        try:
            return await start(wanted)
        except OSError:
            message = f"another process listens on port {wanted}, where the gate must"
            raise Unavailable(message, f"end it, or change stores.{self.protocol}.listen") from None


class Attached(NamedTuple):
    """What `doctor` asks of a store that runs already: probes, and the names of its hosts."""

    probes: Sequence[Probe] = ()
    hosts: Sequence[str] = ()


class WireProtocol(ABC):
    """A kind of store.

    ``name`` is its key in ``stores`` of a target file, ``title`` what people call it, ``leads`` the placeholders by
    which a service is led to it, for people, ``parts`` what it contributes to the format of a target file. ``default``
    is the one whose store a target has that names none.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    leads: ClassVar[str]
    parts: ClassVar[Parts]
    variables: ClassVar[Mapping[str, str]] = {}
    """Variables of a service that lead it there, with placeholders."""
    unread: ClassVar[str] = ""
    """What to do where a client speaks TLS to a gate that does not."""
    default: ClassVar[bool] = False

    @abstractmethod
    def of_target(self, target: Target, folder: Path, gate: Gate, allow: Collection[str]) -> TargetStore:
        """Make the store of a target, which has such a part; paths in it are relative to ``folder``.

        ``allow`` are hosts other than this machine that it may lead to.

        Raises:
            UsageFault: when a file that says where it is can't be used.

        """

    def embedded(self) -> Sequence[Probe]:
        """Give the probes of what it starts where a target names no server."""
        return ()

    def attached(self, target: Target, folder: Path, allow: Collection[str]) -> Attached:  # noqa: ARG002 - of who may attach
        """Give the probes of the store of a target, where it runs already; nobody is asked yet.

        Raises:
            UsageFault: when a file that says where it is can't be used, as for a run.

        """
        return Attached()

    async def isolated(self, keys: Mapping[str, Any], folder: Path, stack: AsyncExitStack) -> dict[str, str]:
        """Start a server that a service is led to without a gate, until the ``stack`` ends; give its placeholders.

        ``keys`` are what the target file of the service says so far, relative to ``folder``.
        """
        raise NotImplementedError  # a protocol that `init` can start for a service has it

    def counter(self, command: str, words: Sequence[str]) -> str:  # noqa: ARG002 - as above
        """Give what reads the counter that a command counts up, as a target file has it; empty where it counts none."""
        return ""

    def observing(self, looked: Looked) -> Observing | None:  # noqa: ARG002 - of a protocol that finds records
        """Find where such a store holds what answers name, by what it held after requests one after another."""
        return None

    @abstractmethod
    def wrapped(self, wanted: Wanted) -> GatedStore:
        """Make the store of a command that `wrap` starts.

        Raises:
            NoStore: when its environment names none, or one on a host that is not allowed.

        """

    def rule(self, command: str, objects: str) -> str:  # noqa: ARG002 - of a protocol that has rules
        """Give the rule under ``background`` that lets a command pass; empty for a command that is not its own."""
        return ""

    @abstractmethod
    def named_by(self, environment: Mapping[str, str]) -> bool:
        """Tell whether the environment of a command leads its clients to such a store."""
