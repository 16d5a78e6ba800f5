"""Random programs on a store, and an interpreter for them. Nothing here knows of the gate, the search or its words.

A program is what each of its requests does: a list of statements, plain JSON. A statement is

    ["HSET", "@h0", "f", "$1"]                              a command and its reply
    {"if": 0, "then": [...], "else": [...]}                 a branch on the reply with that number
    {"watch": "@s0", "before": [...], "multi": [...], "tries": 3}       WATCH, commands, MULTI ... EXEC; again if nil
    {"poll": [...], "tries": 3}                         commands; again until the last replies neither 0 nor nil

``@s0`` is a key of this run, ``@`` alone what its keys end in, ``$1`` the number that reply 1 holds, plus one.
"""

from __future__ import annotations

import random
from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

Statement = Any
Code = list[Statement]
Program = list[Code]
"""What each request does."""
Run = Generator["Write", Sequence[object], list[object]]

KEYS = ("s0", "s1", "s2", "s3", "h0", "h1", "t0", "t1")
"""Every key there is: texts, hashes and sets, distinguished by the letter so that no command meets another."""
FEATURES = ("plain", "branch", "value", "script", "watch")
"""What a program may hold, the simplest first; a program has those up to one of them."""
_SCRIPT = "if {test} then return {act} end return 0"
FINITE = (0, 2)
"""The kinds of polls, by their number modulo 5, that come to their end where no other request is."""
_ABSENT = "return redis.call('EXISTS', KEYS[1]) == 0 and 1 or 0"
_TESTS = (
    "redis.call('EXISTS', KEYS[1]) == 1",
    "redis.call('GET', KEYS[1]) == '1'",
    "redis.call('INCR', KEYS[1]) > 1",
    "redis.call('SETNX', KEYS[1], '1') == 0",
)
_ACTS = (
    "redis.call('INCR', '{key}:' .. ARGV[1])",
    "redis.call('SET', '{key}:' .. ARGV[1], '5')",
    "redis.call('GET', '{key}:' .. ARGV[1])",
    "redis.call('DEL', '{key}:' .. ARGV[1])",
)


class Write(NamedTuple):
    """Commands that go down one connection in one write; with ``hold`` the next ones must go down the same."""

    commands: list[tuple[str, ...]]
    hold: bool = False


def run(code: Code, fresh: str) -> Run:
    """Interpret one request: yield what it writes, be sent the replies, return those that it keeps."""
    replies: list[object] = []
    yield from _block(code, fresh, replies)
    return replies


def _block(code: Code, fresh: str, replies: list[object]) -> Generator[Write, Sequence[object], None]:
    for statement in code:
        if isinstance(statement, list):
            replies += yield Write([_filled(statement, fresh, replies)])
        elif "poll" in statement:
            yield from _poll(statement, fresh, replies)
        elif "if" in statement:
            which = "then" if _number(replies, statement["if"]) else "else"
            yield from _block(statement[which], fresh, replies)
        else:
            yield from _transaction(statement, fresh, replies)


def _transaction(statement: Statement, fresh: str, replies: list[object]) -> Generator[Write, Sequence[object], None]:
    for _ in range(statement["tries"]):
        yield Write([_filled(["WATCH", statement["watch"]], fresh, replies)], hold=True)
        for one in statement["before"]:
            replies += yield Write([_filled(one, fresh, replies)], hold=True)
        queued = [_filled(one, fresh, replies) for one in statement["multi"]]
        done = yield Write([("MULTI",), *queued, ("EXEC",)])
        replies.append(done[-1])
        if done[-1] is not None:
            return


def _poll(statement: Statement, fresh: str, replies: list[object]) -> Generator[Write, Sequence[object], None]:
    """Keep whether the poll came to its end, and nothing of how often it asked."""
    reply: Sequence[object] = ()
    for _ in range(statement["tries"]):
        for one in statement["poll"]:
            reply = yield Write([_filled(one, fresh, replies)])
        if _number(reply, 0):
            break
    replies.append(int(bool(_number(reply, 0))))


def _filled(words: Sequence[str], fresh: str, replies: Sequence[object]) -> tuple[str, ...]:
    return tuple(
        str(_number(replies, int(word[1:])) + 1)
        if word.startswith("$")
        else (f"{word[1:]}:{fresh}" if word[1:] else fresh)
        if word.startswith("@")
        else word
        for word in words
    )


def _number(replies: Sequence[object], at: int) -> int:
    """Give the number that a reply holds; 0 where it holds none, 1 for any other text or a list."""
    reply = replies[at] if at < len(replies) else None
    if reply is None or isinstance(reply, int):
        return reply or 0
    return int(reply) if isinstance(reply, str) and reply.isdecimal() else 1


def plain(reply: object) -> object:
    """Give a reply as JSON has it: texts instead of bytes, an error by its first word."""
    if isinstance(reply, bytes):
        return reply.decode()
    if isinstance(reply, list):
        return [plain(one) for one in reply]
    return f"error {str(reply).split()[0]}" if isinstance(reply, Exception) else reply


class Made(NamedTuple):
    """A program, and how it was made: up to which feature, whether its requests are all the same."""

    program: Program
    features: tuple[str, ...]
    alike: bool


