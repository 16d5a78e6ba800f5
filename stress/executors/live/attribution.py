"""Whose frame is it: by causality, by what it carries, by what each request would do next."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from stress.core.masking import mask_command, mask_text
from stress.core.patterns import RECORD, Shown
from stress.core.step import Move, Step
from stress.core.symbols import Names
from stress.core.trace import TransientFault
from stress.executors.live.own_names import processes
from stress.executors.live.record import plain
from stress.schedulers.base import is_worker

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from stress.core.step import Touch
    from stress.executors.live.executor import LiveExecutor
    from stress.executors.live.request import Request, Signature
    from stress.protocols.base import Found, Written
    from stress.protocols.gate import Channel, Effect, Frame

END = ("", "answer")
_REMEDY = (
    "let each reach a replica of its own (`replicas: 2` in the target, `replicas: [1, 2]` in the scenario), or let the "
    "service write into its commands what it is sent as `correlation`"
)


def _key(effect: Effect, name: str) -> str:
    """Call a key as objects are called."""
    return f"db{effect.database}:{name}" if effect.database else name


class Attribution:
    """Gives every frame of one run its owner, and its step the names that compare between runs.

    ``written`` are the keys that the frames write, as the store knows them. ``shown`` are the words of each actor's
    commands and answers, where they are to be kept. ``shared`` names two requests that overlap and share the only
    connection that requests have (``A and B``; empty: none were seen). ``carried`` are the commands of each connection.
    ``letting`` are replicas whose worker was let go: what they show then is its, but by a connection of requests.
    """

    def __init__(self, executor: LiveExecutor, fresh: str, fingerprint: str) -> None:
        """Begin a run in which nothing was shown yet."""
        self._executor, self._fresh = executor, fresh
        seconds, patterns = executor.target.second == "matters", executor.learned.patterns
        self._names = Names(
            fingerprint,
            fresh,
            time.time(),
            seconds=seconds,
            patterns=patterns,
            own=executor.renamed | processes(executor.replicas.values() if executor.target.protocol is None else ()),
        )
        self._shown: dict[tuple[str, str, str], int] = {}
        self._raw: dict[str, str] = {}
        self._alike: list[set[str]] = []
        self._watching: dict[int, str] = {}
        self._carried: dict[Channel, str] = {}
        self.written: set[Written] = set()
        self.shared = ""
        self.carried: dict[Channel, set[Signature]] = {}
        self.shown: dict[str, list[Shown]] | None = None
        self.letting: set[int] = set()
        self._showing: dict[int, tuple[str, int]] = {}

    def named(self, text: str) -> str:
        """Replace the names that the Gateway made up."""
        name = self._names.replace(text)
        self._raw[name] = text
        return name

    def in_full(self, text: str) -> str:
        """Replace the names in a text that the Gateway has read."""
        return self._names.in_full(text)

    @property
    def symbols(self) -> Mapping[str, str]:
        """What was made up, by the names that replace it."""
        return self._names.symbols

    @property
    def seconds(self) -> Sequence[int]:
        """The seconds of which names were made so far, where the target's names depend on the second."""
        return self._names.seconds

    def record(self, text: str) -> str:
        """Replace the made-up names in the name of a record."""
        return self._names.record(text)

    def reported(self, actor: str, replica: int, record: str) -> str:
        """Replace the made-up names in the name of a record that an answer tells."""
        if self.shown is not None:
            reported = Shown((RECORD, self._names.given(record)), frozenset({1}), time.time(), replica)
            self.shown.setdefault(f"{actor} answer", []).append(reported)
        return self.record(record)

    async def passes(self, frame: Frame) -> bool:
        """Tell whether a frame is no request's, so that it is no step; what waits in the store is one.

        One that is a worker's is given its actor.
        """
        learned, working = self._executor.learned, self._executor.gate.working
        if frame.actor or frame.waiting or frame.pushed:
            return False
        known = learned.passing if learned.worker is None else (*learned.passing, learned.worker.head)
        if frame.channel not in working and not self.letting and all(frame.command != command for command, _ in known):
            return False
        signature = await self.signature(frame)
        if signature in learned.passing and not (frame.channel in working and "{" in signature[1]):
            return True
        if (
            learned.worker is not None
            and signature == learned.worker.head
            and frame.channel not in self._executor.carriers
        ):
            working.add(frame.channel)
        if frame.channel in working or (
            frame.channel.replica in self.letting and frame.channel not in self._executor.carriers
        ):
            frame.actor = f"worker:{frame.channel.replica}"
        return False

    async def signature(self, frame: Frame) -> Signature:
        """Give a command with what it touches, as it compares between runs."""
        found = await self.found(frame)
        return frame.command, plain(mask_text(" ".join(found.objects)))

    async def own(self, frame: Frame, requests: Iterable[Request], running: Request | None) -> str:
        """Give a frame its actor and its step; give why that is not possible, or nothing."""
        self._meet(frame)
        found = await self.note(frame)
        objects = mask_text(" ".join(found.objects))
        if frame.actor:  # an event of a watch: nobody's but the watch's, or what a worker does
            frame.step = self._step((frame.actor, frame.command, objects), found)
            if not is_worker(frame.actor):
                self._show(frame, found)
            return ""
        owner = self._owner(frame, (frame.command, objects), requests, running)
        if owner is None:
            reported = f"ambiguous: {frame.command} {objects} may be of several requests, and carries no mark of one"
            return TransientFault(f"{reported}: {_REMEDY}")
        self._carried[frame.channel] = owner.actor
        self._executor.carriers.add(frame.channel)
        self.carried.setdefault(frame.channel, set()).add((frame.command, plain(objects)))
        owner.blocked = owner.owes = False
        owner.showing[frame.command, objects] += 1
        frame.actor = owner.actor
        if self._shares_session(frame):
            found = found._replace(varies=True)
        frame.step = self._step((owner.actor, frame.command, objects), found)
        self._show(frame, found)
        return ""

    def _meet(self, frame: Frame) -> None:
        """Recognise the names that the store made, and what was learned to be made up."""
        for prefix, rest in frame.generated:
            self._names.generated(prefix, rest)

    def _show(self, frame: Frame, found: Found) -> None:
        """Remember the words of a frame, so that what is made up in them can be learned."""
        if self.shown is None:
            return
        for effect in frame.effects:
            words = [arg.decode("utf-8", "backslashreplace") for arg in effect.args]
            places = [at for at, word in enumerate(words) if at and _key(effect, self.named(word)) in found.objects]
            given = (words[0], *(self._names.given(word) for word in words[1:]))
            several = self.shown.setdefault(frame.actor, [])
            self._showing[id(frame)] = frame.actor, len(several)
            several.append(Shown(given, frozenset(places), time.time(), frame.channel.replica))

    def _shares_session(self, frame: Frame) -> bool:
        """Tell whether a command changes what its connection watches while another request has left it watching.

        What either does there then depends on what the other did, whatever keys they name.
        """
        does = self._executor.deployment.of(frame).session(frame.command)
        if not does:
            return False
        watching = self._watching.get(id(frame.channel))
        if does == "begins":
            self._watching.setdefault(id(frame.channel), frame.actor)
        else:
            self._watching.pop(id(frame.channel), None)
        return watching not in (None, frame.actor)

    def _step(self, key: tuple[str, str, str], found: Found) -> Step:
        self._shown[key] = occurrence = self._shown.get(key, 0) + 1
        return Step(Move(*key, occurrence), found.touches, " ".join(mask_command(found.words)), found.varies)

    def repeat(self, frame: Frame) -> None:
        """Take a step for the one before it of the same actor, which asked for the same."""
        if frame.step is not None:
            self._shown[frame.step.move[:3]] -= 1

    def count_repeat(self, frames: Iterable[Frame]) -> None:
        """Count steps from here on, those of these frames first."""
        self._shown.clear()
        for frame in frames:
            if frame.step is not None:
                key = frame.step.move[:3]
                self._shown[key] = occurrence = self._shown.get(key, 0) + 1
                frame.step = replace(frame.step, move=Move(*key, occurrence))

    async def note(self, frame: Frame, seen: Sequence[Touch] | None = None) -> Found:
        """Give what a frame accesses, and remember what of it is written; ``seen`` is what it was seen to access."""
        found = await self.found(frame, seen)
        self.written |= self._executor.deployment.of(frame).written(frame, found.touches, self._raw)
        return found

    async def found(self, frame: Frame, seen: Sequence[Touch] | None = None) -> Found:
        """Give what a frame accesses."""
        for effect in (*frame.effects, *frame.watched):
            self._names.meet([arg.decode("utf-8", "backslashreplace") for arg in effect.args])
        return await self._executor.deployment.of(frame).found(frame, self.named, seen)

    async def done(self, frame: Frame) -> None:
        """Take in what a frame did, once its reply is here: what its scripts touch, an object that the server named."""
        self._meet(frame)
        if self.shown is not None and id(frame) in self._showing:
            actor, at = self._showing.pop(id(frame))
            self.shown[actor][at] = self.shown[actor][at]._replace(reply=self._names.given(frame.said))
        store = self._executor.deployment.of(frame)
        self.written |= store.replied(frame)
        if frame.seen is not None:
            found = await self.note(frame, frame.seen)
            if frame.step is not None:
                varies = found.varies or (frame.step.varies and bool(store.session(frame.command)))
                frame.step = replace(frame.step, touches=found.touches, varies=varies)

    def _owner(
        self, frame: Frame, signature: Signature, requests: Iterable[Request], running: Request | None
    ) -> Request | None:
        if late := self._late_owner(frame, signature, requests, running):
            return late
        able = [one for one in requests if one.replica == frame.channel.replica and (one is running or one.blocked)]
        expected = self._executor.expected
        if len(able) == 1:
            (only,) = able
            self._note_mixing(frame, only, requests)
            for place in only.places:
                seen = expected.setdefault(place, Counter())
                seen[signature] = max(seen[signature], only.showing[signature] + 1)
            return only
        return self._of_several(frame, signature, able, requests)

    def _of_several(
        self, frame: Frame, signature: Signature, able: Sequence[Request], requests: Iterable[Request]
    ) -> Request | None:
        """Give whose command it is of several who can go on: by what it carries, by what each does next, by connection.

        What a request does next is known best after the same replies, else after the same commands.
        """
        if (carried := self._carried_by(frame, able)) is not None:
            return carried
        expected, known, fitting = self._executor.expected, False, able
        for at in (0, 1):
            known = all(one.places[at] in expected for one in able)
            fitting = [
                one for one in able if one.showing[signature] < expected.get(one.places[at], Counter())[signature]
            ]
            if known and len(fitting) == 1:
                self._note_mixing(frame, fitting[0], requests)
                return fitting[0]
        alike = known and all(one.history == fitting[0].history for one in fitting)
        waiting = all(one.blocked for one in fitting)
        if not (alike and fitting and (waiting or all(one.done == fitting[0].done for one in fitting))):
            return self._bound_to(frame, able)
        self._alike.append({one.actor for one in fitting})
        return fitting[0]

    def _carried_by(self, frame: Frame, able: Sequence[Request]) -> Request | None:
        """Give the one whose mark a command carries."""
        marked = [one for one in able if self._executor.marks.mark(self._fresh, one.sent_as).encode() in frame.raw]
        return marked[0] if len(marked) == 1 else None

    def _late_owner(
        self, frame: Frame, signature: Signature, requests: Iterable[Request], running: Request | None
    ) -> Request | None:
        """Give who was answered and waited for another's work to end, where a command is not of the one running.

        Several workers that are all at work let the next job wait. It is of the one running unless that is known to
        do something else now.
        """
        owing = [one for one in requests if one.owes and one is not running and one.replica == frame.channel.replica]
        if (carried := self._carried_by(frame, owing)) is not None:
            return carried
        expected = self._executor.expected
        if running is not None and owing:
            seen = expected.get(tuple(running.history))
            if seen is None or running.showing[signature] < seen[signature]:
                return None
        fitting = [
            one for one in owing if one.showing[signature] < expected.get(tuple(one.history), Counter())[signature]
        ]
        if any(one.history != fitting[0].history for one in fitting):
            return None
        return min(fitting, key=lambda one: one.started, default=None)

    def _note_mixing(self, frame: Frame, owner: Request, requests: Iterable[Request]) -> None:
        """See whether a connection carries a command of a request while another is under way whose it carried last."""
        last = self._carried.get(frame.channel, owner.actor)
        under_way = [one.actor for one in requests if one.task is not None and not one.task.done()]
        if last == owner.actor or last not in under_way:
            return
        self._executor.mixes = True
        if all(one is frame.channel or one.replica != owner.replica for one in self._executor.carriers):
            self.shared = " and ".join(sorted((last, owner.actor)))

    def _bound_to(self, frame: Frame, able: Sequence[Request]) -> Request | None:
        """Give whose commands the connection carried last, unless requests that overlap were seen to share any.

        Commands that were written together may be of several: each is asked for by itself first.
        """
        together = "+" in frame.command.partition("(")[0]
        last = None if self._executor.mixes or together else self._carried.get(frame.channel)
        return next((one for one in able if one.actor == last), None)

    def alike(self, one: Request, other: Request) -> bool:
        """Tell whether two requests were given each their frame when nothing distinguished them."""
        return any({one.actor, other.actor} <= group for group in self._alike)
