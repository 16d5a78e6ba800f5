"""A schedule: the sequence of moves of one run, as text that replays it on another machine."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from urllib.parse import quote, unquote

from stress.core.errors import Fault, Place, UsageFault
from stress.core.step import Move

VERSION = 1
"""Version of the text format; a file of another version is refused with a clear line."""

_MAGIC = "gateway-stress schedule"
_WAS = {"world": "executor"}
"""Lines of the head in files of before, whose first line is ``gateway-stress order 1``."""
_KEYS = ("scenario", "target", "executor", "seed", "fresh", "fingerprint", "bursts", "outcome")
_SAFE = ":{}*/,()+-_.;@="


@dataclass(frozen=True, slots=True)
class Head:
    """What a schedule file says about where its order comes from, so that the file alone replays it.

    ``scenario`` and ``target`` are names, the digests return whether the files of that name are still the
    same. ``fresh`` is the value of `{fresh}` that a replay must use again, in a new process each time; empty where any
    value will do. ``outcome`` is `holds` or `race` followed by the broken invariants.
    """

    scenario: str = ""
    scenario_digest: str = ""
    target: str = ""
    target_digest: str = ""
    executor: str = ""
    seed: int = 0
    fresh: str = ""
    fingerprint: str = ""
    outcome: str = ""
    bursts: str = ""


@dataclass(frozen=True, slots=True)
class Schedule:
    """A sequence of moves with its head; ``attachments`` are the YAML texts of files that are not bundled."""

    moves: tuple[Move, ...]
    head: Head = field(default_factory=Head)
    attachments: tuple[tuple[str, str], ...] = ()

    @property
    def actors(self) -> str:
        """The schedule as a word: the actor of each move, ``A A B B``."""
        return " ".join(move.actor for move in self.moves)

    def preemptions(self) -> int:
        """Count the places where another actor goes on although the one before still has moves (CHESS)."""
        last = {move.actor: index for index, move in enumerate(self.moves)}
        pairs = zip(self.moves, self.moves[1:], strict=False)
        return sum(
            1
            for index, (move, following) in enumerate(pairs)
            if move.actor != following.actor and last[move.actor] > index
        )

    def with_head(self, **changes: str | int) -> Schedule:
        """Give the same order under a changed head."""
        return replace(self, head=replace(self.head, **changes))  # type: ignore[arg-type]

    def text(self) -> str:
        """Give the file: a head, `---`, one move a line, and attached files if any."""
        head = self.head
        lines = [
            f"{_MAGIC} {VERSION}",
            f"scenario: {head.scenario} {head.scenario_digest}".rstrip(),
            f"target: {head.target} {head.target_digest}".rstrip(),
            f"executor: {head.executor}",
            f"seed: {head.seed}",
            *([f"fresh: {head.fresh}"] if head.fresh else []),
            f"fingerprint: {head.fingerprint}",
            *([f"bursts: {head.bursts}"] if head.bursts else []),
            f"outcome: {head.outcome}",
            "---",
            *(_line(move) for move in self.moves),
        ]
        for name, body in self.attachments:
            lines += [f"--- {name}", body.rstrip("\n")]
        return "\n".join(lines) + "\n"


def _line(move: Move) -> str:
    words = " ".join(quote(part, safe=_SAFE) for part in move.object.split(" "))
    return str(
        move._replace(actor=quote(move.actor, safe=_SAFE), command=quote(move.command, safe=_SAFE), object=words)
    )


def parse(text: str, path: str = "schedule") -> Schedule:
    """Read a schedule file.

    Raises:
        UsageFault: with one fault per wrong line, each with its place.

    """
    lines = text.splitlines()
    match = re.fullmatch(r"gateway-stress (?:schedule|order) (\d+)", lines[0].strip()) if lines else None
    if match is None:
        raise UsageFault(
            [Fault(Place(path, 1, 1), "not a schedule file", f"its first line must be `{_MAGIC} {VERSION}`")]
        )
    if int(match[1]) != VERSION:
        hint = f"this version of gateway-stress reads format {VERSION}"
        raise UsageFault([Fault(Place(path, 1, match.start(1) + 1), f"schedule format {match[1]} is unknown", hint)])
    faults: list[Fault] = []
    values, body = _parse_head(lines, path, faults)
    moves, rest = _parse_moves(lines, body, path, faults)
    if faults:
        raise UsageFault(faults)
    return Schedule(tuple(moves), _head(values), _attachments(lines, rest))


def _parse_head(lines: list[str], path: str, faults: list[Fault]) -> tuple[dict[str, str], int]:
    values: dict[str, str] = {}
    for number, line in enumerate(lines[1:], start=2):
        if line.strip() == "---":
            return values, number
        if not line.strip() or line.startswith("#"):
            continue
        key, colon, value = line.partition(":")
        key = _WAS.get(key, key)
        if not colon or key not in _KEYS:
            faults.append(
                Fault(
                    Place(path, number, 1),
                    f"unknown line {line[:40]!r} in the head",
                    f"known: {', '.join(_KEYS)}",
                )
            )
        elif key == "seed" and not re.fullmatch(r"\s*-?\d+\s*", value):
            faults.append(
                Fault(Place(path, number, len(key) + 2), "the seed must be a whole number", "write `seed: 0`")
            )
        else:
            values[key] = value.strip() if (key, value.strip()) != ("executor", "wire") else "live"
    # Without that line every move is unknown to the head: the first of them is where it is missed.
    place = faults[0].place if faults else Place(path, len(lines), 1)
    raise UsageFault([Fault(place, "no moves", "a line `---` must stand between head and moves")])


def _parse_moves(lines: list[str], start: int, path: str, faults: list[Fault]) -> tuple[list[Move], int]:
    moves: list[Move] = []
    for number in range(start, len(lines)):
        line = lines[number].split(" # ")[0].strip()
        if line.startswith("--- "):
            return moves, number
        if not line or line.startswith("# "):
            continue
        words = line.split()
        occurrence = 1
        if re.fullmatch(r"#\d+", words[-1]):
            occurrence = int(words.pop()[1:])
        if len(words) < 2 or occurrence < 1:  # noqa: PLR2004 - an actor and a command
            hint = "write `ACTOR COMMAND [OBJECT] [#OCCURRENCE]`, such as `A HGET gw:dedup:{fingerprint}`"
            faults.append(Fault(Place(path, number + 1, 1), f"not a move: {line[:60]!r}", hint))
            continue
        moves.append(Move(unquote(words[0]), unquote(words[1]), " ".join(map(unquote, words[2:])), occurrence))
    return moves, len(lines)


def _head(values: dict[str, str]) -> Head:
    scenario, _, scenario_digest = values.get("scenario", "").partition(" ")
    target, _, target_digest = values.get("target", "").partition(" ")
    return Head(
        scenario=scenario,
        scenario_digest=scenario_digest,
        target=target,
        target_digest=target_digest,
        executor=values.get("executor", ""),
        seed=int(values.get("seed", "0")),
        fresh=values.get("fresh", ""),
        fingerprint=values.get("fingerprint", ""),
        outcome=values.get("outcome", ""),
        bursts=values.get("bursts", ""),
    )


def _attachments(lines: list[str], start: int) -> tuple[tuple[str, str], ...]:
    found: list[tuple[str, list[str]]] = []
    for line in lines[start:]:
        if line.startswith("--- "):
            found.append((line[4:].strip(), []))
        else:
            found[-1][1].append(line)
    return tuple((name, "\n".join(body) + "\n") for name, body in found)
