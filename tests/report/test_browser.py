"""The pages in a real browser: what a click, a key, the pointer and a filter do, and that nothing is ever requested."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import shutil
import subprocess
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from known import hostile_search, searched
from made import CLEANUP, HOLDS, RACE, TWO_RACES, answer, hand_made, result, with_lines

from stress.core.trace import Event, Kind
from stress.report.folder import write, write_summary
from stress.report.html.page import case_page

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from stress.report.events import Result

BROWSER = next((path for path in map(shutil.which, ("chromium", "chromium-browser", "google-chrome")) if path), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no chromium on PATH: the pages are not tried in a browser")

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--remote-debugging-port=0",
    "--window-size=900,700",
)
ATTACK = (
    "<script>document.title='owned'</script>\"'</script><!--"
    "<img src=http://192.0.2.1/x onerror=document.title='owned'>\u2028{{ 7*7 }}"
)


class Tab:
    """A tab of a browser, driven over the Chrome DevTools Protocol."""

    def __init__(self, loop: asyncio.AbstractEventLoop, socket: aiohttp.ClientWebSocketResponse) -> None:
        """Drive the tab behind a socket."""
        self._loop, self._socket = loop, socket
        self._number = 0
        self.requests: list[str] = []
        self.errors: list[str] = []
        self._loaded: set[str] = set()
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.ask(f"{domain}.enable")
        self.ask("Page.setLifecycleEventsEnabled", enabled=True)

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON
        """Send a command; give its result."""
        return self._loop.run_until_complete(asyncio.wait_for(self._ask(method, parameters), 30))

    async def _ask(self, method: str, parameters: dict[str, Any]) -> dict[str, Any]:
        self._number += 1
        await self._socket.send_json({"id": self._number, "method": method, "params": parameters})
        while True:
            message = await self._socket.receive_json()
            self._note(message)
            if message.get("id") == self._number:
                assert "error" not in message, message
                answer: dict[str, Any] = message["result"]
                return answer

    async def _load(self, url: str) -> None:
        loader = (await self._ask("Page.navigate", {"url": url}))["loaderId"]
        while loader not in self._loaded:
            self._note(await self._socket.receive_json())

    def _note(self, message: dict[str, Any]) -> None:
        parameters = message.get("params", {})
        if message.get("method") == "Page.lifecycleEvent" and parameters["name"] == "load":
            self._loaded.add(parameters["loaderId"])
        elif message.get("method") == "Network.requestWillBeSent":
            self.requests.append(parameters["request"]["url"])
        elif message.get("method") == "Runtime.exceptionThrown":
            self.errors.append(parameters["exceptionDetails"]["exception"].get("description", "?"))
        elif message.get("method") == "Log.entryAdded":
            self.errors.append(parameters["entry"]["text"])

    def open(self, path: Path, fragment: str = "") -> None:
        """Open a file and wait until it is loaded; what was noted before is forgotten."""
        for url in ("about:blank", path.as_uri() + fragment):
            self.requests.clear()
            self.errors.clear()
            self._loop.run_until_complete(asyncio.wait_for(self._load(url), 30))

    def run(self, script: str) -> Any:  # noqa: ANN401 - any JSON
        """Run an expression in the page; give its value."""
        reported = self.ask(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True, userGesture=True
        )
        assert "exceptionDetails" not in reported, reported["exceptionDetails"]
        return reported["result"].get("value")

    def text(self, selector: str) -> str:
        """Give the text of the first element that a selector finds, spaces folded."""
        found = self.run(f"document.querySelector({json.dumps(selector)}).textContent")
        return " ".join(str(found).split())

    def texts(self, selector: str) -> list[str]:
        """Give the texts of all elements that a selector finds, spaces folded."""
        found = self.run(f"[...document.querySelectorAll({json.dumps(selector)})].map((one) => one.textContent)")
        return [" ".join(one.split()) for one in found]

    def point(self, selector: str, *, click: bool = False) -> None:
        """Move the pointer into the middle of an element; ``click`` it."""
        where = self.run(
            f"(() => {{ const one = document.querySelector({json.dumps(selector)}); "
            "one.scrollIntoView({block: 'center'}); const box = one.getBoundingClientRect(); "
            "return [box.x + box.width / 2, box.y + box.height / 2]; })()"
        )
        place = {"x": where[0], "y": where[1]}
        self.ask("Input.dispatchMouseEvent", type="mouseMoved", **place)
        for kind in ("mousePressed", "mouseReleased") if click else ():
            self.ask("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **place)

    def press(self, key: str, code: int) -> None:
        """Press a key; ``code`` is its number in the DOM."""
        text = {"text": "\r"} if key == "Enter" else {}
        self.ask("Input.dispatchKeyEvent", type="keyDown", key=key, code=key, windowsVirtualKeyCode=code, **text)
        self.ask("Input.dispatchKeyEvent", type="keyUp", key=key, code=key, windowsVirtualKeyCode=code)

    def type(self, text: str) -> None:
        """Type a text into what has the focus."""
        self.ask("Input.insertText", text=text)


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    """Start one browser for all tests of this file; give its tab."""
    profile = tmp_path_factory.mktemp("profile")
    command = [str(BROWSER), *FLAGS, f"--user-data-dir={profile}", "about:blank"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as browser:
        loop = asyncio.new_event_loop()
        session: aiohttp.ClientSession | None = None
        try:
            port = _port(profile / "DevToolsActivePort", browser)
            session, socket = loop.run_until_complete(_connected(port))
            yield Tab(loop, socket)
        finally:
            if session is not None:
                loop.run_until_complete(session.close())
            loop.close()
            browser.terminate()


def _port(file: Path, browser: subprocess.Popen[bytes]) -> int:
    """Wait for the browser to say on which port it listens."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and browser.poll() is None:
        with suppress(OSError, ValueError, IndexError):
            return int(file.read_text().splitlines()[0])
        time.sleep(0.02)
    pytest.skip(f"chromium does not start here (exit code {browser.poll()})")


