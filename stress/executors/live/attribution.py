"""Whose frame is it: by causality, by what it carries, by what each request would do next (DESIGN section 4)."""

from __future__ import annotations

import re
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from stress.core.masking import mask_command, mask_text
from stress.core.patterns import RECORD, Shown
from stress.core.step import Move, Step
from stress.core.symbols import Names
from stress.executors.live.state import made_by
from stress.protocols.kube.requests import WRITES, KubeEffect, described
from stress.protocols.redis.accesses import Found

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterable, Sequence

    from stress.core.step import Touch
    from stress.executors.live.client import Client, Raw
    from stress.executors.live.executor import WireWorld
    from stress.executors.live.redis import Written
    from stress.protocols.gate import Effect, Frame

Signature = tuple[str, str]
"""A command and the objects that it touches."""
END = ("", "answer")
_SESSION = frozenset({"WATCH", "UNWATCH", "EXEC", "DISCARD", "RESET"})
"""Commands that change what a connection watches."""
_IN_DATABASE = re.compile(r"db(\d+):")


@dataclass(slots=True, eq=False)
class Request:
    """One request in flight and what is known of it.

    ``history`` are its own steps so far, ``done`` the same in words with what each was replied, ``showing`` counts what
    it has shown since the last of them, ``told`` is what it was answered: status, record and count. ``sent_as`` is the
    actor that it was sent as: two that nothing told apart may exchange their names later. ``owes`` marks one that was
    answered and may have work left that waits for another's, ``late`` is for how long its steps after the answer were
    waited for, in seconds.
    """

    actor: str
    replica: int
    client: Client
    task: asyncio.Task[Raw] | None = None
    started: int = -1
    answered: bool = False
    blocked: bool = False
    history: list[Signature] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    showing: Counter[Signature] = field(default_factory=Counter)
    incarnations: list[int] = field(default_factory=list)
    told: tuple[int, str | None, int | None] | None = None
    sent_as: str = ""
    owes: bool = False
    late: float = 0.0

    def __post_init__(self) -> None:
        """Begin under the name that it is sent as."""
        self.sent_as = self.actor

    def exchange(self, other: Request) -> None:
        """Exchange names with another request that is alike, and with them what was done under each name."""
        for name in ("actor", "blocked", "history", "done", "showing", "incarnations", "owes", "late"):
            mine, its = getattr(self, name), getattr(other, name)
            setattr(self, name, its)
            setattr(other, name, mine)


def _key(effect: Effect, name: str) -> str:
    """Call a key as objects are called."""
    return f"db{effect.database}:{name}" if effect.database else name


def _changes_session(command: str) -> bool:
    """Tell whether a command changes what its connection watches; a transaction has its commands in brackets."""
    return command.partition("(")[0].upper() in _SESSION


