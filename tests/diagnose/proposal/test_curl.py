"""Lines of curl: what is sent is what curl would send, however the line is written."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stress.diagnose.proposal.curl import Sample, Unread, parse

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
JSON = {"Content-Type": "application/json"}
PRINTABLE = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=30)
SEGMENT = st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=1, max_size=8)


@given(
    st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE"]),
    st.lists(SEGMENT, min_size=1, max_size=3),
    st.dictionaries(SEGMENT.map("X-{}".format), SEGMENT, max_size=3),
    st.one_of(st.none(), st.dictionaries(PRINTABLE, PRINTABLE, max_size=3).map(json.dumps)),
    st.sampled_from([" ", " \\\n  "]),
)
def test_what_a_shell_would_hand_over_is_read(
    method: str, segments: list[str], headers: dict[str, str], body: str | None, between: str
) -> None:
    """Any request that is written as a line of curl, with shell quotes and over several lines, is read as it is."""
    headers |= JSON if body is not None else {}
    words = ["curl", "-s", "-X", method, f"http://127.0.0.1:8080/{'/'.join(segments)}"]
    words += [word for name, value in headers.items() for word in ("-H", f"{name}: {value}")]
    words += ["--data-raw", body] if body is not None else []
    found = parse(between.join(map(shlex.quote, words)), Path())
    assert found == Sample(method, f"/{'/'.join(segments)}", (), headers, body, "127.0.0.1", 8080)


@pytest.mark.parametrize(
    ("line", "sample"),
    [
        ("curl localhost:3000", Sample("GET", "/", host="localhost", port=3000)),
        ("curl -I http://h/x", Sample("HEAD", "/x", host="h")),
        ("curl -d a=1 -d b=2 h/x", Sample("POST", "/x", (), FORM, "a=1&b=2", "h")),
        ("curl --data-urlencode 'a=x y' h/x", Sample("POST", "/x", (), FORM, "a=x+y", "h")),
        ("curl -G -d a=1 'h/x?b=&b=2'", Sample("GET", "/x", (("b", ""), ("b", "2"), ("a", "1")), host="h")),
        ("curl --json '{\"a\":1}' h/x", Sample("POST", "/x", (), JSON, '{"a":1}', "h")),
        ("curl -sSXPUT 'http://h/a b/%7E' -H 'Accept: */*'", Sample("PUT", "/a%20b/~", host="h")),
        ("curl -u me:you h/x", Sample("GET", "/x", (), {"Authorization": "Basic bWU6eW91"}, host="h")),
        (
            "curl http://me:you@h/x -b k=v",
            Sample("GET", "/x", (), {"Authorization": "Basic bWU6eW91", "Cookie": "k=v"}, host="h"),
        ),
        (
            r"curl h/x -H 'Content-Type: text/plain' --data-raw $'it\'s\né'",
            Sample("POST", "/x", (), {"Content-Type": "text/plain"}, "it's\né", "h"),
        ),
        ("curl -o out -w '%{http_code}' --max-time=3 --compressed h/x", Sample("GET", "/x", host="h")),
    ],
)
def test_each_form_of_curl_means_what_it_means_to_curl(line: str, sample: Sample) -> None:
    """Short options together, data of all kinds, credentials, and texts as browsers copy them."""
    assert parse(line, Path()) == sample


def test_a_body_in_a_file_is_read_beside_the_call(tmp_path: Path) -> None:
    """-d joins its lines, as curl does; --data-binary keeps them; with --data-raw it is no file."""
    (tmp_path / "body").write_text("a=1\n&b=2\n")
    assert parse("curl -d @body h", tmp_path).body == "a=1&b=2"
    assert parse("curl --data-binary @body h", tmp_path).body == "a=1\n&b=2\n"
    assert parse("curl --data-raw @body h", tmp_path).body == "@body"


@pytest.mark.parametrize(
    ("line", "printed"),
    [
        ("", "no line of curl (write curl -X POST"),
        ("wget h", "no line of curl (write curl -X POST"),
        ("curl 'h", "no line of curl: No closing quotation"),
        ("curl -X POST", "names 0 URLs (name one)"),
        ("curl h g", "names 2 URLs (name one)"),
        ("curl ftp://h/x", "'ftp://h/x' is no URL of a service"),
        ("curl http://h:port/x", "'http://h:port/x' is no URL of a service"),
        ("curl -F a=b h", "-F of curl is not known here (leave it out"),
        ("curl h -d", "-d lacks its value"),
        ("curl h -d @none", "@none: No such file or directory"),
        ("curl h -H nothing", "-H nothing: no header (write -H 'Name: value')"),
        ("curl h -X 'a b'", "'A B' is no method"),
    ],
)
def test_what_is_no_request_is_refused(line: str, printed: str, tmp_path: Path) -> None:
    """The message says what is wrong and what to do."""
    with pytest.raises(Unread) as refused:
        parse(line, tmp_path)
    assert str(refused.value).startswith(printed)
