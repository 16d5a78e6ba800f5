"""What requests one after another show of a target that can't be tested: each rule, its place, and what is normal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from made import answer, hand_made

from stress.config.scenario import Scenario
from stress.config.target import Target
from stress.core.errors import Unavailable, Untested, UsageFault
from stress.core.step import Access, Touch
from stress.core.trace import Event, Kind, Snapshot
from stress.executors.fingerprint import Marks
from stress.executors.live.judged import bypassed, stop
from stress.executors.live.preflight import Sample
from stress.executors.live.seen import Seen
from stress.protocols.heard import Heard, Refused

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from stress.core.trace import Answer

TEXT = """\
name: own
start: {command: [./gateway]}
fingerprint: "{labels.pod}"
request:
  path: /signals
  headers: {X-Key: "1"}
answers:
  created: 201
"""
"""A target's file; what a test adds begins in line 9."""
WRITES = Event(0, Kind.STEP, "A", "SET", "rec:{fingerprint}", touches=(Touch("rec:{fingerprint}", Access.WRITE),))
NONE = Snapshot(None, None)
TAKEN = (answer("A", record="rr"), answer("B", 202, record="rr"))


def seen(  # noqa: PLR0913 - what the tests vary
    tmp_path: Path,
    *,
    more: str = "",
    text: str = TEXT,
    answers: Sequence[Answer] = TAKEN,
    events: Sequence[Event] = (WRITES,),
    states: Sequence[Snapshot] = (NONE, NONE, NONE),
    scenario: dict[str, Any] | None = None,
    errors: Sequence[tuple[str, str]] = (),
    **changes: Any,  # noqa: ANN401 - any field
) -> Seen:
    """Make what one run showed of a target, in words."""
    (tmp_path / "t.yaml").write_text(text + more)
    target = Target.load(tmp_path / "t.yaml")
    keys = {"name": "two", "story": "Two.", "signal": {"labels": {"pod": "p-{fresh}"}}, **(scenario or {})}
    playing = Scenario.model_validate({"invariants": ["no_server_error", "one_created_answer"], **keys})
    heard = Heard()
    for one in errors:
        heard.error(*one)
    sample = Sample(hand_made(events, answers, states[-1:]), tuple(states))
    made = Seen(playing, target, (sample,), Marks(playing.signal, target), heard, "POST /signals")
    return made._replace(**changes)


def fault_of(made: Seen) -> str:
    """Give the one line of a fault in a file, without its folder."""
    found = stop(made)
    assert isinstance(found, UsageFault)
    (fault,) = found.faults
    return f"{fault.place.line}:{fault.place.column}: {fault.message} ({fault.hint})"


def test_a_target_that_accepts_and_writes_can_be_tested(tmp_path: Path) -> None:
    """Created, then a duplicate, with a store command: nothing stops it."""
    assert stop(seen(tmp_path)) is None


@pytest.mark.parametrize(
    ("status", "line"),
    [
        (404, "5:9: request.path: POST /signals was answered 404 [no such page]: no request is accepted"),
        (405, "5:9: request.path: POST /signals was answered 405 [no such page]: no request is accepted"),
        (307, "5:9: request.path: POST /signals was answered 307 [no such page]: no request is accepted"),
        (401, "6:12: request.headers: POST /signals was answered 401 [no such page]: no request is accepted"),
        (403, "6:12: request.headers: POST /signals was answered 403 [no such page]: no request is accepted"),
        (415, "6:12: request.headers: POST /signals was answered 415 [no such page]: no request is accepted"),
        (400, "5:3: request.body: POST /signals was answered 400 [no such page]: no request is accepted"),
        (422, "5:3: request.body: POST /signals was answered 422 [no such page]: no request is accepted"),
        (200, "8:12: answers.created: POST /signals was answered 200 [no such page]: answers lists no such status"),
    ],
)
def test_a_first_answer_that_the_files_can_change_is_a_fault_of_theirs(tmp_path: Path, status: int, line: str) -> None:
    """Method, path, status, body and the place of the key to look at are told."""
    answers = [answer("A", status, body="no such page\n"), answer("B", status)]
    assert fault_of(seen(tmp_path, answers=answers)).startswith(line)


def test_what_no_file_changes_is_left_to_the_search(tmp_path: Path) -> None:
    """All are answered 429 or 409, or the third is: no rule stops that."""
    assert stop(seen(tmp_path, answers=[answer("A", 429), answer("B", 409)])) is None
    assert stop(seen(tmp_path, answers=[*TAKEN, answer("C", 429)])) is None


def test_a_key_that_the_file_gives_must_be_in_an_answer(tmp_path: Path) -> None:
    """The fields that are there and the nearest are told; a default that is in none says nothing."""
    answers = [answer("A", body='{"job": {"idd": "7"}}'), answer("B", 202, body="{}")]
    reported = fault_of(seen(tmp_path, answers=answers, more="  record: job.id\n"))
    assert reported == "9:11: answers.record: no answer has 'job.id': there are job, job.idd (did you mean 'job.idd'?)"
    assert stop(seen(tmp_path, answers=answers)) is None
    reported = fault_of(seen(tmp_path, answers=answers, more="  count: hits\n"))
    assert reported.startswith("9:10: answers.count: no answer has 'hits': its body has no fields [{}]")


