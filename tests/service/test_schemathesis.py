"""Schemathesis against a server that runs: no 5xx, and no answer that the OpenAPI document does not promise."""

from __future__ import annotations

import collections
import os

import pytest
import schemathesis
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import Status, events, from_schema

from serving import app, listening

# what the document cannot say (that a prompt must not ask for a child, that attributes have a table of their own, that
# deleting a job cancels it: its state can be asked for still)
LEFT_OUT = {"positive_data_acceptance": {"enabled": False}, "use_after_free": {"enabled": False}}
LOOKED_AT = {
    "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance",
    "response_headers_conformance", "negative_data_rejection", "ignored_auth", "unsupported_method",
    "allow_header_conformance",
}  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server that wants keys: its address, and the header that opens it."""
    made = app(tmp_path_factory.mktemp("schemathesis"), require_keys=True, max_body=200_000)
    secret = made.state.parts.keys.add("schemathesis", rate_per_minute=10_000_000, admin=True)[1]
    with listening(made) as (host, port):
        yield f"http://{host}:{port}/openapi.json", {"Authorization": f"Bearer {secret}"}


def run(server, examples, phases):
    """The number of cases for each operation, and what failed. Only `phases` are gone through."""
    every = ("examples", "coverage", "fuzzing", "stateful")
    config = SchemathesisConfig.from_dict(
        {
            "headers": server[1], "continue-on-failure": True, "checks": LEFT_OUT, "seed": 1,
            "phases": {name: {"enabled": name in phases} for name in every},
            "generation": {"max-examples": examples, "no-shrink": True, "database": "none"},
        }
    )  # fmt: skip
    cases, wrong, checked = collections.Counter(), [], set()
    for event in from_schema(schemathesis.openapi.from_url(server[0], config=config)).execute():
        if isinstance(event, events.ScenarioFinished):
            cases[event.recorder.label] += len(event.recorder.cases)
            for id, nodes in event.recorder.checks.items():
                checked |= {node.name for node in nodes}
                failed = [n for n in nodes if n.status != Status.SUCCESS]
                wrong += [told(event.recorder, id, node) for node in failed]
        if isinstance(event, events.NonFatalError | events.FatalError):
            wrong.append(str(getattr(event, "value", getattr(event, "exception", event))))
    return cases, wrong, checked


def told(recorder, id, node):
    """A failure in a few lines."""
    case, met = recorder.cases[id].value, recorder.interactions.get(id)
    said = met.response.content[:200] if met and met.response else b""
    status = met.response.status_code if met and met.response else ""
    why = str(node.failure_info.failure)[:300] if node.failure_info else ""
    asked = f"{recorder.label} {case.path_parameters} {case.query} {str(case.body)[:300]}"
    return f"{node.name}: {asked} -> {status} {said!r}: {why}"


def test_a_few_cases_of_each_operation(server):
    cases, wrong, checked = run(server, 2, ("fuzzing",))
    assert (
        len(cases) >= 25
        and sum(cases.values()) > 60
        and LOOKED_AT - {"unsupported_method", "allow_header_conformance"} <= checked
    )
    assert not wrong, "\n".join(wrong[:20])


@pytest.mark.slow  # thousands of cases: every boundary of every value, many more at random, and chains of requests
def test_many_cases_of_each_operation(server):
    cases, wrong, checked = run(
        server, int(os.environ.get("LIKENESS_CASES", "110")), ("examples", "coverage", "fuzzing", "stateful")
    )
    print(sum(cases.values()), "cases", dict(cases))
    assert not wrong, f"{len(wrong)} of {sum(cases.values())}:\n" + "\n".join(wrong[:40])
    assert sum(cases.values()) > 3000 and LOOKED_AT <= checked
