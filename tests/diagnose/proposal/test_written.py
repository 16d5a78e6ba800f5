"""The texts of the files: YAML that says what it was made of."""

from __future__ import annotations

import yaml
from hypothesis import given
from hypothesis import strategies as st

from stress.diagnose.proposal.written import document, flow

PLAIN = st.one_of(st.none(), st.booleans(), st.integers(-9999, 9999), st.text(max_size=12))
VALUES = st.recursive(
    PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
)


@given(VALUES)
def test_any_value_is_read_as_it_was(value: object) -> None:
    """Whatever characters a text has, and whatever it looks like."""
    assert yaml.safe_load(flow(value)) == value
    assert yaml.safe_load(f"key: {flow(value, top=True)}\n") == {"key": value}


def test_a_file_is_written_as_a_person_would() -> None:
    """A line for each key, and for each part of some; a note stands above its key, those of absent keys at the end."""
    keys = {
        "name": "a",
        "start": {"command": ["node", "a b", "{port}"], "env": {"N": "1"}},
        "story": "It holds; always.",
    }
    notes = {"start": ["Not known: why."], "observe": ["Not known: where."]}
    assert document(keys, notes, "Head.").splitlines() == [
        "# Head.",
        "name: a",
        "# Not known: why.",
        "start:",
        '  command: [node, a b, "{port}"]',
        '  env: {N: "1"}',
        "story: It holds; always.",
        "# Not known: where.",
    ]
