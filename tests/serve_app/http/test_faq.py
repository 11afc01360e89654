"""The FAQ routes: answers, refusals, and that questions of one moment travel together."""

import asyncio
import json
from pathlib import Path

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serve_app.errors import ModelUnavailable
from serve_app.http.schemas import RankManyResponse, RankResponse
from serve_app.settings import FaqSettings, HttpSettings
from tests.serve_app.fakes import FAQ, Application
from tests.serve_app.http.conftest import client_of

RANK = "/v1/faq/rank"


async def test_one_question(client: httpx.AsyncClient) -> None:
    answer = await client.post(RANK, json={"question": "how to copy?", "top_k": 2})
    assert answer.status_code == 200
    ranked = RankResponse.model_validate_json(answer.content)
    assert [match.id for match in ranked.matches] == ["Q0", "Q1"]
    assert ranked.matches[0].question == "how to copy?"
    assert ranked.model.model_dump() == {"name": "faq", "version": "3", "digest": FAQ.digest}
    assert ranked.timing.inference_ms == 0.5
    assert ranked.timing.total_ms >= ranked.timing.queue_ms


async def test_many_questions_keep_their_order(client: httpx.AsyncClient) -> None:
    questions = [f"question {number}" for number in range(256)]
    answer = await client.post(RANK, json={"questions": questions, "top_k": 1})
    ranked = RankManyResponse.model_validate_json(answer.content)
    assert [result.matches[0].question for result in ranked.results] == questions


async def test_low_probabilities_are_left_out(client: httpx.AsyncClient) -> None:
    answer = await client.post(RANK, json={"question": "q", "min_probability": 0.4})
    assert [match["probability"] for match in answer.json()["matches"]] == [0.9, 0.45]


async def test_reference_form(client: httpx.AsyncClient) -> None:
    answer = await client.post("/faq/score", json={"input": "how?"})
    assert answer.json()[:2] == [["Q0", "A0", 0.9], ["Q1", "A1", 0.45]]


async def test_questions_that_wait_travel_together(
    application: Application, client: httpx.AsyncClient
) -> None:
    application.faq.gate = asyncio.Event()
    asked = [
        asyncio.create_task(client.post(RANK, json={"question": f"question {number}"}))
        for number in range(40)
    ]
    while application.gateway.waiting < 40 - sum(map(len, application.faq.calls)):
        await asyncio.sleep(0)
    application.faq.gate.set()
    answers = await asyncio.gather(*asked)
    assert [answer.json()["matches"][0]["question"] for answer in answers] == [
        f"question {number}" for number in range(40)
    ]
    assert len(application.faq.calls) <= 4


BAD_BODIES = {
    "not JSON": (b'{"question": ', 400, "malformed_json"),
    "nothing": (b"", 400, "malformed_json"),
    "not UTF-8": (b'{"question": "\xff"}', 400, "malformed_json"),
    "a number that JSON does not have": (b'{"question": "q", "top_k": NaN}', 422, "invalid_field"),
    "a list": (b"[]", 422, "invalid_field"),
    "no question": (b"{}", 422, "missing_field"),
    "both": (b'{"question": "q", "questions": ["q"]}', 422, "contradictory_fields"),
    "null": (b'{"question": null}', 422, "invalid_field"),
    "number": (b'{"question": 5}', 422, "invalid_field"),
    "empty": (b'{"question": ""}', 422, "question_empty"),
    "blank": (b'{"question": " \\n\\t"}', 422, "question_empty"),
    "one blank of many": (b'{"questions": ["q", " "]}', 422, "question_empty"),
    "no questions": (b'{"questions": []}', 422, "out_of_range"),
    "unknown": (b'{"question": "q", "topk": 5}', 422, "unknown_field"),
    "top_k 0": (b'{"question": "q", "top_k": 0}', 422, "out_of_range"),
    "top_k 101": (b'{"question": "q", "top_k": 101}', 422, "out_of_range"),
    "top_k with a fraction": (b'{"question": "q", "top_k": 5.5}', 422, "invalid_field"),
    "top_k 1e400": (b'{"question": "q", "top_k": 1e400}', 422, "invalid_field"),
    "top_k 1e300": (b'{"question": "q", "top_k": 1e300}', 422, "out_of_range"),
    "top_k true": (b'{"question": "q", "top_k": true}', 422, "invalid_field"),
    "top_k text": (b'{"question": "q", "top_k": "5"}', 422, "invalid_field"),
    "probability 1.1": (b'{"question": "q", "min_probability": 1.1}', 422, "out_of_range"),
    "long": (b'{"question": "%s"}' % (b"x" * 8193), 422, "question_too_long"),
    "many": (json.dumps({"questions": ["q"] * 257}).encode(), 422, "out_of_range"),
    "large": (b'{"question": "q"}' + b" " * 128 * 1024, 413, "body_too_large"),
    "larger": (b'{"questions": ["q"]}' + b" " * 4 * 1024 * 1024, 413, "body_too_large"),
}


