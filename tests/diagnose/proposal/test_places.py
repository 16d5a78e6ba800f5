"""The places in a request where a value may name what it is about, and the value that takes its place there."""

from __future__ import annotations

import json

import pytest

from stress.diagnose.proposal.curl import Sample
from stress.diagnose.proposal.places import Place, places, put

JSON = {"Content-Type": "application/json", "X-Tenant": "acme", "Authorization": "{env.TOKEN}"}
BODY = '{"note": "hi", "lines": [{"sku": "A-1"}], "count": 3, "orderId": "o-7"}'
SAMPLE = Sample("POST", "/v1/shops/7", (("dry", "no"),), JSON, BODY)


def test_texts_are_found_wherever_they_stand_those_that_name_something_first() -> None:
    """Path, query, headers, and body at any depth; no secret, no number, nothing that is of the client."""
    assert [one.shown for one in places(SAMPLE, frozenset({"Authorization"}))] == [
        "body lines.0.sku",
        "body orderId",
        "path shops",
        "path 7",
        "query dry",
        "header X-Tenant",
        "body note",
    ]


def test_a_value_is_changed_in_its_place_alone() -> None:
    """All other parts of the request stay as they are."""
    changed = {one.shown: put(SAMPLE, one, "new") for one in places(SAMPLE)}
    assert changed["path 7"] == Sample("POST", "/v1/shops/new", SAMPLE.query, JSON, BODY)
    assert changed["query dry"] == Sample("POST", SAMPLE.path, (("dry", "new"),), JSON, BODY)
    assert changed["header X-Tenant"].headers == {**JSON, "X-Tenant": "new"}
    body = json.loads(changed["body lines.0.sku"].body or "")
    assert body == {**json.loads(BODY), "lines": [{"sku": "new"}]}


def test_forms_and_plain_texts_have_places_too() -> None:
    """A field of a form by its name; of a text that is no JSON all of it."""
    form = Sample("POST", "/", (), {"Content-Type": "application/x-www-form-urlencoded"}, "user=ann&key=a%20b")
    key, user = places(form)
    assert (key.shown, key.value, user.value) == ("body 1.key", "a b", "ann")
    assert put(form, key, "{fresh}").body == "user=ann&key={fresh}"
    text = Sample("POST", "/", (), {"Content-Type": "text/plain"}, "job 7")
    assert put(text, *places(text), "job {fresh}").body == "job {fresh}"


@pytest.mark.parametrize(
    ("value", "fresh"),
    [
        ("ORD-1001", "ORD-{fresh}"),
        ("order:55", "order:{fresh}"),
        ("ann@example.org", "{fresh}@example.org"),
        ("0b5e7a3c-1111-4222-8333-0123456789ab", "0b5e7a3c-1111-4222-8333-{fresh}"),
        ("12", "{fresh}"),
        ("2024-05-01", "{fresh}"),
        ("hello world", "{fresh}"),
    ],
)
def test_the_new_value_looks_as_the_old_one_did(value: str, fresh: str) -> None:
    """A prefix, the form of an address of mail, and that of a UUID are kept."""
    assert Place("body", ("id",), value).fresh == fresh
