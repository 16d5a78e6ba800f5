"""The pages of a case and of a run: readable offline, in a browser without a script, whatever the Gateway answered."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pytest
from known import counted_row, hostile_search, searched
from made import CLEANUP, HOLDS, RACE, TWO_RACES, answer, found, hand_made, hostile, result, with_lines

from stress.core.step import Access, Move, Touch
from stress.core.trace import Details, Event, Kind, Snapshot
from stress.core.verdict import Evidence, judge
from stress.report.events import Nearest
from stress.report.folder import write, write_summary
from stress.report.history import Run, history
from stress.report.html.overview import overview_page
from stress.report.html.page import LARGEST, case_page
from stress.report.html.rendering import embedded

if TYPE_CHECKING:
    from pathlib import Path

    from stress.report.events import Result

ATTACK = "<script>document.title='x'</script>\"'><!--</script><img src=http://192.0.2.1 onerror=alert()>\u2028{{ 7*7 }}"
_EMPTY = ("meta", "br", "img", "link", "input", "hr")
_LOADING = ("src", "href", "srcset", "action", "data", "poster", "background", "style")


class Page(HTMLParser):
    """What a page consists of: its elements, its texts by element and class, and what it would load."""

    def __init__(self, text: str) -> None:
        """Read a page and check that its elements nest."""
        super().__init__()
        self.tags: set[str] = set()
        self.loads: list[str] = []
        self.texts: list[str] = []
        self.scripts: list[str] = []
        self.classes: dict[str, list[str]] = {}
        self._open: list[tuple[str, str]] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the element, its class, and what it would load."""
        self.tags.add(tag)
        self.loads += [value or "" for name, value in attrs if name in _LOADING]
        assert not [name for name, _ in attrs if name.startswith("on")]
        if tag not in _EMPTY:
            self._open.append((tag, dict(attrs).get("class") or ""))
            self.classes.setdefault(self._open[-1][1], []).append("")

    def handle_endtag(self, tag: str) -> None:
        """Close the element that was opened last."""
        assert self._open.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        """Note a text with the classes that it stands in."""
        if self._open and self._open[-1][0] == "script":
            self.scripts.append(data)
        elif data.strip() and self._open[-1][0] != "style":
            self.texts.append(" ".join(data.split()))
            for name in {name for _, name in self._open if name}:
                self.classes[name][-1] = " ".join(f"{self.classes[name][-1]} {data}".split())


def pages() -> list[tuple[str, Result]]:
    """Give one result of each kind."""
    return [
        ("race", result(RACE)),
        ("two races", result(TWO_RACES, as_expected=False, unexpected=("one_active_record",))),
        ("holds", result(HOLDS)),
        ("environment", result(CLEANUP)),
        ("inconclusive", result(HOLDS, fault="Gateway 1 died", missing=("x",), notes=("a note",))),
        ("hostile", hostile_search(ATTACK)),
        ("searched", searched()),
    ]


def data_of(page: Page) -> dict[str, Any]:
    """Give the embedded value of a page."""
    value: dict[str, Any] = json.loads(page.scripts[0])
    return value


@pytest.mark.parametrize("one", [pytest.param(one, id=kind) for kind, one in pages()])
def test_a_page_stands_alone(one: Result) -> None:
    """No other file and no request; elements nest; its own policy allows its own script and nothing else."""
    text = case_page(one, "reports/r")
    page = Page(text)
    assert page.loads == []
    assert page.tags.isdisjoint({"img", "link", "iframe", "object", "form"})
    value, script = page.scripts
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'" in text
    assert (set("<>&") & set(value), set(json.loads(value))) == (set(), {"traces", "texts"})
    assert "@import" not in text
    assert "url(" not in text.replace("url(#hatch", "")


