"""What a request to the Kubernetes API came to, by the answers of the embedded API server."""

from __future__ import annotations

import json

from stress.core.outcomes import How, Outcome
from stress.protocols.kube.outcomes import outcome_of
from stress.protocols.kube.replies import generated
from stress.protocols.kube.server.requests import Answer, Request
from stress.protocols.kube.server.server import KubeServer

MAPS = "/api/v1/namespaces/default/configmaps"


def ask(server: KubeServer, method: str, path: str, body: object = None) -> tuple[int, dict[str, object]]:
    """Send one request; give status and body."""
    raw = b"" if body is None else json.dumps(body).encode()
    answer = server.answer(Request(method, path, {}, "application/json", "application/json", "test", raw))
    assert isinstance(answer, Answer)
    return answer.status, json.loads(answer.body)


def config_map(**metadata: str) -> dict[str, object]:
    """Make an object."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"count": "3"}}


def test_a_request_is_ok_refused_or_finds_nothing() -> None:
    """404 and an empty list are absent, other refusals are refused; the value is the object and what is to be shown."""
    server = KubeServer()

    def came(method: str, path: str, body: object = None) -> Outcome:
        return outcome_of(*ask(server, method, path, body), ["data.count"])

    refused = Outcome(How.REFUSED, "409 AlreadyExists a", error=True)
    assert came("GET", f"{MAPS}/a") == Outcome(How.ABSENT, "404 NotFound a", error=True)
    assert came("GET", MAPS) == Outcome(How.ABSENT, ())
    assert came("POST", MAPS, config_map(name="a")) == Outcome(How.OK, "a count=3")
    assert came("POST", MAPS, config_map(name="a")) == refused
    assert came("GET", MAPS) == Outcome(How.OK, ("a count=3",))
    assert came("DELETE", f"{MAPS}/a").how is How.OK
    assert outcome_of(0, config_map(name="b"), naming=str.upper) == Outcome(How.OK, "B")
    assert outcome_of(503, None) == Outcome(How.REFUSED, "503", error=True)
    assert outcome_of(200, None) == Outcome()


def test_names_that_the_server_made_are_given_oldest_first() -> None:
    """Of objects with a generateName, also those of a list, the prefix and the rest; of others nothing."""
    server = KubeServer()
    named = ask(server, "POST", MAPS, config_map(name="z"))[1]
    made = [ask(server, "POST", MAPS, config_map(generateName=prefix))[1] for prefix in ("z-", "y-", "x-")]
    each = [generated(one) for one in made]
    assert generated(named) == []
    assert [len(one) for one in each] == [1, 1, 1]
    assert [one[0][0] for one in each] == ["z-", "y-", "x-"]
    assert generated(ask(server, "GET", MAPS)[1]) == [one[0] for one in each]
