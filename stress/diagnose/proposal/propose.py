"""Target, scenario and body of a service, from one start command and one request: the steps, one after another."""

from __future__ import annotations

import re
import tempfile
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from stress.checks import check_named, run_checks
from stress.config.scenario import Scenario
from stress.config.stores import default, protocols
from stress.config.target import Target
from stress.core.errors import UsageFault
from stress.core.masking import clean
from stress.core.registry import CHECKS, PROTOCOLS
from stress.diagnose.proposal.asking import Asker, send
from stress.diagnose.proposal.curl import Unread
from stress.diagnose.proposal.judged import answers_of
from stress.diagnose.proposal.places import places, put
from stress.diagnose.proposal.state import kept
from stress.diagnose.proposal.variables import Listeners, Trial, with_placeholders
from stress.diagnose.proposal.written import document
from stress.diagnose.trial import background
from stress.executors.asked import new_fresh
from stress.executors.live.deployment import Deployment
from stress.executors.live.executor import LiveExecutor
from stress.executors.live.said import fields_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from stress.diagnose.proposal.asking import Reply, Round
    from stress.diagnose.proposal.curl import Sample
    from stress.diagnose.proposal.places import Place
    from stress.diagnose.proposal.variables import Launch

    Say = Callable[[str], None]

_TIMES, _ROUNDS, _MOST_PLACES = 3, 3, 30
"""How often a request is sent in a round, how many rounds there are, and how many places of values are tried."""
_GOOD, _OWN_FAULT = range(200, 400), range(400, 500)
_MOST_LETTERS, _MOST_LINES = 200, 5
_INSTEAD, _OF_COUNTS = "same_answer", ("distinct_counts", "linearizable_hits")
_BODILESS = ("GET", "HEAD", "DELETE")


@dataclass
class Proposal:
    """The files by their names, in their sequence, and lines for people on what was found."""

    files: dict[str, str] = field(default_factory=dict)
    target: str = ""