def test_an_embedded_value_can_not_leave_its_element() -> None:
    """Ends of elements, comments and separators of lines are escapes of JSON, which mean the same."""
    value = {"</script>": "<!--<script>&amp;\u2028\u2029'\"\\"}
    text = embedded(value)
    assert set("<>&\u2028\u2029'") & set(text) == {"'"}
    assert json.loads(text) == value


def test_the_page_of_a_race_tells_it_all() -> None:
    """Verdict with invariants in words and replay command, story, schedule, answers, state, cause and evidence."""
    page = Page(case_page(result(RACE), "reports/my r"))
    verdict = page.classes["verdict good"][0]
    assert verdict.startswith("race , as expected; expected: race: hits_equal_answers, distinct_counts broken: ")
    means = "The stored count of a record equals the number of hits that clients were answered are accepted."
    assert f"hits_equal_answers {means} 3 hits of rr-{{fingerprint:16}} 2" in verdict
    assert verdict.endswith("stress-gateway replay 'reports/my r/schedule.txt' Copy")
    assert page.classes["story"][0].startswith("Lost update B's HSET changed gw:dedup:{fingerprint} between A's HGET")
    assert page.classes["pattern"] == ["Lost update"]
    assert (
        "Lost update: A value is read, changed and written back, while another write to it takes place." in page.texts
    )
    assert page.classes["event step marked"] == [
        "HGET gw:dedup:{fingerprint} count → 1",
        "HSET gw:dedup:{fingerprint} count 2 lastSeen {time} → 0",
        "HSET gw:dedup:{fingerprint} count 2 lastSeen {time} → 0",
    ]
    assert page.classes["event step conflict"] == [
        "EXISTS gw:dedup:{fingerprint} → 1",
        "EXISTS gw:dedup:{fingerprint} → 1",
        "HGET gw:dedup:{fingerprint} count → 1",
    ]
    for reported in ("before1", "created", "duplicate", "rr-{fingerprint:16}", "[2, 2]", "exhausted 20 of 20"):
        assert reported in page.texts
    assert "gateway. An invariant is broken: the Gateway must change." in page.texts


def test_the_page_shows_what_clients_were_refused_with() -> None:
    """The body of an answer of 4xx or 5xx stands beside its status; that of a success does not."""
    one = result(RACE)
    trace = hand_made([], [answer("A", body="all is well"), answer("B", 409, body='{"title":"Conflict"}')])
    page = Page(case_page(dataclasses.replace(one, findings=(dataclasses.replace(one.findings[0], trace=trace),)), "r"))
    assert page.classes["body"] == ['{"title":"Conflict"}']
    assert not any("all is well" in text for text in page.texts)


def test_the_parts_of_a_page_stand_in_this_schedule() -> None:
    """From the verdict to the raw trace, as somebody in a hurry reads."""
    text = case_page(searched(), "r")
    headings = [" ".join(one.split()) for one in re.findall(r"<h[123][^>]*>(.*?)</h", text, re.DOTALL)]
    assert headings == [
        'atomic-hit-count <span class="on">on</span> redis-read-modify-write',
        "Race: hits_equal_answers, distinct_counts",
        "The schedule",
        "What breaks it: the nearest schedule that passes",
        "What the watched keys held after each step",
        "What clients were answered",
        "What is left in the store",
        "How it ends",
        "Evidence",
        "What was not controlled",
        "Raw trace",
    ]
    assert text.index("stress-gateway replay") < text.index("The schedule")


def test_the_watched_keys_are_followed_step_by_step() -> None:
    """A row for each step with the value of every key after it; what is new is marked."""
    page = Page(case_page(result(TWO_RACES), "r"))
    assert page.classes["new"] == ["nothing", "rr-{fingerprint:12}-{time:1} 2, …", "nothing"]
    assert page.classes["same"][:4] == ["?", "nothing", "?", "?"]