async def _connected(port: int) -> tuple[aiohttp.ClientSession, aiohttp.ClientWebSocketResponse]:
    session = aiohttp.ClientSession()
    async with session.get(f"http://127.0.0.1:{port}/json") as answer:
        pages = [one for one in await answer.json(content_type=None) if one["type"] == "page"]
    return session, await session.ws_connect(pages[0]["webSocketDebuggerUrl"], max_msg_size=0)


def timed(one: Result) -> Result:
    """Give every event of the failing schedule times: a step each 10 ms, parked for 4 ms."""
    finding = one.findings[0]
    events = [
        dataclasses.replace(
            event,
            parked=event.index / 100 - 0.004 if event.kind is Kind.STEP else None,
            released=event.index / 100 if event.kind is Kind.STEP else None,
            replied=event.index / 100 + 0.001,
        )
        for event in finding.trace.events
    ]
    trace = dataclasses.replace(
        hand_made(events, finding.trace.answers, finding.trace.epochs), moves=finding.trace.moves
    )
    return dataclasses.replace(one, findings=(dataclasses.replace(finding, trace=trace),))


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Result], Path]:
    """Give what writes the page of a result."""
    folder = tmp_path_factory.mktemp("pages")

    def written(one: Result) -> Path:
        path = folder / f"{len(list(folder.iterdir()))}.html"
        path.write_text(case_page(one, "reports/r"), encoding="utf-8")
        return path

    return written


SHOWN = "document.querySelector('.card:not([hidden])')"


def test_nothing_is_requested_and_nothing_goes_wrong(tab: Tab, page: Callable[[Result], Path]) -> None:
    """Each kind of page asks for its own file alone, whatever is clicked, and its script and its policy agree."""
    for one in (result(TWO_RACES), result(CLEANUP), result(HOLDS), result(HOLDS, fault="Gateway 1 died")):
        path = page(one)
        tab.open(path)
        tab.run("document.querySelectorAll('button:not([disabled])').forEach((one) => one.click())")
        tab.run("document.querySelectorAll('summary').forEach((one) => one.click())")
        assert (tab.requests, tab.errors) == ([path.as_uri()], [])