class Attribution:
    """Gives every frame of one run its owner, and its step the names that compare between runs.

    ``written`` are the keys that the frames write, as the store knows them. ``shown`` are the words of each actor's
    commands and answers, where they are to be kept.
    """

    def __init__(self, world: WireWorld, fresh: str, fingerprint: str) -> None:
        """Begin a run in which nothing was shown yet."""
        self._world, self._fresh = world, fresh
        seconds, patterns = world.target.second == "matters", world.learned.patterns
        self._names = Names(fingerprint, fresh, time.time(), seconds=seconds, patterns=patterns)
        self._shown: dict[tuple[str, str, str], int] = {}
        self._raw: dict[str, str] = {}
        self._alike: list[set[str]] = []
        self._watching: dict[int, str] = {}
        self.written: set[Written] = set()
        self.shown: dict[str, list[Shown]] | None = None

    def named(self, text: str) -> str:
        """Replace the names that the Gateway made up."""
        name = self._names.replace(text)
        self._raw[name] = text
        return name

    def record(self, text: str) -> str:
        """Replace the made-up names in the name of a record."""
        return self._names.record(text)

    def told(self, actor: str, record: str) -> str:
        """Replace the made-up names in the name of a record that an answer tells."""
        if self.shown is not None:
            told = Shown((RECORD, self._names.given(record)), frozenset({1}))
            self.shown.setdefault(f"{actor} answer", []).append(told)
        return self.record(record)

    async def own(self, frame: Frame, requests: Iterable[Request], running: Request | None) -> str:
        """Give a frame its actor and its step; give why that is not possible, or nothing."""
        self._meet(frame)
        found = await self.note(frame.effects, frame.watched)
        objects = mask_text(" ".join(found.objects))
        if frame.actor:  # an event of a watch: nobody's but the watch's
            frame.step = self._step((frame.actor, frame.command, objects), found)
            self._show(frame, found)
            return ""
        owner = self._owner(frame, (frame.command, objects), requests, running)
        if owner is None:
            return f"ambiguous: {frame.command} {objects} may be of several requests, and carries no mark of one"
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
            self.shown.setdefault(frame.actor, []).append(Shown(given, frozenset(places)))

    def _shares_session(self, frame: Frame) -> bool:
        """Tell whether a command changes what its connection watches while another request has left it watching.

        What either does there then depends on what the other did, whatever keys they name.
        """
        if not _changes_session(frame.command):
            return False
        watching = self._watching.get(id(frame.channel))
        if frame.command.upper() == "WATCH":
            self._watching.setdefault(id(frame.channel), frame.actor)
        else:
            self._watching.pop(id(frame.channel), None)
        return watching not in (None, frame.actor)

    def _step(self, key: tuple[str, str, str], found: Found) -> Step:
        self._shown[key] = occurrence = self._shown.get(key, 0) + 1
        return Step(Move(*key, occurrence), found.touches, " ".join(mask_command(found.words)), found.varies)

    async def note(
        self, effects: Sequence[Effect], watched: Sequence[Effect], seen: Sequence[Touch] | None = None
    ) -> Found:
        """Give what commands touch, and remember what of it they write; ``seen`` is what their scripts did touch."""
        for effect in (*effects, *watched):
            self._names.meet([arg.decode("utf-8", "backslashreplace") for arg in effect.args])
        if effects and isinstance(effects[0], KubeEffect):
            effect = effects[0]
            if effect.verb in WRITES and effect.name:
                self.written.add(effect.path)
            return Found(*described(effect, self.named))
        found = await self._world.site.keys.touches(effects, watched, self.named, seen)
        for touch in found.touches:
            database, name = 0, touch.object
            if name not in self._raw and (where := _IN_DATABASE.match(name)):
                database, name = int(where[1]), name[where.end() :]
            if touch.access != "read" and name in self._raw:
                self.written.add((database, self._raw[name]))
        return found

    async def done(self, frame: Frame) -> None:
        """Take in what a frame did, once its reply is here: what its scripts touch, an object that the server named."""
        self._meet(frame)
        path = made_by(frame)
        if path:
            self.written.add(path)
        self._note_left(frame, path)
        if frame.seen is not None:
            found = await self.note(frame.effects, frame.watched, frame.seen)
            if frame.step is not None:
                varies = found.varies or (frame.step.varies and _changes_session(frame.command))
                frame.step = replace(frame.step, touches=found.touches, varies=varies)

    def _note_left(self, frame: Frame, made: str) -> None:
        """Note what an object is once a request has written it."""
        kube, effect, found = self._world.site.kube, next(iter(frame.effects), None), getattr(frame, "answer", None)
        if kube is not None and isinstance(effect, KubeEffect) and effect.verb in WRITES and found is not None:
            kube.kept.left(made or effect.path, found)

    def _owner(
        self, frame: Frame, signature: Signature, requests: Iterable[Request], running: Request | None
    ) -> Request | None:
        if late := self._late_owner(frame, signature, requests, running):
            return late
        able = [one for one in requests if one.replica == frame.channel.replica and (one is running or one.blocked)]
        expected = self._world.expected
        if len(able) == 1:
            only, history = able[0], tuple(able[0].history)
            seen = expected.get(history)
            if seen is None:
                seen = expected[history] = Counter()
            shown = only.showing.get(signature, 0) + 1
            if seen.get(signature, 0) < shown:
                seen[signature] = shown
            return only
        carried = [one for one in able if self._world.marks.mark(self._fresh, one.sent_as).encode() in frame.raw]
        if len(carried) == 1:
            return carried[0]
        fitting = [
            one for one in able if one.showing[signature] < expected.get(tuple(one.history), Counter())[signature]
        ]
        known = all(tuple(one.history) in expected for one in able)
        if known and len(fitting) == 1:
            return fitting[0]
        if not (known and fitting and all(one.blocked and one.history == fitting[0].history for one in fitting)):
            return None
        self._alike.append({one.actor for one in fitting})
        return fitting[0]

    def _late_owner(
        self, frame: Frame, signature: Signature, requests: Iterable[Request], running: Request | None
    ) -> Request | None:
        """Give who was answered and waited for another's work to end, where a command is not of the one running.

        Several workers that are all at work let the next job wait. It is of the one running unless that is known to
        do something else now.
        """
        owing = [one for one in requests if one.owes and one is not running and one.replica == frame.channel.replica]
        carried = [one for one in owing if self._world.marks.mark(self._fresh, one.sent_as).encode() in frame.raw]
        if len(carried) == 1:
            return carried[0]
        expected = self._world.expected
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

    def alike(self, one: Request, other: Request) -> bool:
        """Tell whether two requests were given each their frame when nothing told them apart."""
        return any({one.actor, other.actor} <= group for group in self._alike)