def test_what_was_not_controlled_is_said() -> None:
    """What nobody ordered, and what is assumed."""
    one = result(RACE)
    finding = dataclasses.replace(one.findings[0], trace=dataclasses.replace(one.findings[0].trace, crossed_second=2))
    evidence = Evidence("live", "random_walk", 5, 1.0, shared_only=True, not_checked=("x",))
    verdict = dataclasses.replace(one.verdict, evidence=(evidence,))
    page = Page(case_page(dataclasses.replace(one, findings=(finding,), verdict=verdict), "r"))
    at = page.texts.index("What was not controlled")
    assert page.texts[at + 1 : at + 7] == [
        "What a Gateway does between two store commands is not ordered: its threads, its timers, its memory.",
        "What the target calls background passes ungated, such as PING.",
        "1 request came before the others, one after another.",
        "It is assumed that requests share only the store.",
        "Another second began unasked at move 3 of a failing schedule.",
        "Not checked: x.",
    ]
    assert "Nothing was run on the wire." in Page(case_page(result(HOLDS), "r")).texts


def test_the_script_has_every_event_with_what_it_saw() -> None:
    """Each text stands once; an event has its times in milliseconds, and of each object the value before and after."""
    one = result(RACE)
    events = [dataclasses.replace(event, released=0.0012344, replied=0.5) for event in one.findings[0].trace.events]
    trace = hand_made(events, one.findings[0].trace.answers, one.findings[0].trace.epochs)
    one = dataclasses.replace(one, findings=(dataclasses.replace(one.findings[0], trace=trace),))
    value = data_of(Page(case_page(one, "r")))
    (trace_reported,), texts = value["traces"], value["texts"]
    assert len(set(texts)) == len(texts)
    assert [texts[at] for at in trace_reported["actors"]] == ["A", "B"]
    assert (trace_reported["id"], trace_reported["timed"], trace_reported["marked"]) == ("", True, [4, 8, 10])
    index, *words, seen, parked, released, replied, epoch = trace_reported["events"][6]
    assert (index, [texts[at] for at in words]) == (
        8,
        [
            "step",
            "B",
            "HSET",
            "gw:dedup:{fingerprint}",
            "HSET gw:dedup:{fingerprint} count 2 lastSeen {time}",
            "HSET gw:dedup:{fingerprint} count 2 lastSeen {time}",
            "0",
        ],
    )
    assert [[texts[at] for at in one] for one in seen] == [
        ["gw:dedup:{fingerprint}", "write", "count 1, …", "count 2, lastSeen {time}, …"]
    ]
    assert (parked, released, replied, epoch) == (None, 1.234, 500.0, 0)
    assert data_of(Page(case_page(result(TWO_RACES), "r")))["traces"][1]["id"] == "schedule-2-"
    assert data_of(Page(case_page(result(RACE), "r")))["traces"][0]["timed"] is False


def test_the_page_has_the_lines_of_code() -> None:
    """The table shows one of each step as far as they are known; the script has that, and all of them."""
    page = Page(case_page(with_lines(result(RACE), {4: ("store.py:9", "shop/app.py:31"), 8: ("app.py:33",)}), "r"))
    assert page.classes["line"] == ["store.py:9", "app.py:33"]
    (trace,), texts = data_of(page)["traces"], data_of(page)["texts"]
    assert [(row[0], [texts[at] for at in row[13:]]) for row in trace["events"] if len(row) > 13] == [
        (4, ["store.py:9", "store.py:9, called at shop/app.py:31"]),
        (8, ["app.py:33", "app.py:33"]),
    ]


