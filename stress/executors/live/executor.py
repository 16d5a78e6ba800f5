"""The wire executor: real Gateway processes, a real store, the gate between. Started once, used for many schedules."""

from __future__ import annotations

import asyncio
import math
import time
from typing import TYPE_CHECKING, Any, Self, TypeVar
from weakref import WeakSet

from stress.core.errors import Unavailable, Untested, UsageFault
from stress.core.step import letters
from stress.core.trace import TransientFault
from stress.core.verdict import counted
from stress.executors.asked import Asked, ChoiceLog, Crossed, Probed, new_fresh
from stress.executors.environment import misfits
from stress.executors.fingerprint import Marks
from stress.executors.live.answers import Reader
from stress.executors.live.attribution import Attribution
from stress.executors.live.blocked import Waits
from stress.executors.live.client import Client, Form, Line, Raw
from stress.executors.live.deployment import Deployment, each
from stress.executors.live.drive import CROSSINGS
from stress.executors.live.isolated import Isolated
from stress.executors.live.judged import bypassed, stop
from stress.executors.live.pace import Pace
from stress.executors.live.preflight import Learned, preflight, renamed
from stress.executors.live.seen import Seen
from stress.executors.live.usher import TOGETHER_SECONDS, usher
from stress.processes.child import connections

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from stress.config.scenario import Scenario
    from stress.config.target import Target
    from stress.core.trace import Trace
    from stress.executors.live.drive import Drive
    from stress.executors.live.judged import Stop
    from stress.executors.live.polling import Ending, Key
    from stress.executors.live.request import Place, Signature
    from stress.processes.replicas import Replica
    from stress.processes.source_lines.looker import Looker
    from stress.protocols.base import Written
    from stress.protocols.gate import Channel
    from stress.schedulers.base import Scheduler

Begun = TypeVar("Begun", bound="Drive")

_ANSWER_SECONDS = 30.0
_WARM_PATIENCES = 10
_FIX_PATIENCES = 2
"""How long a Gateway may go on with server errors before the first schedule, while it connects to its store."""
_SERVER_ERROR = 500
_MOST_TURNS = 20
"""How often a run is repeated at most in which a service gave its only connection to another request than was asked."""
_MOST_PRINTED, _MOST_ASKED = 3, 20
_TOO_SLOW = "requests one after another, before the search, take longer than the {:g} s of both"


