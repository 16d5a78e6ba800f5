"""Every interleaving of a program, one by one, straight on a store."""

from __future__ import annotations

import json
import uuid
from collections.abc import Generator
from typing import TYPE_CHECKING, NamedTuple

from program import KEYS, plain, run
from redis.connection import Connection
from redis.exceptions import ResponseError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from program import Program, Write

MOST = 60_000
"""A program with more interleavings is skipped."""
_AT_ONCE = 64
_STATE = """
local found = {}
for _, key in ipairs(KEYS) do
  local kind, held = redis.call('TYPE', key).ok, ''
  if kind == 'string' then held = redis.call('GET', key) end
  if kind == 'set' then
    held = redis.call('SMEMBERS', key)
    table.sort(held)
    held = table.concat(held, ',')
  end
  if kind == 'hash' then
    local fields = redis.call('HKEYS', key)
    table.sort(fields)
    for _, field in ipairs(fields) do held = held .. field .. ':' .. redis.call('HGET', key, field) .. ',' end
  end
  local name = string.match(key, '^[^:]*')
  if kind ~= 'none' then
    found[#found + 1] = name .. '=' .. held .. (redis.call('TTL', key) >= 0 and ' expires' or '')
  end
end
return table.concat(found, ' ')
"""


class Outcome(NamedTuple):
    """How a run ended: the replies that each request was sent, as text, and what the store holds."""

    replies: tuple[str, ...]
    state: str


class Truth(NamedTuple):
    """Every outcome there is, and the number of interleavings that lead to them."""

    outcomes: set[Outcome]
    interleavings: int


def reading(fresh: str) -> tuple[str, ...]:
    """Give the command that reads the state of a run: each key that is there, what it holds, and whether it expires."""
    return ("EVAL", _STATE, str(len(KEYS)), *(f"{key}:{fresh}" for key in KEYS))


Under = Generator["tuple[int, list[tuple[str, ...]]]", "list[object]", "tuple[Outcome, list[list[int]]]"]


def interleaving(program: Program, first: Sequence[int]) -> Under:
    """Run one interleaving, on keys of its own: yield who goes next and what goes out, be sent the replies.

    It begins as it is asked to, then the first request that can go on goes on. It returns its outcome, and the
    beginnings of others: each interleaving is reached from exactly one.
    """
    fresh = uuid.uuid4().hex
    requests = [run(code, fresh) for code in program]
    writes: dict[int, Write] = {at: next(request) for at, request in enumerate(requests)}
    replies: dict[int, str] = {}
    taken: list[int] = []
    others: list[list[int]] = []
    while writes:
        able = sorted(writes)
        if len(taken) < len(first):
            at = first[len(taken)]
        else:
            at = able[0]
            others += [[*taken, other] for other in able[1:]]
        taken.append(at)
        sent = yield at, writes[at].commands
        try:
            writes[at] = requests[at].send(sent)
        except StopIteration as ended:
            del writes[at]
            replies[at] = json.dumps(ended.value)
    (state,) = yield 0, [reading(fresh)]
    return Outcome(tuple(replies[at] for at in range(len(program))), str(state)), others


class BruteForce:
    """Runs programs on the store at a port of this machine; `close` it."""

    def __init__(self, port: int) -> None:
        """Connect when first needed."""
        self._port = port
        self._connections: dict[int, Connection] = {}

    def outcomes(self, program: Program, most: int = MOST) -> Truth | None:
        """Run every interleaving of a program; give nothing where there are more than ``most``.

        Many are run side by side: the next step of each goes out, then all replies are read. Where a request watches
        keys it has a connection of its own, else all steps go down one.
        """
        pinned = any("watch" in statement for code in program for statement in code)
        waiting: list[list[int]] = [[]]
        found: set[Outcome] = set()
        ran = 0
        while waiting and ran + len(waiting) <= most:
            batch, waiting = waiting[:_AT_ONCE], waiting[_AT_ONCE:]
            for outcome, others in self._side_by_side(program, batch, pinned=pinned):
                found.add(outcome)
                waiting += others
            ran += len(batch)
        self._exchange({0: [("FLUSHALL",)]})
        return None if waiting else Truth(found, ran)

    def close(self) -> None:
        """Disconnect."""
        for connection in self._connections.values():
            connection.disconnect()

    def _side_by_side(
        self, program: Program, firsts: Sequence[Sequence[int]], *, pinned: bool
    ) -> list[tuple[Outcome, list[list[int]]]]:
        runs = {at: interleaving(program, first) for at, first in enumerate(firsts)}
        asked = {at: next(one) for at, one in runs.items()}
        ended = []
        while asked:
            sent: dict[int, list[tuple[str, ...]]] = {}
            for at, (request, commands) in asked.items():
                sent.setdefault(at * len(program) + request if pinned else 0, []).extend(commands)
            replies = self._exchange(sent)
            for at, (request, commands) in list(asked.items()):
                place = at * len(program) + request if pinned else 0
                mine = [next(replies[place]) for _ in commands]
                try:
                    asked[at] = runs[at].send(mine)
                except StopIteration as stop:
                    del asked[at]
                    ended.append(stop.value)
        return ended

    def _exchange(self, sent: dict[int, list[tuple[str, ...]]]) -> dict[int, Iterator[object]]:
        """Send commands down connections by number, each in one write; give the replies that come up each."""
        for place, commands in sent.items():
            if place not in self._connections:
                self._connections[place] = Connection(host="127.0.0.1", port=self._port, protocol=2)
            self._connections[place].send_packed_command(self._connections[place].pack_commands(commands))
        return {place: iter([self._reply(place) for _ in commands]) for place, commands in sent.items()}

    def _reply(self, place: int) -> object:
        try:
            return plain(self._connections[place].read_response())
        except ResponseError as error:
            return plain(error)
