"""Reading records of the Kubernetes API: values of any type are compared as they are written, hits are numbers."""

from __future__ import annotations

from typing import Any

from stress.config.target import Target
from stress.protocols.kube.records import change, chosen, snapshot_of

ALERT: dict[str, Any] = {
    "metadata": {"name": "a", "annotations": {"hits": "2"}},
    "data": {"count": "3"},
    "spec": {"on": True, "size": 5},
    "status": {"seen": ["x", "y", "z"], "done": False, "by": {"one": 1}},
}


def target(hits: str, **records: object) -> Target:
    """Make a target whose records are ConfigMaps."""
    observe = {"records": {"kubernetes": "configmaps", "active": {}, **records}, "hits": {"kubernetes": hits}}
    return Target.model_validate(
        {"name": "t", "protocol": "kube-status", "stores": {"kubernetes": {}}, "observe": observe}
    )


def test_numbers_in_texts_are_numbers_and_what_has_members_counts_them() -> None:
    """As data of a ConfigMap and annotations are texts; what is neither is no number."""
    found = {
        path: dict(snapshot_of(target(path), [ALERT], {}, str).hits or {})["a"]
        for path in ("data.count", "metadata.annotations.hits", "spec.size", "status.seen", "status.by", "spec.on")
    }
    assert list(found.values()) == [3, 2, 5, 3, 1, 1]
    assert snapshot_of(target("metadata.name"), [ALERT], {}, str).hits == {"a": None}
    assert snapshot_of(target("data.none"), [ALERT], {}, str).hits == {"a": None}


def test_a_condition_fits_a_value_of_any_type() -> None:
    """`true`, `5` and texts are compared as they are written, in `where` and in `not_in`."""
    one = target("data.count", where={"spec.on": True, "spec.size": 5, "data.count": 3})
    assert snapshot_of(one, [ALERT], {}, str).records == ("a",)
    over = target("data.count", active={"status.done": {"not_in": [False]}})
    assert snapshot_of(over, [ALERT], {}, str).records == ()
    assert chosen([ALERT], {"spec.size": "{size}"}, {"size": "5"}) == [ALERT]
    assert chosen([ALERT], {"spec.on": "True"}, {}) == []


def test_what_is_written_keeps_its_type() -> None:
    """A boolean and a number are written as such, placeholders in texts are filled, null takes a field away."""
    sets = {"status.done": True, "status.count": 5, "data.n": "{occurrence}", "data.old": None}
    assert change(sets, {"occurrence": "2"}) == {
        "status": {"done": True, "count": 5},
        "data": {"n": "2", "old": None},
    }