@pytest.mark.unmeasured
def test_the_page_of_ten_thousand_steps_is_small_enough_and_says_what_it_leaves_out() -> None:
    """Beyond ten thousand events the rest is counted in a notice; long texts are cut until the file is small enough."""
    text = "é" * 100
    touches = (Touch("k", Access.WRITE),)
    events = [
        Event(number, Kind.STEP, "AB"[number % 2], "SET", "k", f"SET k {number}{text}", f"{number}{text}", touches)
        for number in range(10_500)
    ]
    one = result(HOLDS, fault="Gateway 1 died")
    page_text = case_page(dataclasses.replace(one, last_trace=hand_made(events, [answer("A", ended=5)])), "r")
    assert len(page_text.encode()) <= LARGEST
    page = Page(page_text)
    notice = "This run has 10500 events, and this page holds the first 10000. All are in trace.ndjson beside it."
    assert page.classes["notice"] == [notice]
    assert len(data_of(page)["traces"][0]["events"]) == 10_000
    assert "The first 50 of 10500 events; with a script this page shows 10000." in page.texts
    long = [Move("A", "SET", f"{number}{text}") for number in range(3_000)]
    finding = dataclasses.replace(found(*RACE)[0], nearest=Nearest((*long, long[0]), 1, long[0], long[1]))
    finding = dataclasses.replace(finding, schedule=dataclasses.replace(finding.schedule, moves=tuple(long)))
    assert len(case_page(dataclasses.replace(searched(), findings=(finding,)), "r").encode()) <= LARGEST


def test_a_long_comparison_counts_what_is_alike() -> None:
    """Of two long schedules the rows far from what differs are one row."""
    moves = tuple(Move("A", "GET", f"k{number}") for number in range(100))
    finding = dataclasses.replace(found(*RACE)[0], nearest=Nearest((*moves[1:], moves[0]), 1, moves[0], moves[-1]))
    finding = dataclasses.replace(finding, schedule=dataclasses.replace(finding.schedule, moves=moves))
    page = Page(case_page(dataclasses.replace(result(RACE), findings=(finding,)), "r"))
    assert page.classes["half quiet"] == ["… 96 steps alike"]


def test_no_credential_is_in_the_embedded_value() -> None:
    """Passwords, tokens and cookies in names, commands and replies are masked where the script reads them too."""
    for secret in ("redis://me:hunter2@h:1/0", "Authorization: Bearer hunter2", '{"password": "hunter2"}'):
        text = case_page(hostile(secret), "r")
        assert "hunter2" not in text
        assert "***" in " ".join(data_of(Page(text))["texts"])


def test_the_page_shows_the_nearest_passing_schedule_beside() -> None:
    """Each of the two steps is highlighted in both schedules, further right for B; what was moved stands alone."""
    text = case_page(searched(), "r")
    page = Page(text)
    breaks = (
        "B HGET gw:dedup:{fingerprint} before A HSET gw:dedup:{fingerprint} (nearest passing schedule: 1 step moved)"
    )
    assert breaks in page.texts
    rows = text.split('<table class="schedule beside">')[1].split("</table>")[0].split("<tr")[2:]
    reported = [
        [cell.count("event"), cell.count("marked"), cell.count('"in"')] for row in rows for cell in row.split("<td")[1:]
    ]
    assert [reported[at : at + 2] for at in range(8, len(reported), 2)] == [
        [[1, 0, 1], [1, 0, 1]],
        [[0, 0, 0], [1, 1, 0]],
        [[1, 1, 1], [1, 1, 1]],
        [[1, 0, 1], [1, 0, 1]],
        [[1, 1, 0], [0, 0, 0]],
    ]
    assert [at for at, row in enumerate(rows) if 'class="moved"' in row] == [5, 8]
    assert "What breaks it" not in Page(case_page(result(RACE), "r")).texts


def test_the_page_shows_how_it_ends_as_bars() -> None:
    """Schedules and share of each outcome as figures and bars; the race's own is marked; an example can be opened."""
    text = case_page(searched(), "r")
    page = Page(text)
    assert page.classes["figure"] == ["14", "50 %", "6", "50 %"]
    assert re.findall(r'class="(schedules|share)"[^>]* width="([\d.]+%)"', text) == [
        ("schedules", "70.0%"),
        ("share", "50.0%"),
        ("schedules", "30.0%"),
        ("share", "50.0%"),
    ]
    assert re.findall("<summary>([^<]*(?:<b.*?</b>)?)</summary><pre>(.*?)</pre>", text, re.DOTALL) == [
        ("1 record, 3 hits; A 202 count 2, B 202 count 3", "A start\nA GET k"),
        ('1 record, 2 hits; A 202 count 2, B 202 count 2 <b class="tag">race</b>', "A start\nA GET k"),
    ]
    assert page.texts.count("of the random ones") == 1
    assert "random_walk: 50 of 100 schedules fail, 16 classes seen" in page.texts