def made(seed: int, number: int) -> Made:
    """Make the program of a number: two requests of two to five commands, or three of two or three."""
    draw = random.Random(f"{seed}-{number}")
    features = FEATURES[: number % len(FEATURES) + 1]
    requests = 2 if "watch" in features or draw.random() < 0.7 else 3
    length = draw.choice((2, 3, 4, 5, 5, 5) if requests == 2 else (2, 3, 3))
    keys = draw.choice((("s0",), ("s0", "s1"), ("s0", "h0", "t0"), KEYS))
    maker = _Maker(draw, keys, features)
    alike = draw.random() < 0.6
    codes = [maker.code(length) for _ in range(1 if alike else requests)]
    return Made(codes * requests if alike else codes, features, alike)


def polling(seed: int, number: int, tries: int) -> Made:
    """Make a program in which the first request polls, so many times at most, for what the others write."""
    draw = random.Random(f"polling-{seed}-{number}")
    maker = _Maker(draw, ("s0", "s1"), ("plain", "value"))
    polls = (
        [["SETNX", "@s0", "1"]],
        [["GET", "@s0"]],
        [["EVAL", _ABSENT, "1", "@s0"]],
        [["GET", "@s1"], ["GET", "@s0"]],
        [["SET", "@s1", "1"], ["GET", "@s0"]],
    )
    kind = number % len(polls)
    goes = kind in FINITE  # it must come to its end where it is alone
    poll: Code = [{"poll": polls[kind], "tries": tries}]
    before = [] if goes else maker.code(draw.choice((0, 1)))
    first = [*before, *poll, *maker.code(1), *([["DEL", "@s0"]] if kind == 0 else [])]
    if kind == 0 and draw.random() < 0.5:
        return Made([first, first], ("polling",), alike=True)
    other = [*maker.code(draw.choice((2, 3))), ["DEL", "@s0"] if goes else ["SET", "@s0", "2"]]
    return Made([first, other], ("polling",), alike=False)


class _Maker:
    """Draws code over some keys, out of some features; the last feature is in it for certain."""

    def __init__(self, draw: random.Random, keys: Sequence[str], features: Sequence[str]) -> None:
        self._draw, self._keys, self._features = draw, keys, features

    def code(self, length: int) -> Code:
        """Draw statements that come to so many commands on each way through them, where no try fails."""
        code: Code = []
        while length > 0:
            known = sum(isinstance(one, list) for one in code)
            kind = self._features[-1] if not code[1:] else self._draw.choice(self._features)
            if kind == "watch" and length >= 3:
                code.append(self._watched(length - 2))
                length -= 3
            elif kind == "branch" and known:
                size = self._draw.randint(1, min(2, length))
                then, other = self._plain(size), self._plain(self._draw.randint(0, size))
                code.append({"if": self._draw.randrange(known), "then": then, "else": other})
                length -= size
            elif kind == "value" and known:
                code.append(self._valued(self._draw.randrange(known)))
                length -= 1
            elif kind == "script":
                code.append(self._script())
                length -= 1
            else:
                code += self._plain(1)
                length -= 1
        return code

    def _key(self, kinds: str) -> str:
        return "@" + self._draw.choice([key for key in self._keys if key[0] in kinds])

    def _plain(self, count: int) -> Code:
        every = "".join({key[0] for key in self._keys})
        commands: list[Callable[[], list[str]]] = [
            lambda: ["GET", self._key("s")],
            lambda: ["GET", self._key("s")],
            lambda: ["SET", self._key("s"), self._draw.choice("0123")],
            lambda: ["SETNX", self._key("s"), self._draw.choice("0123")],
            lambda: ["INCR", self._key("s")],
            lambda: ["INCR", self._key("s")],
            lambda: ["DEL", self._key(every)],
            lambda: ["EXPIRE", self._key(every), "1000"],
        ]
        if "h" in every:
            commands.append(lambda: ["HSET", self._key("h"), self._draw.choice("fg"), self._draw.choice("012")])
            commands.append(lambda: ["HGET", self._key("h"), self._draw.choice("fg")])
        if "t" in every:
            commands.append(lambda: ["SADD", self._key("t"), self._draw.choice("xy")])
        return [self._draw.choice(commands)() for _ in range(count)]

    def _valued(self, at: int) -> list[str]:
        """Draw a write of what an earlier reply held, plus one: half of a read-modify-write."""
        if "h0" not in self._keys or self._draw.random() < 0.5:
            return ["SET", self._key("s"), f"${at}"]
        return ["HSET", self._key("h"), "f", f"${at}"]

    def _script(self) -> list[str]:
        """Draw a script with a key that only one branch accesses and that is not declared."""
        act = self._draw.choice(_ACTS).format(key=self._key("s")[1:])
        return ["EVAL", _SCRIPT.format(test=self._draw.choice(_TESTS), act=act), "1", self._key("s"), "@"]

    def _watched(self, most: int) -> Statement:
        key = self._key("s")
        before = self._draw.choice(([], [["GET", key]], [["GET", key]], self._plain(1)))
        multi = self._plain(self._draw.randint(1, min(2, most)))
        return {"watch": key, "before": before, "multi": multi, "tries": self._draw.randint(1, 3)}
