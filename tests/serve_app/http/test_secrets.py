"""What clients send stays out of logs, metrics, traces, problem documents and captured lines.

Marks stand in every place where a secret or an input may come: headers, the query, bodies, keys,
tokens and file names, in requests that succeed and in requests that fail.

Given back on purpose, and without a mark here: `x-request-id` and `tracestate`, as their standards
say; and to who sent it alone, the name of an unknown field.
"""

import json
import logging
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from deployments.spans import Spans
from deployments.tracing import TracingOptions
from serve_app.access.admission import Admission, Headers, Unlimited
from serve_app.access.caller import Caller, Scope
from serve_app.errors import CredentialsInvalid
from serve_app.http.openapi import example_png
from serve_app.settings import CaptureSettings
from tests.otlp import Receiver, receiving
from tests.serve_app.fakes import Application
from tests.serve_app.http.conftest import client_of

MARK = "MARKED"
JWT = f"eyJhbGciOiJub25lIn0.{MARK}token0.x"
KEY = f"rs_k1_{MARK}key0123456789"
TRACE = {"traceparent": f"00-{'ab' * 16}-{'cd' * 8}-01"}
HEADERS = {
    **{name: f"{MARK}{name}" for name in ("user-agent", "referer", "origin", "baggage")},
    **{name: f"{MARK}-{name}" for name in ("x-forwarded-for", "forwarded", "x-real-ip", "via")},
    **{name: f"{MARK}-{name}" for name in ("x-custom", "from", "accept")},
    "cookie": f"session={MARK}cookie",
    "authorization": f"Bearer {JWT}",
    "x-api-key": KEY,
}
QUESTION = f"my password is {MARK}1, mail {MARK}@example.com, key {MARK}0123456789abcdef"


class OneKey:
    """Knows a single key; its id may be seen, the key may not."""

    async def identify(self, headers: Headers) -> Caller:
        keys = [value for name, value in headers if name == b"x-api-key"]
        if keys != [KEY.encode()]:
            raise CredentialsInvalid("the key is not known")
        return Caller("k1", frozenset(Scope))


class Everything:
    """All that leaves the service about its requests."""

    def __init__(self, application: Application, spans: Spans, receiver: Receiver) -> None:
        self.application = application
        self._spans = spans
        self._receiver = receiver
        self.problems: list[str] = []

    async def gather(self, logged: str) -> dict[str, str]:
        async with client_of(self.application) as client:
            metrics = (await client.get("/metrics", headers={"x-api-key": KEY})).text
        self._spans.close()
        return {
            "request log": self.application.log_file.read_text(),
            "metrics": metrics,
            "traces": self._receiver.raw.decode("latin-1"),
            "problems": "\n".join(self.problems),
            "logging": logged,
            "captured": self.application.capture_file.read_text(),
        }


@pytest.fixture
def everything(tmp_path: Path) -> Iterator[Everything]:
    with receiving() as receiver:
        spans = TracingOptions(receiver.endpoint, 1.0).spans("Router", "one")
        application = Application(
            tmp_path,
            admission=Admission(OneKey(), Unlimited()),
            spans=spans,
            capture=CaptureSettings(sample_ratio=1),
        )
        yield Everything(application, spans, receiver)


@pytest.fixture
async def client(everything: Everything) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(everything.application) as client:
        client.headers.update(HEADERS)
        yield client


async def send(client: httpx.AsyncClient, problems: list[str]) -> list[int]:
    """Requests of every kind, each with marks; keeps the problem documents."""
    faq, image = "/v1/faq/rank", "/v1/images/classify"
    png = {"content-type": f"image/png; name={MARK}"}
    bad = {"content-type": f"multipart/form-data; boundary={MARK}"}
    other = {"x-api-key": f"{MARK}other0123456789"}
    file = (f"{MARK}.png", example_png())
    answers = [
        await client.post(faq, json={"question": QUESTION}),
        await client.post(faq, json={"questions": [QUESTION, QUESTION]}),
        await client.post("/faq/score", json={"input": QUESTION}),
        await client.post(image, files={f"{MARK}field": file}),
        await client.post("/image/score", files={"image": file}),
        await client.post(image, content=example_png() + MARK.encode(), headers=png),
        await client.post(faq, json={"question": QUESTION}, headers=other),
        await client.post(image, content=MARK, headers={**png, **other}),
        await client.post(f"{faq}?key={MARK}", json={"question": ""}),
        await client.post(faq, json={"question": MARK, "top_k": f"{MARK}"}),
        await client.post(faq, content=f'{{"question": "{MARK}'),
        await client.post(image, content=MARK, headers=png),
        await client.post(image, content=MARK, headers=bad),
        await client.post(image, content=MARK, headers={"content-type": MARK}),
        await client.post(faq, json={"question": MARK}, headers={"x-request-timeout-ms": MARK}),
        await client.post(faq, json={"question": MARK}, headers={"proxy-authorization": MARK}),
        await client.get(f"/{MARK}/path?token={MARK}"),
        await client.request("GET", f"{faq}?token={MARK}"),
    ]
    problems += [answer.text for answer in answers if answer.status_code >= 400]
    return [answer.status_code for answer in answers]


async def test_no_mark_leaves_the_service(
    everything: Everything, client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    client.headers.update(TRACE)
    statuses = await send(client, everything.problems)
    assert statuses[:6] == [200] * 6
    assert min(statuses[6:]) >= 400
    # What a client library logs is the client's.
    ours = [record.getMessage() for record in caplog.records if record.name[:5] != "httpx"]
    found = await everything.gather("\n".join(ours))
    assert {place for place, text in found.items() if MARK in text} == set()
    # There was something to be searched in each place.
    assert '"caller":"k1"' in found["request log"]
    assert 'caller="k1"' in found["metrics"]
    assert "POST /v1/faq/rank" in found["traces"]
    assert "credentials_invalid" in found["problems"]
    assert found["captured"].count("my password is <secret>") == 4


async def test_a_failure_in_the_model_tells_nothing_of_its_input(
    everything: Everything, client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    everything.application.faq.error = RuntimeError("the model failed")
    answer = await client.post("/v1/faq/rank", json={"question": QUESTION})
    everything.problems.append(answer.text)
    await client.post("/v1/faq/rank", json={"questions": [QUESTION]})
    everything.application.faq.error = None
    await client.post("/v1/faq/rank", json={"question": "one that is kept"})
    found = await everything.gather(caplog.text)
    assert answer.status_code == 500
    assert "Traceback" in found["logging"]
    assert {place for place, text in found.items() if MARK in text} == set()


async def test_the_log_line_is_the_allow_list(
    everything: Everything, client: httpx.AsyncClient
) -> None:
    await send(client, [])
    lines = everything.application.log_file.read_text().splitlines()
    common = {"time", "request_id", "method", "route", "status", "code", "caller", "items"}
    common |= {"request_bytes", "response_bytes", "model", "version", "digest", "total_ms"}
    timing = {"decode_ms", "queue_ms", "inference_ms"}
    for line in lines:
        assert common <= json.loads(line).keys() <= common | timing


async def test_metrics_have_the_labels_that_are_documented(
    everything: Everything, client: httpx.AsyncClient
) -> None:
    await send(client, [])
    metrics = (await client.get("/metrics")).text
    labels = set(re.findall(r'[{,]([a-z]+)="', metrics))
    assert labels <= {
        *("route", "status", "model", "version", "code", "caller", "reason"),
        *("device", "precision", "execution", "deployment", "replica", "le"),
    }