class Proposer:
    """Finds out what a service does with a request, and writes it down.

    ``say`` is given what was found, as soon as it was.
    """

    def __init__(  # noqa: PLR0913 - what is known of a service
        self, name: str, launch: Launch, sample: Sample, *, stores: Sequence[str], setup: Sequence[str], say: Say
    ) -> None:
        """Take its name, how it is started, what it is sent, and the ``stores`` that it is known to use.

        They are named by their protocols; ``setup`` must be there in one.
        """
        self._name, self._launch, self._sample = name, launch, sample
        self._named, self._setup, self._say = stores, setup, say
        self._notes: dict[str, list[str]] = {}
        self._fresh: Place | None = None

    async def propose(self) -> Proposal:
        """Find out everything.

        Raises:
            Unguessed: when no variable is known that says where to listen, or where its store is.
            Unread: when it refuses the request.
            Unavailable: when it does not start.

        """
        with_placeholders(self._launch, self._sample.port)
        for variable, text in (pair for name in self._named for pair in PROTOCOLS[name].variables.items()):
            self._launch.env.setdefault(variable, text)
        self._launch = await self._tried()
        shown = ", ".join(f"{name}={text}" for name, text in self._launch.env.items())
        self._say(f"started as: {' '.join(self._launch.command)}" + (f" with {shown}" if shown else ""))
        with tempfile.TemporaryDirectory(prefix="gateway-stress-") as temporary:
            return await self._learned(Path(temporary))

    async def _tried(self) -> Launch:
        """Start it once, to see which variables it reads."""
        async with AsyncExitStack() as stack:
            listeners, given = None, dict[str, str]()
            for name in self._stores:
                given |= await PROTOCOLS[name].isolated(self._start_isolated(), self._launch.folder, stack)
            if "redis_port" in given:
                listeners = Listeners(int(given["redis_port"]))
                stack.push_async_callback(listeners.close)
            trial = Trial(self._launch, listeners, given)
            stack.push_async_callback(trial.close)
            await trial.begin()
            return await trial.read(self._accepted(trial.url, given))

    async def _accepted(self, url: str, given: Mapping[str, str]) -> None:
        """Send the sample; who fails may only miss its store, which is said elsewhere."""
        reply = await send(url, self._sample, new_fresh(), given)
        if reply.status in _OWN_FAULT:
            self._refused(reply, [])

    @property
    def _stores(self) -> dict[str, Any]:
        """The stores it uses: the usual one only where no other is known, or a placeholder names it."""
        usual = not self._named or self._launch.holds(*protocols()[default()].started)
        return {name: {} for name in protocols() if name in self._named or (usual and name == default())}

    def _start_isolated(self) -> dict[str, Any]:
        """Give the keys that say how it is started."""
        start: dict[str, Any] = {"command": list(self._launch.command)}
        if self._launch.env:
            start["env"] = dict(self._launch.env)
        if self._launch.ready:
            start["ready"] = {"path": self._launch.ready}
        keys: dict[str, Any] = {"name": self._name, "start": start}
        keys["stores"] = self._stores
        return {**keys, "setup": list(self._setup)} if self._setup else keys

    async def _learned(self, temporary: Path) -> Proposal:
        rounds = await self._asked(temporary)
        judged = answers_of(rounds)
        if judged.open:
            self._notes["answers"] = [f"Not known: {one}." for one in judged.open]
        place = self._fresh
        state = kept(rounds, judged.record, place.fresh if place is not None else "")
        keys = self._start_isolated()
        keys["scenarios"] = [f"{self._name}-twice.yaml"]
        if state.second:
            keys["second"] = "matters"
        if state.fingerprint is not None:
            keys["fingerprint"] = state.fingerprint
        keys["request"] = self._request()
        keys["answers"] = judged.answers
        if state.observe:
            keys["observe"] = state.observe
        if state.by_key:
            keys["answers"] = {**judged.answers, "record": None}
        scenario = self._scenario(second=state.second)
        await self._judged(keys, scenario, temporary)
        if "count" in keys["answers"] or "hits" in keys.get("observe", {}):
            keys["scenarios"].append(f"{self._name}-again.yaml")
        return self._proposal(keys, scenario)

    async def _asked(self, temporary: Path) -> list[Round]:
        """Find which value makes a request another, and send several of them, each several times."""
        async with self._deployment(self._start_isolated(), temporary) as deployment:
            asker = Asker(deployment)
            base = await asker.round(self._sample, _TIMES)
            self._refused(base.replies[0], deployment.replicas[1].tails(_MOST_LINES))
            if "{fresh}" not in str(self._sample):
                await self._search(asker, base)
            return [await asker.round(self._sample, _TIMES) for _ in range(_ROUNDS)]

    def _deployment(self, keys: Mapping[str, Any], folder: Path) -> Deployment:
        return Deployment(self._target(keys), folder)

    def _target(self, keys: Mapping[str, Any]) -> Target:
        """Make the target of these keys, which starts where the service is although its file is not there yet."""
        setup = [str(self._launch.folder / one) for one in self._setup]
        return Target.model_validate(
            {
                **keys,
                "start": {**keys["start"], "folder": str(self._launch.folder)},
                **({"setup": setup} if setup else {}),
            }
        )

    def _refused(self, first: Reply, printed: list[str]) -> None:
        if first.status in _GOOD:
            return
        body = " ".join(first.body.split())[:_MOST_LETTERS]
        lines = [line.strip() for line in printed if any(map(str.isalnum, line))]
        last = f"; its last output: {lines[-1]}" if lines else ""
        message = clean(f"{self._sample.shown} was answered {first.status or 'nothing'} [{body}]{last}")
        raise Unread(message, "give a request that it accepts, in the form that it has")

    async def _search(self, asker: Asker, base: Round) -> None:
        """Find a value that makes the service take the request for another one, and let `{fresh}` take its place."""
        secret = frozenset(name for name, text in self._sample.headers.items() if "{env." in text)
        named: Place | None = None
        for place in places(self._sample, secret)[:_MOST_PLACES]:
            changed = put(self._sample, place, place.fresh)
            one = await asker.round(changed, 2)
            if one.replies[0].status not in _GOOD:
                continue
            if _another(base, one):
                self._taken(place)
                return
            made = one.states[-1].keys() - one.states[0].keys()
            if named is None and any(one.fresh in word for name in made for word in name):
                named = place
        if named is not None:
            self._taken(named)
            return
        why = "no text in the request makes it another one for the service, so each run sends the same"
        self._say(why)
        self._notes["request"] = [f"{why[0].upper()}{why[1:]};", "write {fresh} where a value names what it is about."]

    def _taken(self, place: Place) -> None:
        self._fresh = place
        self._sample = put(self._sample, place, place.fresh)
        self._say(f"what names the request: {place.shown} (a new one in each run: {place.fresh})")

    def _request(self) -> dict[str, Any]:
        sample = self._sample
        found: dict[str, Any] = {"method": sample.method} if sample.method != "POST" else {}
        found["path"] = sample.path
        if sample.query:
            found["query"] = dict(sample.query)
        usual = "application/json"
        headers = {
            name: text for name, text in sample.headers.items() if (name.lower(), text) != ("content-type", usual)
        }
        if headers:
            found["headers"] = headers
        if self._body() is not None:
            found["body"] = self._body_name
        return found

    def _body(self) -> str | None:
        """Give the body; where the method has one and the sample none, it is empty, as else a signal would be sent."""
        bare = self._sample.body is None
        return self._sample.body if not bare else None if self._sample.method in _BODILESS else ""

    @property
    def _body_name(self) -> str:
        return f"{self._name}-body.{'json' if self._sample.content_type == 'application/json' else 'txt'}"

    def _scenario(self, *, second: bool) -> dict[str, Any]:
        keys: dict[str, Any] = {
            "name": f"{self._name}-twice",
            "story": f"{self._sample.shown} comes twice at once; the outcome is as if one had come after the other.",
            "concurrent": 2,
        }
        if second:
            keys["actors"] = {"clock": {"at_most": 1}}
        keys["invariants"] = ["no_server_error"]
        return keys

    async def _judged(self, keys: dict[str, Any], scenario: dict[str, Any], temporary: Path) -> None:
        """See what holds in requests one after another: those invariants are searched; leave out what does not fit."""
        if (body := self._body()) is not None:
            (temporary / self._body_name).write_text(body)
        executor = LiveExecutor(Scenario.model_validate(scenario), self._target(keys), temporary)
        executor.judged = False
        async with executor:
            stop = await executor.stop()
            if isinstance(stop, UsageFault) and "observe" in keys:
                del keys["observe"]
                repeat = True
            else:
                repeat = False
                traces = [one.trace for one in executor.learned.samples if not one.trace.fault]
                for text in background(executor):
                    keys.update(yaml.safe_load(text))
        if repeat:
            await self._judged(keys, scenario, temporary)
            return
        left_out = () if "count" in keys["answers"] else _OF_COUNTS
        wanted = [name for name in CHECKS.names() if check_named(name).default and name not in left_out]
        wanted += [_INSTEAD]
        able = [name for name in wanted if traces and all(check_named(name).runs_on(one) for one in traces)]
        broken = [name for name in able if any(run_checks([name], one) for one in traces)]
        scenario["invariants"] = [name for name in able if name not in broken] or ["no_server_error"]
        if broken:
            what = f"{', '.join(broken)}: broken by requests one after another too, so not for this service."
            self._notes["invariants"] = [what]
        if "observe" not in keys:
            self._notes["observe"] = [
                "Not known: where its store holds the records that answers name. Its answers alone are judged until",
                'that is here, such as observe: {records: {redis: [SMEMBERS, "schedules:{fresh}"]}}',
            ]

    def _proposal(self, keys: Mapping[str, Any], scenario: Mapping[str, Any]) -> Proposal:
        target = f"{self._name}.yaml"
        head = "Written by stress-gateway init; `stress-gateway schema target` lists every key."
        notes = {"invariants": self._notes.pop("invariants", [])}
        files = {target: document(keys, self._notes, head)}
        for name, one in zip(keys["scenarios"], _scenarios(self._name, scenario), strict=False):
            files[name] = document(one, notes, head.replace("target", "scenario"))
        if (body := self._body()) is not None:
            files[self._body_name] = body + "\n" if self._body_name.endswith(".json") else body
        return Proposal(files, target)