def test_the_policy_of_the_page_stops_what_a_mistake_would_let_in(tab: Tab, page: Callable[[Result], Path]) -> None:
    """A script or an image that gets into the page all the same is neither run nor loaded."""
    tab.open(page(result(RACE)))
    tab.run(
        "(() => { const one = document.createElement('script'); one.textContent = 'document.title = 1'; "
        "document.body.append(one); const image = new Image(); image.src = 'http://127.0.0.1:9/x'; "
        "return new Promise((done) => { image.onerror = done; document.body.append(image); }); })()"
    )
    assert tab.run("document.title") == "atomic-hit-count on redis-read-modify-write"
    # The browser names what it would have requested; both were refused by the policy.
    assert [error.split(" violates")[0][:40] for error in tab.errors if "violates" in error] == [
        "Executing inline script",
        "Loading the image 'http://127.0.0.1:9/x'",
    ]


def test_the_diagram_has_every_event_and_marks_what_the_story_is_about(
    tab: Tab, page: Callable[[Result], Path]
) -> None:
    """A lane for each actor, one for the connections and one for the store; hatched where a step was parked."""
    tab.open(page(searched()))
    assert tab.texts(".canvas .head") == ["A", "B", "Gateway's connections", "store"]
    assert tab.texts("g.event .label")[:3] == [
        "A starts",
        "A EXISTS gw:dedup:{fingerprint} → 1",
        "A HGET gw:dedup:{fingerprint} count → 1",
    ]
    reported = [text.split(" gw")[0] for text in tab.texts("g.event.marked .label")]
    assert reported == ["A HGET", "B HSET", "A HSET"]
    assert tab.run("getComputedStyle(document.querySelector('g.marked .send')).strokeWidth") == "3.5px"
    heights = tab.run("[...document.querySelectorAll('rect.parked')].map((one) => one.height.baseVal.value)")
    assert [height > 100 for height in heights] == [False, False, False, False, False, True]
    assert tab.run("document.querySelector('details.table').open") is False


def test_pointing_at_an_event_tells_of_it_and_a_click_keeps_it(tab: Tab, page: Callable[[Result], Path]) -> None:
    """Command, key, reply, value before and after; it goes with the pointer, unless it was clicked."""
    tab.open(page(searched()))
    tab.point("#event-8 .label")
    assert tab.text(".card header") == "#8B HSET"
    assert tab.texts(".card dd") == [
        "HSET gw:dedup:{fingerprint} count 2 lastSeen {time}",
        "gw:dedup:{fingerprint}",
        "0",
        "count 1, … → count 2, lastSeen {time}, …",
    ]
    tab.point("h1")
    assert tab.run(f"{SHOWN} === null")
    tab.point("#event-8 .label", click=True)
    tab.point("h1")
    assert tab.text(".card.pinned strong") == "B HSET"
    tab.point("#event-4 .label")
    assert tab.text(".card strong") == "B HSET"
    tab.point(".card header button", click=True)
    assert tab.run(f"{SHOWN} === null || !{SHOWN}.classList.contains('pinned')")


def test_events_are_reached_by_keys_alone(tab: Tab, page: Callable[[Result], Path]) -> None:
    """Arrows go from event to event, Enter keeps the card, Escape closes it; one event is a stop of the tabulator."""
    tab.open(page(searched()))
    assert tab.run("document.querySelectorAll('g.event[tabindex=\"0\"]').length") == 1
    tab.run("document.querySelector('g.event').focus()")
    tab.press("ArrowDown", 40)
    tab.press("ArrowDown", 40)
    assert (tab.run("document.activeElement.id"), tab.text(".card strong")) == ("event-4", "A HGET")
    tab.press("Enter", 13)
    assert tab.run("document.querySelector('.card').className") == "card pinned"
    tab.press("Escape", 27)
    assert tab.run("document.querySelector('.card').className") == "card"
    tab.press("End", 35)
    assert tab.run("document.activeElement.id") == "event-11"


