"""The pages of a pair and of a run: readable offline, in a browser without a script, whatever the Gateway answered."""

from __future__ import annotations

import dataclasses
import re
import shutil
import subprocess
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest
from known import counted_row, hostile_search, searched
from made import CLEANUP, HOLDS, RACE, TWO_RACES, result

from stress.report.folder import write, write_summary
from stress.report.page import overview_page, pair_page
from stress.trace import Details, Snapshot
from stress.verdict import Evidence

if TYPE_CHECKING:
    from pathlib import Path

    from stress.result import Result

ATTACK = "<script>document.title='owned'</script>\"'><img src=http://192.0.2.1/x onerror=alert(1)>{{ 7*7 }}"
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
        if data.strip() and self._open[-1][0] != "style":
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


@pytest.mark.parametrize("one", [pytest.param(one, id=kind) for kind, one in pages()])
def test_a_page_stands_alone(one: Result) -> None:
    """No script, no other file, no request; elements nest; its own policy forbids what a mistake would let in."""
    text = pair_page(one, "reports/r")
    page = Page(text)
    assert page.loads == []
    assert page.tags.isdisjoint({"script", "img", "link", "iframe", "object", "form"})
    assert "default-src 'none'; style-src 'unsafe-inline'" in text
    assert "@import" not in text
    assert "url(" not in text


def test_the_page_of_a_race_tells_it_all() -> None:
    """Verdict, story, replay command, the order with its three telling steps, answers, state, cause and evidence."""
    page = Page(pair_page(result(RACE), "reports/my r"))
    verdict = page.classes["verdict good"][0]
    assert verdict.startswith("race , as expected; expected: race: hits_equal_answers, distinct_counts broken: ")
    assert page.classes["story"][0].startswith("B's HSET changed gw:dedup:{fingerprint} between A's HGET, which saw 1,")
    assert "stress-gateway replay 'reports/my r/order.txt'" in page.texts
    assert page.classes["event step told"] == [
        "HGET gw:dedup:{fingerprint} count → 1",
        "HSET gw:dedup:{fingerprint} count 2 lastSeen {time} → 0",
        "HSET gw:dedup:{fingerprint} count 2 lastSeen {time} → 0",
    ]
    assert page.classes["event step conflict"] == [
        "EXISTS gw:dedup:{fingerprint} → 1",
        "EXISTS gw:dedup:{fingerprint} → 1",
        "HGET gw:dedup:{fingerprint} count → 1",
    ]
    for told in ("before1", "created", "duplicate", "rr-{fingerprint:16}", "[2, 2]", "exhausted 20 of 20"):
        assert told in page.texts
    assert "gateway. An invariant is broken: the Gateway must change." in page.texts


def test_the_page_shows_the_nearest_passing_order_beside() -> None:
    """Each of the two steps is highlighted in both orders, further to the right for B; what was moved stands alone."""
    text = pair_page(searched(), "r")
    page = Page(text)
    breaks = "B HGET gw:dedup:{fingerprint} before A HSET gw:dedup:{fingerprint} (nearest passing order: 1 step moved)"
    assert breaks in page.texts
    rows = text.split('<table class="order beside">')[1].split("</table>")[0].split("<tr")[2:]
    told = [
        [cell.count("event"), cell.count("told"), cell.count('"in"')] for row in rows for cell in row.split("<td")[1:]
    ]
    assert [told[at : at + 2] for at in range(8, len(told), 2)] == [
        [[1, 0, 1], [1, 0, 1]],
        [[0, 0, 0], [1, 1, 0]],
        [[1, 1, 1], [1, 1, 1]],
        [[1, 0, 1], [1, 0, 1]],
        [[1, 1, 0], [0, 0, 0]],
    ]
    assert [at for at, row in enumerate(rows) if 'class="moved"' in row] == [5, 8]
    assert "What breaks it" not in Page(pair_page(result(RACE), "r")).texts


def test_the_page_shows_how_it_ends_as_bars() -> None:
    """Orders and share of each outcome as figures and bars; the race's own is marked; an example can be opened."""
    text = pair_page(searched(), "r")
    page = Page(text)
    assert page.classes["figure"] == ["14", "50 %", "6", "50 %"]
    assert re.findall(r'class="(orders|share)"[^>]* width="([\d.]+%)"', text) == [
        ("orders", "70.0%"),
        ("share", "50.0%"),
        ("orders", "30.0%"),
        ("share", "50.0%"),
    ]
    assert re.findall("<summary>(.*?)</summary><pre>(.*?)</pre>", text, re.DOTALL) == [
        ("1 record, 3 hits; A 202 count 2, B 202 count 3", "A start\nA GET k"),
        ('1 record, 2 hits; A 202 count 2, B 202 count 2 <b class="tag">race</b>', "A start\nA GET k"),
    ]
    assert page.texts.count("of the random ones") == 1
    assert "walk: 50 of 100 orders fail, 16 classes seen" in page.texts