def _scenarios(service: str, twice: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Give the scenario in which nobody was there before, and the one in which somebody was: then two are counted."""
    repeat = dict(twice)
    repeat |= {"name": f"{service}-again", "story": twice["story"].replace(" comes twice ", " comes twice more ")}
    at = list(repeat).index("concurrent")
    return [dict(twice), dict([*list(repeat.items())[:at], ("before", 1), *list(repeat.items())[at:]])]


def _another(base: Round, one: Round) -> bool:
    """Tell whether a service took a changed request for another one: as it did the first, and not the second alike."""
    if base.grown(0) > base.grown(1) and one.grown(0) > one.grown(1):
        return True
    first, second = base.replies[0], base.replies[1]
    if first.status != second.status:
        return one.replies[0].status == first.status
    return _sign(first, second) != set() and _sign(first, second) <= _sign(one.replies[0], one.replies[1])


def _sign(first: Reply, second: Reply) -> set[tuple[str, str, str]]:
    """Give the fields in which two replies differ, with both values."""
    paths = dict.fromkeys([*fields_of(first.body), *fields_of(second.body)])
    judged = ((path, repr(first.field(path)), repr(second.field(path))) for path in paths)
    return {one for one in judged if one[1] != one[2]}


def name_of(text: str) -> str:
    """Give the name of a service, such as that of its folder, as the file formats take it."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip(".-_")[:60] or "service"