def test_where_nothing_was_drawn_there_are_no_shares() -> None:
    """Schedules alone are shown, and what is left out is counted."""
    one = searched(drawn=False)
    page = Page(case_page(one, "r"))
    assert (page.classes["figure"], "of the random ones" in page.texts) == (["14", "6"], False)
    many = tuple(counted_row(2, 2, hits) for hits in range(3, 48))
    page = Page(case_page(dataclasses.replace(one, outcomes=many), "r"))
    assert len(page.classes["figure"]) == 40
    assert "and 5 other outcomes: 5 schedules" in page.texts
    assert "How it ends" not in Page(case_page(result(RACE), "r")).texts


def test_a_column_belongs_to_one_actor() -> None:
    """In each row only the cell of the actor that moved is filled."""
    text = case_page(result(RACE), "r")
    rows = [row.split("</tr>")[0] for row in text.split("<tr>") if 'class="lane"' in row]
    filled = ["".join("x" if "event" in cell else "." for cell in row.split('class="lane"')[1:]) for row in rows]
    assert filled == ["x."] * 3 + [".x"] * 5 + ["x."] * 2


def test_the_page_of_the_environments_fault_says_so() -> None:
    """Each epoch has its row with what ended it, and the cause says that the test must be isolated."""
    page = Page(case_page(result(CLEANUP), "r"))
    assert "environment. No change in the Gateway can help: isolate the test." in page.texts
    assert "1, ended by cleanup" in page.texts
    assert "at the end" in page.texts


def test_the_page_of_a_holding_case_shows_its_evidence() -> None:
    """How much was covered and what was not checked stand beside the verdict; there is no schedule to show."""
    evidence = Evidence("live", "exhaustive", 2, 0.5, exhausted=True, total=2, not_checked=("hits_equal_answers",))
    one = result(HOLDS)
    page = Page(
        case_page(dataclasses.replace(one, verdict=dataclasses.replace(one.verdict, evidence=(evidence,))), "r")
    )
    assert page.classes["verdict good"][0].endswith("not checked: hits_equal_answers")
    assert "lane" not in page.classes


def test_the_page_of_an_inconclusive_case_shows_the_last_run() -> None:
    """Why nothing can be concluded, and the trace as far as it came, also where no state could be read."""
    one = result(HOLDS, fault="Gateway 1 died")
    page = Page(case_page(one, "r"))
    assert page.classes["verdict unsure"] == ["inconclusive ; expected: holds Gateway 1 died"]
    assert page.texts.count("Gateway 1 died") == 1
    assert "The last run, as far as it came" in page.texts
    assert one.last_trace is not None
    cut = dataclasses.replace(one.last_trace, details=lambda: Details((), (Snapshot(None, None),), ()))
    page = Page(case_page(dataclasses.replace(one, last_trace=cut, faults=("Gateway 1 died", "and more")), "r"))
    assert page.texts.count("not observed") == 2
    assert "No client has been answered." in page.texts
    assert "and more" in page.texts


def test_the_overview_links_to_every_case() -> None:
    """One row for each case: verdict, whether expected, coverage, and the story of each race."""
    page = Page(overview_page([result(RACE), result(HOLDS, fault="Gateway 1 died")], ["a", "b"]))
    assert page.loads == ["a/index.html", "b/index.html"]
    assert page.classes["verdict bad"] == ["1 of 2 cases as expected"]
    assert (page.classes["good"], page.classes["unsure"]) == (["yes"], ["no"])
    assert page.classes["quiet"][0].startswith("Lost update: B's HSET changed")
    assert (
        page.classes["covered"][1] == "Gateway 1 died; bounded: every schedule with up to 1 preemption (20 schedules)"
    )