def test_a_link_leads_to_its_event(tab: Tab, page: Callable[[Result], Path]) -> None:
    """Opened with the name of an event, also of a second race, the page shows it and keeps its card open."""
    path = page(result(TWO_RACES))
    tab.open(path, "#schedule-2-event-5")
    assert tab.text("figure[data-trace='1'] .card.pinned strong") == "B EVAL"
    box = "document.getElementById('schedule-2-event-5').getBoundingClientRect()"
    assert tab.run(f"0 < {box}.top && {box}.bottom < innerHeight")
    tab.point("#trace ~ .raws a[href='#event-3']", click=True)
    assert tab.text("figure[data-trace='0'] .card.pinned strong") == "B SMEMBERS"


def test_the_lines_of_code_stand_in_diagram_and_card(tab: Tab, page: Callable[[Result], Path]) -> None:
    """It stands after the words of its event; the card has who called it too, by which the raw trace is filtered."""
    tab.open(page(with_lines(result(RACE), {4: ("store.py:9", "shop/app.py:31"), 8: ("app.py:33",)})))
    assert tab.text("#event-4 .label") == "A HGET gw:dedup:{fingerprint} count… store.py:9"
    tab.point("#event-4 .label")
    assert tab.texts(".card dd")[2] == "store.py:9, called at shop/app.py:31"
    tab.run(
        "(() => { const one = document.querySelector('.raws input'); one.value = 'shop/app'; "
        "one.dispatchEvent(new Event('input')); })()"
    )
    assert tab.text(".raws .count") == "1 of 10 events"
    assert tab.errors == []


def test_the_clock_stretches_the_diagram_where_there_are_times(tab: Tab, page: Callable[[Result], Path]) -> None:
    """By the clock what takes longer is longer; a run of the model has no clock, and says so."""
    tab.open(page(timed(searched())))
    assert tab.texts("g.event .at")[:3] == ["2", "3", "4"]
    tab.point("[data-by=clock]", click=True)
    assert tab.texts("g.event .at")[:3] == ["0.00", "9.00", "19.00"]
    assert tab.run("document.querySelector('[data-by=clock]').getAttribute('aria-pressed')") == "true"
    down = "[...document.querySelectorAll('circle[r=\"4\"]')].map((one) => one.cy.baseVal.value)"
    first, second, *_ = tab.run(down)
    waited = tab.run("document.querySelector('rect.parked').height.baseVal.value")
    assert waited == pytest.approx(0.4 * (second - first), rel=0.01)
    tab.point("#event-8 .label")
    assert tab.texts(".card dd")[-1] == "parked at 76.00 ms for 4.00 ms, replied at 81.00 ms"
    tab.open(page(searched()))
    assert tab.run("document.querySelector('[data-by=clock]').disabled") is True
    assert tab.run("document.querySelector('[data-by=clock]').title").startswith("this run has no times")


def test_the_raw_trace_is_filtered_by_words(tab: Tab, page: Callable[[Result], Path]) -> None:
    """All words must be in a row; without any all rows are there."""
    tab.open(page(searched()))
    assert tab.text(".count") == "10 of 10 events"
    tab.run("document.querySelector('.raws input').focus()")
    tab.type("b hset")
    assert tab.text(".count") == "1 of 10 events"
    assert tab.texts(".raw tbody td")[:2] == ["8", "B"]
    tab.type(" nowhere")
    assert tab.texts(".raw tbody tr") == []


def test_a_long_trace_is_drawn_in_parts(tab: Tab, page: Callable[[Result], Path]) -> None:
    """Of many events three hundred are drawn at once, and the table shows five hundred until it is asked."""
    one = result(HOLDS, fault="Gateway 1 died")
    steps = [Event(index, Kind.STEP, "AB"[index % 2], "GET", "k", f"GET k{index}", "1") for index in range(650)]
    path = page(dataclasses.replace(one, last_trace=hand_made(steps, [answer("A", ended=649)])))
    tab.open(path)
    assert (tab.text(".where"), len(tab.texts("g.event"))) == ("events 1 to 300 of 650", 300)
    tab.point("[data-go='1']", click=True)
    assert tab.text(".where") == "events 301 to 600 of 650"
    assert len(tab.texts(".raw tbody tr")) == 500
    tab.run("document.querySelector('.raws > button').click()")
    assert len(tab.texts(".raw tbody tr")) == 650
    tab.open(path, "#event-610")
    assert (tab.text(".where"), tab.text(".card.pinned strong")) == ("events 601 to 650 of 650", "A GET")