@pytest.mark.parametrize("name", BAD_BODIES)
async def test_bad_bodies(name: str, application: Application, client: httpx.AsyncClient) -> None:
    body, status, code = BAD_BODIES[name]
    answer = await client.post(RANK, content=body, headers={"content-type": "application/json"})
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["status"] == status
    assert application.faq.calls == []


async def test_longest_question_passes(client: httpx.AsyncClient) -> None:
    answer = await client.post(RANK, json={"question": "\N{GRINNING FACE}" * 8192})
    assert answer.status_code == 200


async def test_other_content_types_are_refused(client: httpx.AsyncClient) -> None:
    answer = await client.post(RANK, data={"question": "q"})
    assert answer.status_code == 415


async def test_declared_length_is_refused_before_the_body(application: Application) -> None:
    async def unread() -> None:
        raise AssertionError("the body was read")

    sent: list[dict[str, object]] = []

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": RANK,
        "root_path": "",
        "query_string": b"",
        "headers": [(b"content-length", b"5000000")],
    }
    await application.face(scope, unread, send)  # type: ignore[arg-type]
    assert sent[0]["status"] == 413


async def test_an_integer_may_be_written_with_a_zero_fraction(client: httpx.AsyncClient) -> None:
    answer = await client.post(RANK, content=b'{"question": "q", "top_k": 2.0}')
    assert len(answer.json()["matches"]) == 2


async def test_full_queue(tmp_path: Path) -> None:
    application = Application(tmp_path, faq=FaqSettings(max_queue=2, max_batch_size=1))
    application.faq.gate = asyncio.Event()
    async with client_of(application) as client:
        asked = [asyncio.create_task(client.post(RANK, json={"question": "q"})) for _ in range(9)]
        while sum(task.done() for task in asked) < 5:
            await asyncio.sleep(0)
        application.faq.gate.set()
        answers = await asyncio.gather(*asked)
    refused = [answer for answer in answers if answer.status_code == 429]
    assert len(refused) == 5
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in refused)


async def test_deadline(tmp_path: Path) -> None:
    application = Application(tmp_path, http=HttpSettings(deadline_s=0.02))
    application.faq.gate = asyncio.Event()
    async with client_of(application) as client:
        answer = await client.post(RANK, json={"question": "q"})
    assert (answer.status_code, answer.json()["code"]) == (504, "deadline_passed")


async def test_failing_ranker(application: Application, client: httpx.AsyncClient) -> None:
    application.faq.error = ModelUnavailable("no replica answers", retry_after_s=5)
    answer = await client.post(RANK, json={"question": "q"})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")


async def test_unforeseen_failure_shows_nothing(
    application: Application, client: httpx.AsyncClient
) -> None:
    application.faq.error = KeyError("/secret/path")
    answer = await client.post(RANK, json={"questions": ["q", "r"]})
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert "secret" not in answer.text


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
bodies = st.binary() | st.dictionaries(
    st.sampled_from(["question", "questions", "top_k", "min_probability", "x"]), json_values
).map(lambda value: json.dumps(value).encode())


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(body=bodies)
async def test_no_body_makes_the_service_fail(application: Application, body: bytes) -> None:
    async with client_of(application) as client:
        answer = await client.post(RANK, content=body)
    assert answer.status_code in (200, 400, 422)
