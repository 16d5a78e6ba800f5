"""A Redis that its user lends: what it holds is saved before a command may change it, and given back.

Everything that goes to it through the gate goes by `Lent.before`, also while the gate is open. What is written between
`begin` and `give_back` is of a run; what is written at other times, such as when a Gateway starts, stays until the end.
"""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from redis.exceptions import ResponseError

from stress.core.errors import Fault, StoreLost, Unavailable, Untested, UsageFault
from stress.core.masking import clean
from stress.protocols.redis.changes import Changes, Unknown
from stress.protocols.redis.commands import Effect, is_script, verb
from stress.protocols.redis.ledger import LASTS, Held, Ledger, Stretch, now_ms, restoring
from stress.protocols.redis.merge import Value, merging, read, reading

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from stress.core.errors import Place
    from stress.protocols.redis.changes import Key
    from stress.protocols.redis.commands import Command as Sent
    from stress.protocols.redis.merge import Command
    from stress.protocols.redis.scripts import Run, ScriptWatch, Window

    Running = Callable[[Sequence[Command], int], Awaitable[list[object]]]

_MOST_BYTES, _MOST_KEYS, _ALL_BYTES = 1 << 20, 10_000, 64 << 20
"""What a key may hold that is saved; how many keys, of how many bytes, are saved before a script may change any."""
_TRIES = 20
_FLIGHT_SECONDS = 0.1
_COUNTING = frozenset(b"INCR INCRBY INCRBYFLOAT DECR DECRBY HINCRBY HINCRBYFLOAT ZINCRBY".split())
_PROBE = "gateway-stress:probe"
"""Nothing is ever written to it."""
_DISPOSABLE = "leave `url` out, so that a store is started, or say `scratch: true` if nothing in it is worth keeping"


@dataclass(slots=True, eq=False)
class _Saved:
    """What was saved before commands were sent, and what their scripts are watched by.

    ``known`` are the keys that the ledger had then, where there are scripts.
    """

    ledger: Ledger
    keys: tuple[Key, ...]
    scripts: tuple[Effect, ...]
    window: Window | None
    known: frozenset[Key]