def test_the_theme_follows_the_system_until_it_is_chosen(tab: Tab, page: Callable[[Result], Path]) -> None:
    """Dark where the system is dark; what was chosen stays for the next page."""
    path = page(result(HOLDS))
    background = "getComputedStyle(document.body).backgroundColor"
    tab.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
    tab.open(path)
    assert tab.run(background) == "rgb(20, 23, 26)"
    tab.point(".themes [data-theme=light]", click=True)
    assert tab.run(background) == "rgb(251, 251, 250)"
    tab.open(path)
    assert tab.run(background) == "rgb(251, 251, 250)"
    tab.ask("Emulation.setEmulatedMedia", media="print", features=[{"name": "prefers-color-scheme", "value": "dark"}])
    tab.point(".themes [data-theme=dark]", click=False)
    assert tab.run(background) == "rgb(255, 255, 255)"
    tab.ask("Emulation.setEmulatedMedia", media="", features=[])
    tab.point(".themes [data-theme='']", click=True)
    assert tab.run("document.documentElement.dataset.theme === undefined")


@pytest.mark.parametrize("clipboard", ["there", "missing"])
def test_the_replay_command_is_copied(tab: Tab, page: Callable[[Result], Path], clipboard: str) -> None:
    """By a click or a key it is in the clipboard, also where the browser gives a page no clipboard of its own."""
    tab.open(page(result(RACE)))
    command = "stress-gateway replay reports/r/schedule.txt"
    if clipboard == "missing":
        tab.run("Object.defineProperty(navigator, 'clipboard', {value: undefined}), 0")
    else:
        tab.run("navigator.clipboard.writeText = async (text) => { window.copied = text; }, 0")
    tab.run("document.addEventListener('copy', () => { window.copied = String(getSelection()); })")
    tab.run("document.querySelector('button.copy').focus()")
    tab.press("Enter", 13)
    tab.run("new Promise((done) => setTimeout(done))")
    assert tab.run("window.copied") == command


def test_hostile_texts_stay_text(tab: Tab, tmp_path: Path) -> None:
    """Scripts, quotes, ends of elements and separators of lines in every text from outside are shown as they are."""
    one = hostile_search(ATTACK)
    folder = write(one, tmp_path / "reports")
    write_summary([one], [folder], tmp_path / "reports")
    for path in (folder / "index.html", tmp_path / "reports" / "latest" / "index.html"):
        tab.open(path)
        assert (tab.requests, tab.errors) == ([path.as_uri()], [])
        assert tab.run("document.title") != "owned"
        assert tab.run("document.querySelectorAll('img, iframe, body > main script').length") == 0
        assert tab.text("body").count("<script>document.title='owned'</script>") > 2
    tab.open(folder / "index.html")
    assert tab.run("document.querySelector('g.event').getAttribute('aria-label')").startswith("0: <script>document")
    assert tab.text("g.event .label").startswith("<script>documen…")
    assert tab.texts(".raw tbody td:nth-child(4)")[-1].startswith("<script>document.title='owned'</script>\"'</script>")


def test_the_overview_filters_its_cases(tab: Tab, tmp_path: Path) -> None:
    """A word leaves the rows that have it; the marks of earlier runs open to a list of links."""
    results = [result(RACE), result(HOLDS)]
    write_summary(results, [write(one, tmp_path) for one in results], tmp_path)
    write_summary(results, [write(one, tmp_path) for one in results], tmp_path)
    tab.open(tmp_path / "latest" / "index.html")
    assert tab.text(".count") == "2 of 2 cases"
    tab.run("document.querySelector('.tools input').focus()")
    tab.type("lost update")
    assert tab.text(".count") == "1 of 2 cases"
    assert tab.run("document.querySelectorAll('.cases > tbody > tr:not([hidden])').length") == 1
    tab.point(".history summary", click=True)
    assert tab.run("document.querySelector('.history a').getAttribute('href')").startswith("../2")
