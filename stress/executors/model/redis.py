"""The state of the model executor where a Gateway keeps it in Redis: as the target says, over a store in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stress.config.placeholders import fill
from stress.core.errors import Fault, UsageFault
from stress.core.outcomes import together
from stress.executors.environment import ends_epoch
from stress.executors.model.redis_memory import RedisMemory
from stress.executors.model.tree import ModelStore, Node
from stress.executors.observe import shown
from stress.protocols.redis.outcomes import of_command, of_transaction
from stress.protocols.redis.parts import Put
from stress.protocols.redis.records import commands, snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from stress.config.target import Target
    from stress.core.outcomes import Outcome
    from stress.core.step import Move
    from stress.core.trace import Snapshot
    from stress.executors.model.happened import Notification


class RedisModel:
    """The store in memory of one target. ``rest`` is its state before the concurrent requests."""

    watches = cancels = False

    def __init__(self, target: Target, values: Mapping[str, str], now: float) -> None:
        """Begin with what the target puts there before each run; ``values`` are fingerprint and fresh value.

        Raises:
            UsageFault: when the store in memory does not take it.

        """
        self._target, self._values = target, values
        self.store = ModelStore(now)
        self.rest = RedisMemory(now, self.store.scripts)
        for at, one in enumerate(target.each_run):
            if isinstance(one, Put):
                self._put(at, fill(one.redis, **values))

    def _put(self, at: int, words: tuple[str, ...]) -> None:
        try:
            self.rest.execute(*words)
        except (ValueError, TypeError) as error:
            place, message = self._target.place("each_run", at), f"each_run: {' '.join(words)}: {error}"
            raise UsageFault([Fault(place, message, "search it with --executor live")]) from None

    def event(self, replica: int, news: Any, naming: Callable[[str], str]) -> tuple[Move, str]:  # noqa: ANN401 - none
        """Give the move of an event: there are none.

        Raises:
            NotImplementedError: always.

        """
        raise NotImplementedError  # nobody asks: `watches` is False, as Redis notifies no Gateway of a change unasked

    def at_rest(self) -> None:
        """Have nothing under way."""

    def replica(self, actor: str) -> int:  # noqa: ARG002 - the interface of the model
        """Give the replica that an actor is sent to: it makes no difference."""
        return 1

    def describe(self, command: str, result: Any, naming: Callable[[str], str]) -> str:  # noqa: ANN401 - a reply
        """Write what a command was replied; a pipeline has several replies on a connection, EXEC one."""
        return shown(result if "+" in command and not command.startswith("EXEC") else [result], naming)

    def outcome(self, node: Node | Notification, result: Any, naming: Callable[[str], str]) -> Outcome:  # noqa: ANN401 - a reply
        """Give what a step came to."""
        assert isinstance(node, Node)  # noqa: S101 - Redis has no events
        command, arguments = node.move.command, node.arguments
        if command.startswith("EXEC("):
            return of_transaction([_encoded(*one) for one in arguments[1]], result, naming)
        if isinstance(arguments[0], tuple):
            several = zip(arguments[0], result, strict=True)
            return together([of_command(_encoded(*one), reply, naming) for one, reply in several])
        return of_command(_encoded(command, *arguments), result, naming)

    def act(self, move: Move, memory: RedisMemory) -> Snapshot | None:
        """Let the environment act; give the epoch that ended with it, if one did."""
        before = self.observe(memory, str, move.actor)
        asked = commands(self._target, move.actor, self._values["fingerprint"], self._values["fresh"])
        replies = [memory.execute(*command) for command in asked]
        return before if ends_epoch(before, self.observe(memory, str), move.actor, replies) else None

    def observe(self, memory: RedisMemory, naming: Callable[[str], str], ended_by: str = "") -> Snapshot:
        """Read the state as the target says."""
        reading = snapshot(self._target, self._values["fingerprint"], self._values["fresh"], naming, ended_by)
        try:
            asked = next(reading)
            while True:
                asked = reading.send([memory.execute(*command) for command in asked])
        except StopIteration as stop:
            found: Snapshot = stop.value
            return found


def _encoded(*words: str) -> tuple[bytes, ...]:
    return tuple(word.encode() for word in words)