class Lent:
    """What a lent store held, key by key. ``notes`` are for its user: keys that somebody else has changed too."""

    def __init__(self, run: Running, refuse: Callable[[Exception], None], place: Place, scripts: ScriptWatch) -> None:
        """Take what runs commands in a database of it (an error stands among the replies) and what watches scripts.

        ``refuse`` takes why a command must not reach it; ``place`` is that of its URL in the target's file.
        """
        self._run_in, self._tell, self._place, self._scripts = run, refuse, place, scripts
        self.refusal: Exception = UsageFault([])
        self._changes = Changes(self._ask)
        self._session, self._run = Ledger(), Ledger()
        self._running = False
        self._exactly = True
        self._everything: dict[Key, Held] | None = None
        self._functions: bytes | None = None
        self.waiting: list[_Saved] = []
        self._flying: list[_Saved] = []
        self._landed = asyncio.Event()
        self._landed.set()
        self._landing: set[asyncio.Task[None]] = set()
        self._turn = asyncio.Lock()
        self.notes: list[str] = []

    async def open(self) -> None:
        """Learn which commands change anything, and whether we may give back.

        Raises:
            Unavailable: when what was saved could not be given back.

        """
        await self._changes.open()
        probed: list[Command] = [("RESTORE", _PROBE, "0", ""), ("DUMP", _PROBE), ("DEL", _PROBE)]
        probed += [("WATCH", _PROBE), ("UNWATCH",), ("MULTI",), ("EXEC",)]
        for reply in await self._run_in(probed, 0):
            if isinstance(reply, ResponseError) and "permissions to run" in str(reply):
                raise _denied(reply)

    # --- before and after a command ---------------------------------------------------------------------

    def changes(self, commands: Sequence[Sent]) -> bool:
        """Tell whether any of the commands may change what is stored."""
        return self.may_change([effect for command in commands for effect in command.ran])

    def may_change(self, effects: Sequence[Effect]) -> bool:
        """Tell the same of what the store does for them."""
        return any(self._changes.may_change(effect.args) for effect in effects)

    async def before(self, commands: Sequence[Sent]) -> object | None:
        """Save what commands may change; None where they must not be sent."""
        effects = [effect for command in commands for effect in command.ran]
        waits, background = any(one.blocking for one in commands), all(one.passes for one in commands)
        return await self.save(effects, waits=waits, background=background)

    async def save(self, effects: Iterable[Effect], *, waits: bool = False, background: bool = False) -> object | None:
        """Save what commands may change; None where they must not be sent.

        ``waits``: one may wait in the store. ``background``: they are of no run, whenever they come.
        """
        written = [effect for effect in effects if self._changes.may_change(effect.args)]
        try:
            async with self._turn:
                ledger = self._run if self._running and not background else self._session
                return await self._save(written, ledger, waits=waits)
        except (Unknown, ResponseError, StoreLost) as why:
            self._refuse(why)
        return None

    async def _save(self, effects: Sequence[Effect], ledger: Ledger, *, waits: bool) -> _Saved:
        counts: dict[Key, bool] = {}
        for effect in effects:
            counting = verb(effect.args) in _COUNTING
            for key in await self._changes.keys(effect):
                counts[key] = counts.get(key, True) and counting
        scripts = tuple(effect for effect in effects if is_script(effect.args))
        if scripts:
            await self._keep_everything()
        if any(verb(effect.args) == b"FUNCTION" for effect in effects) and self._functions is None:
            self._functions = cast("bytes", await self._ask("FUNCTION", "DUMP"))
        await self._note(ledger, counts)
        window = await self._scripts.begin() if scripts else None
        if scripts and window is None:
            message = "a script may change keys that it does not declare, and MONITOR is refused to us"
            raise Unknown(message)
        saved = _Saved(ledger, tuple(counts), scripts, window, frozenset(ledger.kept if scripts else ()))
        (self.waiting if waits else self._flying).append(saved)
        if self._flying:
            self._landed.clear()
        return saved

    async def _note(self, ledger: Ledger, counts: dict[Key, bool]) -> None:
        held, now = await self._held(tuple(counts)), now_ms()
        for key, value in held.items():
            if value.dump is not None and len(value.dump) > _MOST_BYTES:
                message = f"{_shown(key)} holds more than {_MOST_BYTES >> 20} MB, too much to save before each run"
                raise Unknown(message)
            ledger.begin(key, value, now, counts=counts[key])

    def after(self, saved: object) -> None:
        """Take in that the store has replied to commands: see what they have left."""
        assert isinstance(saved, _Saved)  # noqa: S101 - it is what `before` gave
        for sent in (self.waiting, self._flying):
            if saved in sent:
                sent.remove(saved)
        if not self._flying:
            self._landed.set()
        task = asyncio.get_running_loop().create_task(self._look(saved))
        self._landing.add(task)
        task.add_done_callback(self._landing.discard)

    async def _look(self, saved: _Saved) -> None:
        with suppress(StoreLost):  # who waits for replies will tell
            if saved.window is not None:
                await self._see(saved, await self._scripts.end(saved.window))
            for key, held in (await self._held(saved.keys)).items():
                saved.ledger.end(key, held)

    async def _see(self, saved: _Saved, ran: Sequence[Run] | None) -> None:
        """Look what scripts did; one that touches what it does not declare ends all."""
        wanted = {effect.args for effect in saved.scripts}
        found: dict[Key, None] = {}
        for args, calls in ran or ():
            for call in calls if args in wanted else ():
                try:
                    touched = await self._changes.keys(call, read=True)
                except Unknown:
                    touched = list(self._everything or ())
                found |= dict.fromkeys(key for key in touched if key not in saved.keys)
        for key in found:
            if key not in saved.known:  # who wrote it since found what the script had left
                saved.ledger.kept[key] = [Stretch((self._everything or {}).get(key, Held(None)))]
            elif key in saved.ledger.kept:
                saved.ledger.kept[key][-1].after = None  # it is ours that it has changed
        if found or ran is None:
            what = f"touches {_shown(next(iter(found)))}, which it does not declare" if found else "can't be watched"
            message = f"a script {what}, in a store that was not started here"
            reported = str(self._fault(message, "").faults[0])
            self._refuse(Untested(reported, f"let it take its keys from KEYS; or {_DISPOSABLE}"))

    async def _keep_everything(self) -> None:
        """Save all that is there before the first script: what one does is known only once it has run."""
        if self._everything is not None:
            return
        (info,) = await self._checked([("INFO",)], 0)
        text = str(cast("bytes", info), "utf-8", "replace")
        sizes = {int(number): int(keys) for number, keys in re.findall(r"(?m)^db(\d+):keys=(\d+)", text)}
        used = re.search(r"(?m)^used_memory_dataset:(\d+)", text)
        if sum(sizes.values()) > _MOST_KEYS or (used is not None and int(used[1]) > _ALL_BYTES):
            message = "a script may change keys that it does not declare, and there is too much to save"
            raise Unknown(message)
        keys: list[Key] = []
        for database in sizes:
            (names,) = await self._checked([("KEYS", "*")], database)
            keys += [(database, name) for name in cast("list[bytes]", names)]
        self._everything = await self._held(keys)

    # --- giving back ------------------------------------------------------------------------------------

    async def begin(self) -> None:
        """Count what is written from now on to a run; a command that waits in the store may write in it too.

        Raises:
            UsageFault: when what that may change can't be saved.
            StoreLost: when the store does not answer.

        """
        try:
            async with self._turn:
                self._running = True
                for saved in self.waiting:
                    await self._note(self._run, dict.fromkeys(saved.keys, False))
        except (Unknown, ResponseError) as why:
            self._refuse(why)
            raise self.refusal from None

    async def give_back(self, *, all_of_it: bool = False) -> None:
        """Let every key that a run has written hold again what it held before; with ``all_of_it`` every key.

        Raises:
            Unavailable: when the store refuses it, or is lost.

        """
        try:
            await self._give_back(all_of_it=all_of_it)
        except ResponseError as error:
            raise _denied(error) from None

    async def _give_back(self, *, all_of_it: bool) -> None:
        await self._land()
        async with self._turn:
            self._running = False
            ledgers = [self._run, self._session] if all_of_it else [self._run]
            failed: ResponseError | None = None
            for ledger in ledgers:
                for key in list(ledger.kept):
                    try:
                        await self._return(key, ledger.kept[key])
                    except ResponseError as error:
                        failed = error  # the others are given back all the same
                    else:
                        del ledger.kept[key]
            if failed is not None:
                raise failed
            if all_of_it and self._functions is not None:
                await self._checked([("FUNCTION", "RESTORE", self._functions, "FLUSH")], 0)
                self._functions = None

    @property
    def owing(self) -> list[str]:
        """The keys that were not given back."""
        return [_shown(key) for ledger in (self._run, self._session) for key in ledger.kept]

    async def _land(self) -> None:
        """Wait for the replies that are on their way, not for those that wait in the store."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_FLIGHT_SECONDS):
                await self._landed.wait()
        for saved in list(self._flying):  # its connection is gone, and what it did may be there all the same
            self.after(saved)
        if self._landing:
            await asyncio.wait(set(self._landing))

    async def _return(self, key: Key, stretches: Sequence[Stretch]) -> None:
        database, name = key
        was: list[tuple[Value | None, Value | None]] = []
        for _ in range(_TRIES):
            await self._checked([("WATCH", name)], database)
            now = (await self._held([key]))[key]
            ours = len(stretches) == 1 and (stretches[0].after is None or stretches[0].after.same(now, now_ms()))
            if not ours and not was:
                was = [
                    (await self._read(key, one.before), await self._read(key, one.after or now)) for one in stretches
                ]
                continue
            held = None if ours else read(await self._run_in(reading(name), database))
            ours = ours or (len(stretches) == 1 and held is not None and held == was[0][1])
            commands = restoring(name, stretches[0].before, now) if ours else merging(name, held, was, stretches, now)
            if not await self._at_once(commands, database):
                continue  # somebody has written it just now
            if not ours:
                self.notes.append(
                    f"{_shown(key)} in the store was changed by somebody else during a run: what the run did to it "
                    "was taken back item by item, see that it is as it should be"
                )
            return
        self.notes.append(
            f"{_shown(key)} in the store is changed all the time: what a run did to it was not taken back"
        )

    async def _at_once(self, commands: Sequence[Command], database: int) -> bool:
        """Run commands unless what is watched has changed; tell whether they have run."""
        if not commands:
            await self._checked([("UNWATCH",)], database)
            return True
        done = (await self._checked([("MULTI",), *commands, ("EXEC",)], database))[-1]
        _raise_first(cast("list[object]", done or ()))
        return done is not None

    async def _read(self, key: Key, held: Held) -> Value | None:
        """Read a value that was saved: it is restored and read at once, under a name that nobody else sees."""
        database, name = key
        if held.dump is None:
            return Value(b"none", {})
        other = (name if b"{" in name else b"{" + name + b"}") + b":gateway-stress"
        commands: list[Command] = [("RESTORE", other, "0", held.dump, "REPLACE"), *reading(other), ("DEL", other)]
        replies = (await self._run_in([("MULTI",), *commands, ("EXEC",)], database))[-1]
        return read(cast("list[object]", replies)[1:-1]) if isinstance(replies, list) else None

    # --- asking -----------------------------------------------------------------------------------------

    async def _held(self, keys: Sequence[Key]) -> dict[Key, Held]:
        found: dict[Key, Held] = {}
        for database in sorted({database for database, _ in keys}):
            names = [name for at, name in keys if at == database]
            when = "PEXPIRETIME" if self._exactly else "PTTL"
            asked: list[Command] = [one for name in names for one in (("DUMP", name), (when, name))]
            replies = await self._run_in([*asked, ("TIME",)], database)
            if self._exactly and names and isinstance(replies[1], ResponseError):
                self._exactly = False  # a server before version 7
                return await self._held(keys)
            _raise_first(replies)
            seconds, micros = cast("list[bytes]", replies[-1])
            since = 0 if self._exactly else int(seconds) * 1000 + int(micros) // 1000
            for name, dump, left in zip(names, replies[:-1:2], replies[1:-1:2], strict=True):
                lasts = cast("int", left) < 0
                found[database, name] = Held(cast("bytes | None", dump), LASTS if lasts else since + cast("int", left))
        return found

    async def _ask(self, *command: str | bytes) -> object:
        return (await self._checked([command], 0))[0]

    async def _checked(self, commands: Sequence[Command], database: int) -> list[object]:
        replies = await self._run_in(commands, database)
        _raise_first(replies)
        return replies

    def _refuse(self, why: Exception) -> None:
        if isinstance(why, Unknown):
            why = self._fault(f"{why}, in a store that was not started here", _DISPOSABLE)
        elif isinstance(why, ResponseError):
            why = self._fault(f"what it holds can't be saved: {why}", "allow DUMP and COMMAND to the user of the url")
        self.refusal = why
        self._tell(why)

    def _fault(self, message: str, hint: str) -> UsageFault:
        return UsageFault([Fault(self._place, clean(f"stores.redis.url: {message}"), hint)])


def _denied(error: ResponseError) -> Unavailable:
    message = f"the store does not let us give back what it holds: {error}"
    return Unavailable(message, "allow DUMP, RESTORE, DEL, WATCH and MULTI to the user of stores.redis.url")


def _raise_first(replies: Sequence[object]) -> None:
    failed = next((reply for reply in replies if isinstance(reply, ResponseError)), None)
    if failed is not None:
        raise failed


def _shown(key: Key) -> str:
    database, name = key
    text = name.decode("utf-8", "backslashreplace")
    return f"db{database}:{text}" if database else text
