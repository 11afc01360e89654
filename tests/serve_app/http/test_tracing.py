"""Requests as traces: what an OTLP receiver gets from the HTTP face around fakes."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from deployments.spans import Spans
from deployments.tracing import TracingOptions
from serve_app.http.openapi import example_png
from tests.otlp import Receiver, attributes, receiving
from tests.serve_app.fakes import Application
from tests.serve_app.http.conftest import client_of

TRACE, CALLER = "ab" * 16, "cd" * 8
SAMPLED = {"traceparent": f"00-{TRACE}-{CALLER}-01", "tracestate": "vendor=1"}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def traced(receiver: Receiver, folder: Path, ratio: float = 1.0) -> tuple[Application, Spans]:
    spans = TracingOptions(receiver.endpoint, ratio).spans("Router", "one")
    return Application(folder, spans=spans), spans


def parents(receiver: Receiver) -> dict[str, str]:
    """The name of each span's parent."""
    names = {span.span_id: span.name for span in receiver.spans()}
    return {span.name: names.get(span.parent_span_id, "") for span in receiver.spans()}


def only(spans: list[Span]) -> Span:
    (span,) = spans
    return span


async def test_the_callers_trace_is_continued(receiver: Receiver, tmp_path: Path) -> None:
    application, spans = traced(receiver, tmp_path)
    async with client_of(application) as client:
        headers = {**SAMPLED, "x-request-id": "r1"}
        await client.post("/v1/faq/rank", json={"question": "q"}, headers=headers)
    spans.close()
    request = only(receiver.named("POST /v1/faq/rank"))
    assert {span.trace_id.hex() for span in receiver.spans()} == {TRACE}
    assert request.parent_span_id.hex() == CALLER
    assert request.trace_state == "vendor=1"
    assert request.kind == Span.SPAN_KIND_SERVER
    assert attributes(request) == {
        "http.request.method": "POST",
        "http.route": "/v1/faq/rank",
        "http.response.status_code": 200,
        "scoring.request.id": "r1",
    }
    server = "POST /v1/faq/rank"
    assert parents(receiver) == {server: "", "admission": server, "queue": server, "batch": server}
    (resource,) = receiver.resources()
    assert resource["service.name"] == "realtime-scoring"
    assert resource["service.instance.id"] == "one"
    assert resource["scoring.deployment"] == "Router"


async def test_a_batch_is_linked_to_every_request_in_it(receiver: Receiver, tmp_path: Path) -> None:
    application, spans = traced(receiver, tmp_path)
    application.faq.gate = asyncio.Event()
    application.gateway.set_replicas(1)
    async with client_of(application) as client, asyncio.TaskGroup() as group:
        for _ in range(8):
            group.create_task(client.post("/v1/faq/rank", json={"question": "q"}))
        while sum(map(len, application.faq.calls)) + application.gateway.waiting < 8:
            await asyncio.sleep(0)
        application.faq.gate.set()
    spans.close()
    requests = {span.span_id for span in receiver.named("POST /v1/faq/rank")}
    batches = receiver.named("batch")
    linked = [link.span_id for batch in batches for link in batch.links]
    assert len(requests) == 8
    assert sorted(linked) == sorted(requests)
    assert max(len(batch.links) for batch in batches) > 1
    for batch in batches:
        assert batch.parent_span_id == batch.links[0].span_id
        assert attributes(batch) == {"scoring.batch.size": len(batch.links)}


async def test_questions_travel_with_the_span_of_their_batch(
    receiver: Receiver, tmp_path: Path
) -> None:
    application, spans = traced(receiver, tmp_path)
    async with client_of(application) as client:
        await client.post("/v1/faq/rank", json={"questions": ["a", "b"]}, headers=SAMPLED)
    spans.close()
    batch = only(receiver.named("batch"))
    expected = f"00-{TRACE}-{batch.span_id.hex()}-01"
    assert [item.trace for call in application.faq.calls for item in call] == [expected] * 2
    assert len(batch.links) == 1
    assert len(receiver.named("queue")) == 2