@pytest.mark.parametrize("status", [500, 0])
def test_a_target_that_always_fails_is_not_there(tmp_path: Path, status: int) -> None:
    """The refusal of the store comes first, then other errors, then what the service printed, without escapes."""
    answers = [answer("A", status, body="sorry"), answer("B", status)]
    errors = [("", "ERR no such thing"), ("AUTH", "WRONGPASS invalid pair"), ("EVALSHA", "NOSCRIPT no")]
    found = stop(seen(tmp_path, answers=answers, errors=errors, printed=["\x1b[31mTraceback"]))
    assert isinstance(found, Unavailable)
    assert str(found) == (
        f"every request is answered {status or 'nothing'} [sorry], also one alone; the store answered: AUTH -> "
        "WRONGPASS invalid pair; ERR no such thing; its last output: \\x1b[31mTraceback "
        "(check the user and the rights that the service has in its store)"
    )


def test_what_the_store_refuses_is_reported_where_the_service_goes_on(tmp_path: Path) -> None:
    """A service that answers created whatever its store refuses fails an invariant by itself: the refusal is why."""
    answers = [answer("A", record="rr"), answer("B", record="rr")]
    found = stop(seen(tmp_path, answers=answers, errors=[("SET", "NOPERM no permission")]))
    assert isinstance(found, Unavailable)
    assert str(found).startswith("the store refused what requests asked: SET -> NOPERM no permission")
    assert stop(seen(tmp_path, errors=[("SET", "NOPERM no permission")])) is None


def test_without_a_store_command_nothing_is_tested(tmp_path: Path) -> None:
    """The other address, a client that asked for nodes, and background that passed are told; one command is enough."""
    made = seen(tmp_path, events=[], connected=["127.0.0.1:6379"])
    found = stop(made)
    assert isinstance(found, Untested)
    assert str(found) == (
        "no store command of any request came through the gate, though requests were accepted; the service is "
        "connected to 127.0.0.1:6379 (does the service use {redis_url} or {redis_port}? See start.command and "
        "start.env)"
    )
    made.heard.discoveries["CLUSTER SLOTS"] = None
    assert "it asked for CLUSTER SLOTS and was given the addresses of the real nodes" in str(stop(made))
    slots = Event(0, Kind.STEP, "A", "CLUSTER")
    assert bypassed(seen(tmp_path, events=[slots]))
    assert not bypassed(seen(tmp_path, events=[slots, WRITES]))


def test_a_state_that_changes_without_a_command_is_reported(tmp_path: Path) -> None:
    """Also where no request was accepted."""
    states = [Snapshot((), None), Snapshot(("rr",), None)]
    made = seen(tmp_path, events=[], answers=[answer("A", 429)], states=states)
    assert "though the observed state changed" in str(stop(made))
    assert stop(seen(tmp_path, events=[], answers=[answer("A", 429)])) is None


def test_a_target_that_is_reached_is_reported_where_the_gate_listens(tmp_path: Path) -> None:
    """A service that was not started here must be pointed at the gate by its user."""
    text = "name: own\nurl: http://127.0.0.1:1\nstores: {redis: {listen: 6380}}\n"
    assert "let the service use the gate as its store: stores.redis.listen" in str(
        stop(seen(tmp_path, text=text, events=[]))
    )


RECORDS = 'observe:\n  records: {redis: [KEYS, "rec:{fingerprint}"]}\n'


def test_records_that_never_change_are_not_observed(tmp_path: Path) -> None:
    """None, although requests were accepted: the keys that did change, and the nearest, are told."""
    states = [Snapshot((), None)] * 3
    wrong = RECORDS.replace("rec:", "recs:")
    assert fault_of(seen(tmp_path, more=wrong, states=states)) == (
        "10:12: observe.records: KEYS recs:{fingerprint} named nothing, whatever was answered; requests changed "
        "rec:{fingerprint} (did you mean rec:{fingerprint}?)"
    )
    elsewhere = Event(0, Kind.STEP, "A", "SET", touches=(Touch("db1:rec:{fingerprint}", Access.WRITE),))
    reported = fault_of(seen(tmp_path, more=RECORDS, states=states, events=[elsewhere]))
    assert (
        "requests changed db1:rec:{fingerprint} (without db<number>: database 0), and state is read in database 0"
        in reported
    )


def test_records_that_were_there_before_are_normal(tmp_path: Path) -> None:
    """They never change, and answers name one of them."""
    states = [Snapshot(("rr",), None)] * 3
    assert stop(seen(tmp_path, more=RECORDS, states=states)) is None