class LiveExecutor:
    """One scenario on one target, on the wire. Use it as an async context manager.

    To enter it may take ``most_seconds``, and took ``preflight_seconds``, without the start of a deployment of its own.
    Unless ``judged`` it is entered also where the preflight shows that the target can't be tested (`stop` says why).

    Raises:
        Unavailable: on entering, when the store or a Gateway does not start.
        UsageFault: when the target can't play the scenario (a missing ``environment`` entry), lacks a file, or has an
            address that is neither loopback nor in ``allow``; on entering, when the preflight shows a fault in a file.
        Untested: on entering, when the preflight shows that nothing can be concluded.

    """

    name = "live"

    def __init__(
        self,
        scenario: Scenario,
        target: Target,
        folder: Path | None = None,
        allow: Collection[str] = frozenset(),
        deployment: Deployment | None = None,
    ) -> None:
        """Start nothing yet; ``folder`` is what the target's paths are relative to (default: where its file stands).

        ``allow`` are hosts other than this machine that a target may name. A ``deployment`` that is ready already is
        used and left as it is; without one this executor makes its own.
        """
        faults = misfits(scenario, target)
        if faults:
            raise UsageFault(faults)
        self.deployment = deployment or Deployment(target, folder, allow)
        self._own = self.deployment if deployment is None else None
        self.scenario, self.target = scenario, target
        self.gate, self.replicas = self.deployment.gate, self.deployment.replicas
        self.patience = target.patience
        self.clients: dict[str, Client] = {}
        self.waits = Waits(self.patience)
        self.ended: set[tuple[str, ...]] = set()
        self.expected: dict[Place, Counter[Signature]] = {}
        self.mixes = False  # whether requests that overlap were seen to share a connection to the store
        self.carriers: WeakSet[Channel] = WeakSet()  # the connections that carried commands of requests
        self.loops: dict[Key, Ending] = {}
        self.marks = Marks(scenario.signal, target)
        self.reader = Reader(target.answers, self.marks.field)
        self._form = Form(
            scenario.signal, target.request, target.body(self.deployment.folder), self.marks, self.deployment.given
        )
        self.learned, self.pace = Learned(), Pace()
        self.judged = True
        self.looker: Looker | None = None  # where it is, the next runs are looked at
        self.most_seconds, self.preflight_seconds = math.inf, 0.0
        self.renamed: dict[str, str] = {}  # what these processes made up at their start, as `learned` has it
        self._drive: Drive | None = None
        self._beside: dict[Deployment, LiveExecutor] = {}
        self._ready = (target.start.ready.path if target.start else None) or "/ready"

    async def __aenter__(self) -> Self:
        """Start store, gate and Gateways; warm every connection."""
        try:
            if self._own is not None:
                await self._own.__aenter__()
            begun = time.monotonic()
            limit = asyncio.timeout(self.most_seconds if self.most_seconds < math.inf else None)
            try:
                async with limit:
                    await self.deployment.state.make_namespace(self.scenario.signal.namespace)
                    self.clients |= self.connected(self.scenario.places)
                    await self._warm()
                    await self._judge()
            except TimeoutError:
                if not limit.expired():
                    raise
                raise self._too_slow() from None
            self.preflight_seconds = time.monotonic() - begun
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """End everything that was started here."""
        await asyncio.gather(*(executor.__aexit__() for executor in self._beside.values()))
        self.gate.let_go()
        for client in self.clients.values():
            await client.close()
        if self._own is not None:
            await self._own.__aexit__()

    def _too_slow(self) -> Untested:
        """Say that the time of the preflight was over, and what it was about."""
        begun = self.abandoned("")
        moves = begun.moves if begun is not None else ()
        reported = f", the last of {counted(len(moves), 'step')}: {moves[-1]}" if moves else ""
        remedy = "name what is no request's under `background`, or let the search have more: --seconds"
        return Untested(_TOO_SLOW.format(self.most_seconds) + reported, remedy)

    async def stop(self) -> Stop | None:
        """Say why the preflight shows that the target can't be tested as it is, or None."""
        seen = self.seen
        return stop(seen._replace(connected=await self._connected()) if bypassed(seen) else seen)

    @property
    def seen(self) -> Seen:
        """What the preflight showed."""
        sent = self._form.fill(new_fresh(), "", "A")
        return Seen(
            self.scenario,
            self.target,
            self.learned.samples,
            self.marks,
            self.gate.heard,
            f"{sent.method} {sent.path}",
            printed=[line for replica in self.replicas.values() for line in replica.tails(_MOST_PRINTED)],
            watching=self.deployment.state.watching,
            database=self.deployment.state.database,
        )

    async def _judge(self) -> None:
        if self.judged and (fault := await self.stop()) is not None:
            raise fault

    async def _connected(self) -> list[str]:
        """Give what the Gateways are connected to beside the gate while they are asked again, as far as it is seen."""
        client, found, own = next(iter(self.clients.values())), set[tuple[str, int]](), self.deployment.ports
        processes = [replica.process.pid for replica in self.replicas.values() if replica.process is not None]
        for _ in range(_MOST_ASKED if processes else 0):
            fresh = new_fresh()
            asking = asyncio.ensure_future(self.send(client, fresh, self.marks.fingerprint(fresh), "A"))
            while not asking.done():
                found |= {one for pid in processes for one in connections(pid) if one[1] not in own}
                await asyncio.sleep(0)
            if found:
                break
        return [f"{host}:{port}" for host, port in sorted(found)]

    async def run(self, scheduler: Scheduler, fresh: str | None = None, also: frozenset[str] = frozenset()) -> Trace:
        """Run one schedule that the scheduler chooses; ``fresh`` is the value of ``{fresh}`` (default: a new one).

        ``also`` are environment actors that may act once although the scenario does not name them. On a target where
        the second matters a run that crosses one unasked, and shows it in a name, is repeated with the same choices.
        """
        memory = ChoiceLog(scheduler)
        return await self.isolated(Asked(memory, fresh or "", also), memory)

    @property
    def digest(self) -> str:
        """What tells its Gateway from another."""
        return self.deployment.digest

    @property
    def broken(self) -> bool:
        """Whether a Gateway or the store has ended, or does not reply."""
        return self.deployment.broken or self.deployment.state.suspected

    @property
    def apart(self) -> float:
        """How many seconds its processes, and others beside them, took to end and start again."""
        return self.deployment.apart

    @property
    def blocked_seconds(self) -> list[float]:
        """How long it took to know each blocked request as blocked."""
        return self.waits.seconds

    async def restart(self) -> None:
        """Run the next schedule in new processes of the Gateway, which know of no schedule before.

        Raises:
            Unavailable: when one does not start.

        """
        for client in self.clients.values():
            await client.close()
        await self.deployment.restart()
        self.waits = Waits(self.patience)
        self.clients |= self.connected(self.scenario.places)
        await self._warm()

    def begun(self, drive: Begun) -> Begun:
        """Remember a run that is about to begin, for a user who interrupts it."""
        self._drive = drive
        return drive

    async def isolated(self, asked: Asked, memory: ChoiceLog) -> Trace:
        """Run one schedule, chosen by a ``memory``, while no other runs; see `run`.

        Where requests wait for the only connection, who of them has it next is the service's to choose: a run in which
        another had it is repeated.
        """
        crossed = others = 0
        while crossed < CROSSINGS:
            drive = self.begun(Isolated(self, asked._replace(fresh=asked.fresh or new_fresh())))
            try:
                trace = await drive.run()
            except (Crossed, Probed) as repeat:
                crossed += isinstance(repeat, Crossed)
                memory.restart()
                continue
            finally:
                await self.forget(drive.written)
            if others < _MOST_TURNS and trace.shared_connection and trace.fault.startswith("DIVERGED"):
                others += 1
                memory.restart()
                continue
            if not trace.fault:
                self.pace.took(drive.taken.seconds)
            return trace
        return drive.abandoned(TransientFault(f"the run crossed a second unasked {CROSSINGS} times"))

    async def beside(self, most: int) -> Sequence[LiveExecutor]:
        """Give this executor and others like it, at most so many together, each on a deployment of its own."""
        new = []
        for deployment in (await self.deployment.beside(most))[1:]:
            if deployment not in self._beside:
                self._beside[deployment] = beside = LiveExecutor(
                    self.scenario, self.target, deployment.folder, deployment=deployment
                )
                beside.learned, beside.reader, beside.expected = self.learned, self.reader, self.expected
                beside.pace, beside.ended, beside.judged = self.pace, self.ended, False  # this one was
                beside.loops = self.loops
                new.append(beside)
        for executor, failed in zip(new, await each(executor.__aenter__() for executor in new), strict=True):
            if failed is not None:
                del self._beside[executor.deployment]
                self.deployment.left_out = str(failed)
        return [self, *(executor for deployment, executor in self._beside.items() if not deployment.broken)][:most]

    def abandoned(self, reason: str) -> Trace | None:
        """Give the trace so far of the run that is under way, for a user who interrupts it."""
        return self._drive.abandoned(reason) if self._drive is not None else None

    async def send(self, client: Client, fresh: str, fingerprint: str, actor: str, line: Line | None = None) -> Raw:
        """Send the scenario's signal for one actor, with others that wait in a ``line`` if there is one."""
        return await client.send(self._form.fill(fresh, fingerprint, actor), line)

    async def look(self, replica: Replica) -> None:
        """See whether a Gateway that left requests without an answer answers at all; one that does not is lost."""
        client = Client(replica, self.patience)
        try:
            answer = await client.warm(self._ready)
        finally:
            await client.close()
        if not answer.status and not replica.death:
            why = f"it has answered nothing for {self.patience:g} s, nor GET {self._ready}"
            replica.lost = f"Gateway {replica.number} hangs: {why} (longer `patience` if it only takes so long)"
            self.deployment.hung = True

    async def forget(self, written: Collection[Written]) -> None:
        """Delete what a schedule wrote."""
        await self.deployment.state.forget(written)

    async def at_rest(self) -> None:
        """Wait until the watches have sent every write and the Gateways know it: each schedule begins alike."""
        if self.deployment.state.watched:
            await self.deployment.state.drained()
            for replica in self.replicas.values():
                await self.waits.calm(replica, self.gate.signal)

    async def escort(self, work: asyncio.Future[Any], fresh: str, fingerprint: str, written: set[Written]) -> None:
        """Let everything through while requests are at work, one frame after another; add the keys they write."""
        names = Attribution(self, fresh, fingerprint)
        names.written = written
        await usher(self.deployment, work, names)

    def connected(self, places: Sequence[int]) -> dict[str, Client]:
        """Make one client for each request of a schedule; ``places`` are the numbers of their replicas."""
        each_at = zip(letters(self.scenario.concurrent), places, strict=True)
        return {actor: Client(self.replicas[place], _ANSWER_SECONDS) for actor, place in each_at}

    async def _warm(self) -> None:
        """Open every connection before the first schedule: each client's, and as many to the store as requests at once.

        What this writes is deleted. A Gateway that runs already may need a while to find its store again: until each
        request that comes alone has an answer, as some Gateways fail those that come together.
        """
        for client in self.clients.values():
            await client.warm(self._ready)
        deadline = time.monotonic() + _FIX_PATIENCES * self.patience
        own = list(self.clients.items())
        answers = await self._send_to_warm(own)
        while any(map(self._failed, answers)) and time.monotonic() < deadline:
            await asyncio.sleep(TOGETHER_SECONDS)
            answers = [answer for pair in own for answer in await self._send_to_warm([pair])]
            if not any(map(self._failed, answers)):
                await self._send_to_warm(own)
        await asyncio.sleep(2 * TOGETHER_SECONDS)
        for replica in self.replicas.values():
            await self.waits.rest(replica, self.gate.signal)
        if self.deployment.death:
            raise Unavailable(self.deployment.death, "send it one signal by hand to see why")
        if self.learned.samples:  # by this, or another deployment of the target
            self.renamed = await renamed(self)
        else:
            await self._learn()

    async def _learn(self) -> None:
        """Take in what sequential requests show: what a request does next when it is alone."""
        self.learned = await preflight(self)
        for sample in self.learned.samples:
            if not sample.trace.fault:
                self.reader.learn(sample.trace.answers)
        for sample in self.learned.samples:  # they are judged by what is known now
            sample.trace.unreported = self.reader.unreported(sample.trace.answers)
            self.pace.took(sample.trace.seconds)
        if self.deployment.death:
            raise Unavailable(self.deployment.death, "send it one signal by hand to see why")

    def _failed(self, answer: Raw) -> bool:
        return answer.status >= _SERVER_ERROR and answer.status not in self.reader.normal

    async def _send_to_warm(self, clients: Sequence[tuple[str, Client]]) -> Sequence[Raw]:
        fresh = new_fresh()
        fingerprint = self.marks.fingerprint(fresh)
        names = Attribution(self, fresh, fingerprint)
        await self.deployment.state.prepare({"fresh": fresh, "fingerprint": fingerprint}, names.written)
        await self.at_rest()
        work = asyncio.gather(*(self.send(client, fresh, fingerprint, actor) for actor, client in clients))
        answers: Sequence[Raw] = ()
        why = "in time"
        try:
            async with asyncio.timeout(_WARM_PATIENCES * self.patience):
                await usher(self.deployment, work, names, together=True)
                answers = work.result()
        except TimeoutError:
            self.gate.reopen()
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
        else:
            why = next((f"({answer.error})" for answer in answers if not answer.status), "")
        finally:
            await self.deployment.state.clear(names.written)
        if why:
            await self.deployment.state.probe()  # where the store is lost, that is the reason
            message = self.deployment.death or self.gate.fault or f"the Gateway did not answer a warm-up request {why}"
            raise Unavailable(message, "send it one signal by hand to see why")
        return answers