async def test_pictures_are_decoded_in_spans_and_travel_with_their_request(
    receiver: Receiver, tmp_path: Path
) -> None:
    application, spans = traced(receiver, tmp_path)
    files = [("a", ("a.png", example_png())), ("b", ("b.png", b"no picture"))]
    async with client_of(application) as client:
        await client.post("/v1/images/classify", files=files, headers=SAMPLED)
    spans.close()
    request = only(receiver.named("POST /v1/images/classify"))
    first, second = sorted(receiver.named("decode"), key=lambda span: span.status.code)
    assert {first.parent_span_id, second.parent_span_id} == {request.span_id}
    assert first.status.code == Status.STATUS_CODE_UNSET
    assert attributes(second) == {"error.type": "not_an_image"}
    assert not second.events
    ((picture,),) = application.image.calls
    assert picture.trace == f"00-{TRACE}-{request.span_id.hex()}-01"


@pytest.mark.parametrize(
    ("traceparent", "ratio", "is_traced"),
    [
        (f"00-{TRACE}-{CALLER}-00", 1.0, False),
        (f"00-{TRACE}-{CALLER}-01", 0.0, True),
        (None, 1.0, True),
        (None, 0.0, False),
        ("no trace", 1.0, True),
        (f"00-{'0' * 32}-{CALLER}-01", 0.0, False),
        (f"ff-{TRACE}-{CALLER}-01", 0.0, False),
    ],
)
async def test_the_callers_decision_holds_else_the_ratio_decides(
    receiver: Receiver, tmp_path: Path, traceparent: str | None, ratio: float, is_traced: bool
) -> None:
    application, spans = traced(receiver, tmp_path, ratio)
    headers = {} if traceparent is None else {"traceparent": traceparent}
    async with client_of(application) as client:
        answer = await client.post("/v1/faq/rank", json={"question": "q"}, headers=headers)
    spans.close()
    assert answer.status_code == 200
    assert bool(receiver.spans()) == is_traced
    assert [item.trace is not None for call in application.faq.calls for item in call] == [
        is_traced
    ]


async def test_failures_are_told_by_their_code(receiver: Receiver, tmp_path: Path) -> None:
    application, spans = traced(receiver, tmp_path)
    application.faq.error = RuntimeError("my secret")
    async with client_of(application) as client:
        for body in ({"question": "q"}, {"question": ""}):
            await client.post("/v1/faq/rank", json=body)
        await client.request("SECRETS", "/v1/faq/rank")
    spans.close()
    codes = {
        span.name: (attributes(span).get("error.type"), span.status.code)
        for span in receiver.spans()
        if span.name in ("queue", "batch", "HTTP unmatched")
    }
    error, unset = Status.STATUS_CODE_ERROR, Status.STATUS_CODE_UNSET
    assert codes == {
        "queue": ("RuntimeError", error),
        "batch": ("RuntimeError", error),
        "HTTP unmatched": ("method_not_allowed", unset),
    }
    requests = [attributes(span)["error.type"] for span in receiver.named("POST /v1/faq/rank")]
    assert sorted(requests) == ["internal_error", "question_empty"]
    assert b"secret" not in receiver.raw.lower()


async def test_nothing_changes_for_requests_when_the_receiver_is_away(tmp_path: Path) -> None:
    with receiving() as receiver:
        endpoint = receiver.endpoint
    spans = TracingOptions(endpoint, 1.0).spans("Router", "one")
    application = Application(tmp_path, spans=spans)
    async with client_of(application) as client:
        answer: httpx.Response = await client.post("/v1/faq/rank", json={"question": "q"})
    assert answer.status_code == 200
    started = asyncio.get_running_loop().time()
    spans.close()
    assert asyncio.get_running_loop().time() - started < 30