def test_only_a_page_of_a_race_says_race() -> None:
    """What failed once and not in each replay is not confirmed, in its heading and among the outcomes; why is told."""
    one = searched()
    unsure = judge([], one.verdict.evidence, ["a failing schedule failed in 2 of 3 replays"])
    doubtful = dataclasses.replace(one, verdict=unsure, as_expected=False)
    assert re.findall("<h2>(Race|Not confirmed)", case_page(one, "r")) == ["Race"]
    assert Page(case_page(one, "r")).classes["tag"] == ["race", "race"]
    page = case_page(doubtful, "r")
    assert re.findall("<h2>(Race|Not confirmed)", page) == ["Not confirmed"]
    assert "tag" not in Page(page).classes
    assert "failed in 2 of 3 replays" in Page(page).classes["ruling"][0]


def test_an_overview_of_expected_cases_is_good() -> None:
    """Where every case is as expected the page says so at its top."""
    page = Page(overview_page([result(HOLDS)], ["a"]))
    assert page.classes["verdict good"] == ["1 of 1 cases as expected"]


def test_the_overview_tells_what_earlier_runs_came_to(tmp_path: Path) -> None:
    """Below each case the verdict, the schedules and the time of its last runs, newest last, without this run."""
    runs = {"20260101-000000": result(RACE), "20260102-000000": result(RACE, as_expected=False)}
    for name, one in runs.items():
        write(one, tmp_path).rename(tmp_path / f"{name}-x")
    one = result(RACE)
    write_summary([one], [write(one, tmp_path)], tmp_path)
    page = Page((tmp_path / "latest" / "index.html").read_text())
    link = "atomic-hit-count-redis-read-modify-write/index.html"
    assert page.loads == [link, "../20260102-000000-x/index.html", "../20260101-000000-x/index.html"]
    assert page.classes["history"] == [
        "2026-01-02 00:00:00 race 20 schedules 1.2 s 2026-01-01 00:00:00 race 20 schedules 1.2 s"
    ]
    assert (len(page.classes["run good"]), len(page.classes["run bad"])) == (2, 2)


def test_what_is_no_report_is_no_history(tmp_path: Path) -> None:
    """Broken, foreign and missing files are passed over; of many runs the last ten are told."""
    folder = write(result(RACE), tmp_path)
    good = json.loads((folder / "result.json").read_text())
    broken = [
        "",
        "[]",
        "{}",
        "[" * 100_000,
        json.dumps({**good, "verdict": "perhaps"}),
        json.dumps({**good, "search": None}),
        json.dumps({**good, "target": 3}),
        json.dumps({**good, "search": {"schedules": "many", "seconds": 1}}),
    ]
    for number, text in enumerate(broken):
        (tmp_path / f"20260101-00000{number}-x").mkdir()
        (tmp_path / f"20260101-00000{number}-x" / "result.json").write_text(text)
    (tmp_path / "20260102-000000-empty").mkdir()
    (tmp_path / "20260102-000001-file").write_text("")
    (tmp_path / "notes").mkdir()
    assert history(tmp_path, {folder.name}) == {}
    assert history(tmp_path / "missing") == {}
    for number in range(12):
        (tmp_path / f"20250101-0000{number:02}-y").mkdir()
        (tmp_path / f"20250101-0000{number:02}-y" / "result.json").write_text(json.dumps(good))
    (runs,) = history(tmp_path, {folder.name}).values()
    assert runs[0] == Run("20250101-000002-y", "2025-01-01 00:00:02", "race", True, 20, 1.25)  # noqa: FBT003 - a record
    assert (len(runs), runs[-1].when) == (10, "2025-01-01 00:00:11")
