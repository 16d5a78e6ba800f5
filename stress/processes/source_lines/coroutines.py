"""Prints the stacks of all coroutines of another process that wait, as JSON: innermost first, by the outermost.

It runs as ``python -I -S coroutines.py PID`` under the very interpreter of that process, so that what it measures on
coroutines of its own holds for those of the other: where in a coroutine its code and its place stand. It reads memory,
and neither stops nor changes anything. In an interpreter that is laid out otherwise than it knows it sees none.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
import types
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Coroutine, Generator, Iterator

WORD = 8
_HEAD = 64 * WORD
"""How much of an object is looked at."""
_CHUNK, _MOST_BYTES = 1 << 22, 1 << 30
_MOST_REFERENCES, _MOST_TEXT, _MOST_DEEP = 1000, 1 << 16, 200
_STRANGE = 1234567
_WAITS, _NOT_BEGUN = 0xFF, (0xFD, 0xFE)
"""The states of the frame of a coroutine, in CPython 3.11 to 3.13."""


class Unknown(Exception):
    """Why nothing can be said of an interpreter."""


def word(raw: bytes, at: int) -> int:
    """Read one word."""
    return int.from_bytes(raw[at : at + WORD], "little")


def own(value: object, size: int = _HEAD) -> bytes:
    """Give the memory of an object of ours."""
    return ctypes.string_at(id(value), size)


def place(raw: bytes, value: int, size: int = WORD) -> int:
    """Find where a value is in an object first."""
    for at in range(0, len(raw) - size, size):
        if int.from_bytes(raw[at : at + size], "little") == value:
            return at
    raise Unknown


@types.coroutine
def pause() -> Generator[None, None, None]:
    """Wait."""
    yield


async def inner() -> None:
    """Wait for what is no coroutine."""
    await pause()


async def outer(waited: Coroutine[Any, Any, None], more: int = 0) -> None:
    """Wait for a coroutine, with more locals than another."""
    if more:
        some = other = more
        await waited
        del some, other
    await waited


class Layout(NamedTuple):
    """Where things stand: in a coroutine its code, state and instruction, in code its file, lines and first line."""

    code: int
    state: int
    instruction: int
    begin: int
    file: int
    table: int
    first: int

    @classmethod
    def measured(cls) -> Layout:
        """Measure it on coroutines of our own.

        Raises:
            Unknown: where it is not as expected.

        """
        waited, idle = [inner(), inner()], inner()
        samples = [outer(waited[0]), outer(waited[1], 7)]
        for one in samples:
            one.send(None)
        found = {cls._of(one, below, idle) for one, below in zip(samples, waited, strict=True)}
        for one in (*samples, idle):
            one.close()
        if len(found) != 1:
            raise Unknown
        return found.pop()

    @classmethod
    def _of(cls, sample: Coroutine[Any, Any, None], below: object, idle: object) -> Layout:
        code: types.CodeType = sample.cr_code  # type: ignore[attr-defined]
        last: int = sample.cr_frame.f_lasti  # type: ignore[attr-defined]
        raw, strange = own(sample), code.replace(co_firstlineno=_STRANGE)
        inside = (at for at in range(0, len(raw), WORD) if 0 < word(raw, at) - id(code) < code.__sizeof__())
        instruction, fresh = next(inside, 0), own(idle)
        states = [at for at in range(2 * WORD, instruction) if raw[at] == _WAITS and fresh[at] in _NOT_BEGUN]
        layout = cls(
            place(raw, id(code)),
            states[-1] if states else 0,
            instruction,
            word(raw, instruction) - id(code) - last,
            place(own(code), id(code.co_filename)),
            place(own(code), id(code.co_linetable)),
            place(own(strange), _STRANGE, 4),
        )
        if layout.awaited(raw) != id(below) or not states:
            raise Unknown
        return layout

    def awaited(self, raw: bytes) -> int:
        """Give what a coroutine waits for: the last on its stack, whose height stands after its instruction."""
        height = int.from_bytes(raw[self.instruction + WORD : self.instruction + WORD + 4], "little")
        return word(raw, self.instruction + WORD + height * WORD) if 0 < height < _MOST_TEXT else 0


class Other:
    """The memory of another process."""

    def __init__(self, pid: int) -> None:
        """Open it."""
        self._pid = pid
        self._file = os.open(f"/proc/{pid}/mem", os.O_RDONLY)

    def read(self, address: int, size: int) -> bytes:
        """Read memory; nothing where there is none."""
        try:
            return os.pread(self._file, size, address)
        except (OSError, OverflowError):
            return b""

    def of_ours(self, value: object) -> int:
        """Give where an object of the interpreter itself, which is ours too, is in the other process."""
        here = next(one for one in maps(os.getpid()) if one.begin <= id(value) < one.end)
        for one in maps(self._pid):
            at = id(value) - here.begin + here.offset - one.offset
            if one.path == here.path and one.path and 0 <= at < one.end - one.begin:
                return one.begin + at
        raise Unknown

    def having(self, value: int) -> Iterator[int]:
        """Give where a word is in what the process has allocated."""
        wanted, left = value.to_bytes(WORD, "little"), _MOST_BYTES
        for one in maps(self._pid):
            if not one.written or one.path not in ("", "[heap]"):
                continue
            for begin in range(one.begin, one.end, _CHUNK):
                left -= _CHUNK
                if left < 0:
                    return
                raw = self.read(begin, min(_CHUNK, one.end - begin))
                at = raw.find(wanted)
                while at >= 0:
                    if at % WORD == 0:
                        yield begin + at
                    at = raw.find(wanted, at + 1)


class Map(NamedTuple):
    """A part of the memory of a process (proc(5))."""

    begin: int
    end: int
    written: bool
    offset: int
    path: str


def maps(pid: int) -> list[Map]:
    """Give the parts of the memory of a process."""
    found = []
    with open(f"/proc/{pid}/maps") as file:  # noqa: PTH123 - without the time that pathlib takes to import
        for line in file:
            words = line.split(None, 5)
            begin, end = (int(one, 16) for one in words[0].split("-"))
            path = words[5].strip() if len(words) > 5 else ""  # noqa: PLR2004 - the last is left out
            found.append(Map(begin, end, words[1].startswith("rw"), int(words[2], 16), path))
    return found


class Reader:
    """Reads the coroutines of another process."""

    def __init__(self, pid: int) -> None:
        """Measure what has to be known."""
        self._layout, self._other = Layout.measured(), Other(pid)
        self._code = self._other.of_ours(types.CodeType)
        self._lines: dict[int, tuple[str, types.CodeType] | None] = {}

    def stacks(self) -> dict[str, list[tuple[str, int]]]:
        """Give the stacks of all that wait."""
        found = {}
        for at in self._other.having(self._other.of_ours(types.CoroutineType)):
            raw = self._other.read(at - WORD, _HEAD)
            if len(raw) == _HEAD and 0 < word(raw, 0) & 0xFFFFFFFF < _MOST_REFERENCES and (where := self._place(raw)):
                height = int.from_bytes(raw[self._layout.instruction + WORD :][:4], "little")
                size = self._layout.instruction + 2 * WORD + height * WORD
                whole = self._other.read(at - WORD, size) if size > _HEAD else raw
                found[at - WORD] = (where, self._layout.awaited(whole))
        inside = {below for _, below in found.values()}
        return {hex(one): self._stack(one, found) for one in found if one not in inside}

    def _stack(self, one: int, found: dict[int, tuple[tuple[str, int], int]]) -> list[tuple[str, int]]:
        stack: list[tuple[str, int]] = []
        while one in found and len(stack) < _MOST_DEEP:
            where, one = found[one]
            stack.insert(0, where)
        return stack

    def _place(self, raw: bytes) -> tuple[str, int] | None:
        """Give the file and the line of a coroutine; None where it is none, or does not wait."""
        code = word(raw, self._layout.code)
        if code not in self._lines:
            self._lines[code] = self._read(code)
        known, last = self._lines[code], word(raw, self._layout.instruction) - code - self._layout.begin
        if known is None or last < 0 or raw[self._layout.state] != _WAITS:
            return None
        lines = (line for begin, end, line in known[1].co_lines() if begin <= last < end)
        return (known[0], line) if (line := next(lines, None)) is not None else None

    def _read(self, code: int) -> tuple[str, types.CodeType] | None:
        raw = self._other.read(code, _HEAD)
        if len(raw) < _HEAD or word(raw, WORD) != self._code:
            return None
        file = self._bytes(word(raw, self._layout.file), sys.getsizeof("") - 1)
        table = self._bytes(word(raw, self._layout.table), sys.getsizeof(b"") - 1)
        first = int.from_bytes(raw[self._layout.first : self._layout.first + 4], "little")
        try:
            return file.decode("ascii"), outer.__code__.replace(co_firstlineno=first, co_linetable=table)
        except ValueError:
            return None

    def _bytes(self, address: int, begin: int) -> bytes:
        """Read a text or bytes of the other process; the length stands behind the head of the object."""
        length = word(self._other.read(address, 3 * WORD), 2 * WORD)
        return self._other.read(address + begin, length) if length < _MOST_TEXT else b""


if __name__ == "__main__":
    try:
        print(json.dumps(Reader(int(sys.argv[1])).stacks()))  # noqa: T201 - what it is for
    except (Unknown, OSError, StopIteration, AttributeError):
        print("{}")  # noqa: T201 - nothing is seen