def test_records_and_answers_must_have_a_name_in_common(tmp_path: Path) -> None:
    """One of each is told; where answers name none, there is nothing to compare."""
    states = [Snapshot((), None), Snapshot(("rec:1",), None), Snapshot(("rec:1",), None)]
    assert fault_of(seen(tmp_path, more=RECORDS, states=states)) == (
        "10:12: observe.records names rec:1, and answers name rr: no name is in both "
        "(check observe.records and answers.record)"
    )
    nameless = [answer("A"), answer("B", 202)]
    invariants = {"invariants": ["no_server_error"]}
    assert stop(seen(tmp_path, more=RECORDS, states=states, answers=nameless, scenario=invariants)) is None


HITS = RECORDS + '  hits: {redis: [GET, "hits:{fingerprint}"]}\n'


@pytest.mark.parametrize(
    ("hits", "answers", "reported"),
    [
        ((None, None), TAKEN, "was never a number"),
        ((0, 0), TAKEN, "was always 0"),
        ((7, 7), TAKEN, "was always 7"),
        ((1, 2), TAKEN, ""),
        ((1, 1), TAKEN, ""),
        ((7, 7), TAKEN[:1], ""),
    ],
)
def test_hits_that_never_change_are_not_observed(
    tmp_path: Path,
    hits: tuple[int | None, int | None],
    answers: Sequence[Answer],
    reported: str,
) -> None:
    """No number, or the same one; but 1 is normal, as of who is not counted again, and so is one request's."""
    states = [Snapshot((), {}), *(Snapshot(("rr",), {"rr": one}) for one in hits)]
    made = seen(tmp_path, more=HITS, states=states, answers=answers)
    assert (reported and reported in fault_of(made)) or (not reported and stop(made) is None)


def test_hits_need_records(tmp_path: Path) -> None:
    """What changed is told, so that they can be found."""
    assert fault_of(seen(tmp_path, more='observe:\n  hits: {redis: [GET, "hits:{fingerprint}"]}\n')) == (
        "10:9: observe.hits: hits are read for each record, and observe.records is not there; requests changed "
        "rec:{fingerprint} (add observe.records)"
    )


def test_what_fails_alone_is_no_race(tmp_path: Path) -> None:
    """Two were created, one after the other: nothing is concluded, and no cause is named."""
    answers = [answer("A", record="rr"), answer("B", record="rr")]
    found = stop(seen(tmp_path, answers=answers))
    assert isinstance(found, Untested)
    assert str(found).startswith(
        "fails without concurrency, in requests one after another: one_created_answer: expected 1"
    )
    assert "gateway" not in str(found).partition("(")[0]
    assert stop(seen(tmp_path, answers=answers, watching=True)) is None


@pytest.mark.parametrize(
    ("signal", "reported", "way"),
    [
        ({"labels": {"pod": "p"}}, "p", '`fingerprint: "{labels.pod}"`'),
        (
            {"labels": {"pod": "p"}},
            "148de9c5a7a44d19e56cd9ae1a554bf67847afb0c58f6e12fa29ac7ddfca9940",
            '`fingerprint: {sha256: "{labels.pod}"}`',
        ),
        ({"labels": {"pod": "p"}}, "x", '`fingerprint: "a text over the signal, as {labels.pod}"`'),
    ],
)
def test_expiry_needs_a_fingerprint_that_is_known_before(
    tmp_path: Path,
    signal: dict[str, Any],
    reported: str,
    way: str,
) -> None:
    """Both ways to say it are proposed, the first with the value that is sent where one is what was answered."""
    text = TEXT.replace('"{labels.pod}"', "{answer: id}") + 'observe: {records: {redis: [GET, "r"]}}\n'
    text += 'environment: {expiry: {redis: ["lock:{fingerprint}"]}}\n'
    playing = {"actors": {"expiry": {}}, "signal": signal}
    states = [Snapshot((), None), Snapshot(("rr",), None)]
    answers = [answer("A", record="rr", body=f'{{"id": "{reported}"}}')]
    made = seen(tmp_path, text=text, scenario=playing, answers=answers, states=states)
    line = fault_of(made)
    assert line.startswith("3:14: fingerprint: `expiry` of the scenario acts before an answer tells the fingerprint")
    assert f"{way} in the target, or `before: 1` in the scenario" in line
    assert stop(seen(tmp_path, text=text, scenario={**playing, "before": 1}, answers=answers, states=states)) is None
    guess = answer("A", record="rr", body=f'{{"id": "{made.marks.fingerprint("f")}"}}')
    assert stop(seen(tmp_path, text=text, scenario=playing, answers=[guess], states=states)) is None


def test_of_errors_the_distinct_ones_are_kept_but_not_without_end() -> None:
    """Twenty at most; those that clients reckon with are left out."""
    heard = Heard()
    for number in range(30):
        heard.error("GET", f"ERR {number % 25}")
        heard.error("EVALSHA", "NOSCRIPT No matching script.")
    assert list(heard.errors) == [Refused("GET", f"ERR {number}") for number in range(20)]
    assert str(Refused("", "403 Forbidden")) == "403 Forbidden"
    assert [Refused("", text).refuses for text in ("403 Forbidden", "NOPERM no", "ERR no")] == [True, True, False]