def test_where_nothing_was_drawn_there_are_no_shares() -> None:
    """Orders alone are shown, and what is left out is counted."""
    one = searched(drawn=False)
    page = Page(pair_page(one, "r"))
    assert (page.classes["figure"], "of the random ones" in page.texts) == (["14", "6"], False)
    many = tuple(counted_row(2, 2, hits) for hits in range(3, 48))
    page = Page(pair_page(dataclasses.replace(one, outcomes=many), "r"))
    assert len(page.classes["figure"]) == 40
    assert "and 5 other outcomes: 5 orders" in page.texts
    assert "How it ends" not in Page(pair_page(result(RACE), "r")).texts


def test_a_column_belongs_to_one_actor() -> None:
    """In each row only the cell of the actor that moved is filled."""
    text = pair_page(result(RACE), "r")
    rows = [row.split("</tr>")[0] for row in text.split("<tr>") if 'class="lane"' in row]
    filled = ["".join("x" if "event" in cell else "." for cell in row.split('class="lane"')[1:]) for row in rows]
    assert filled == ["x."] * 3 + [".x"] * 5 + ["x."] * 2


def test_the_page_of_the_environments_fault_says_so() -> None:
    """Each incarnation has its row with what ended it, and the cause says that the test must be isolated."""
    page = Page(pair_page(result(CLEANUP), "r"))
    assert "environment. No change in the Gateway can help: isolate the test." in page.texts
    assert "1, ended by cleanup" in page.texts
    assert "the end" in page.texts


def test_the_page_of_a_holding_pair_shows_its_evidence() -> None:
    """How much was covered and what was not checked stand beside the verdict; there is no order to show."""
    evidence = Evidence("wire", "exhaustive", 2, 0.5, exhausted=True, total=2, not_checked=("hits_equal_answers",))
    one = result(HOLDS)
    page = Page(
        pair_page(dataclasses.replace(one, verdict=dataclasses.replace(one.verdict, evidence=(evidence,))), "r")
    )
    assert page.classes["verdict good"][0].endswith("not checked: hits_equal_answers")
    assert "lane" not in page.classes


def test_the_page_of_an_inconclusive_pair_shows_the_last_run() -> None:
    """Why nothing can be concluded, and the trace as far as it came, also where no state could be read."""
    one = result(HOLDS, fault="Gateway 1 died")
    page = Page(pair_page(one, "r"))
    assert page.classes["verdict unsure"] == ["inconclusive ; expected: holds Gateway 1 died"]
    assert page.texts.count("Gateway 1 died") == 1
    assert "The last run, as far as it came" in page.texts
    assert one.last_trace is not None
    cut = dataclasses.replace(one.last_trace, details=lambda: Details((), (Snapshot(None, None),), ()))
    page = Page(pair_page(dataclasses.replace(one, last_trace=cut, faults=("Gateway 1 died", "and more")), "r"))
    assert page.texts.count("not observed") == 2
    assert "No client has been answered." in page.texts
    assert "and more" in page.texts


def test_the_overview_links_to_every_pair() -> None:
    """One row for each pair: verdict, whether expected, coverage, and the story of each race."""
    page = Page(overview_page([result(RACE), result(HOLDS, fault="Gateway 1 died")], ["a", "b"]))
    assert page.loads == ["a/index.html", "b/index.html"]
    assert page.classes["verdict bad"] == ["1 of 2 pairs of scenario and target as expected"]
    assert (page.classes["good"], page.classes["unsure"]) == (["yes"], ["no"])
    assert page.classes["quiet"][0].startswith("B's HSET changed")
    assert page.classes["quiet"][1] == "Gateway 1 died"


def test_an_overview_of_expected_pairs_is_good() -> None:
    """Where every pair is as expected the page says so at its top."""
    page = Page(overview_page([result(HOLDS)], ["a"]))
    assert page.classes["verdict good"] == ["1 of 1 pairs of scenario and target as expected"]


def test_a_browser_shows_hostile_texts_as_text(tmp_path: Path) -> None:
    """What a real browser made of the pages: no element and no script came from a name or a reply."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no chromium on PATH")
    one = hostile_search(ATTACK)
    folder = write(one, tmp_path / "reports")
    write_summary([one], [folder], tmp_path / "reports")
    options = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--no-first-run",
        f"--user-data-dir={tmp_path / 'profile'}",
    ]
    for page in (folder / "index.html", tmp_path / "reports" / "latest" / "index.html"):
        command = [browser, *options, "--dump-dom", page.as_uri()]
        shown = Page(subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout)
        assert {"script", "img"}.isdisjoint(shown.tags)
        assert "owned" not in shown.texts
        assert any(text.startswith("<script>document.title='owned'</script>") for text in shown.texts)
