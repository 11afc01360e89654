"""The protocol's routes around fakes."""

import asyncio
import base64
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import numpy as np
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from serve_app.access.admission import Admission, Everyone, Headers, Unlimited
from serve_app.access.caller import LOCAL, Caller
from serve_app.access.caller import Scope as Needed
from serve_app.errors import QuotaExceeded
from serve_app.http.openapi.protocol import REQUEST, RESPONSE
from serve_app.readiness import State
from serve_app.settings import HttpSettings
from tests.serve_app.fakes import FAQ, IMAGE, Application
from tests.serve_app.http.conftest import client_of

FAQ_INFER, IMAGE_INFER = "/v2/models/faq/infer", "/v2/models/image/infer"
LENGTH = "Inference-Header-Content-Length"


@pytest.fixture
def application(tmp_path: Path) -> Application:
    return Application(tmp_path)


@pytest.fixture
async def client(application: Application) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(application) as client:
        yield client


def questions(*texts: str, **members: Any) -> dict[str, Any]:
    tensor = {"name": "question", "shape": [len(texts)], "datatype": "BYTES", "data": list(texts)}
    return {"inputs": [tensor], **members}


def image(**members: Any) -> dict[str, Any]:
    return {"inputs": [{"name": "image", "datatype": "BYTES", "shape": [1], **members}]}


def picture(red: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), (red, 0, 0)).save(buffer, "PNG")
    return buffer.getvalue()


def packed(*elements: bytes) -> bytes:
    return b"".join(len(element).to_bytes(4, "little") + element for element in elements)


def binary(document: dict[str, Any], *parts: bytes) -> dict[str, Any]:
    head = orjson.dumps(document)
    return {"content": b"".join([head, *parts]), "headers": {LENGTH: str(len(head))}}


def by_name(answer: httpx.Response) -> dict[str, dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    jsonschema.validate(answer.json(), RESPONSE)
    return {output["name"]: output for output in answer.json()["outputs"]}


def assert_refused(answer: httpx.Response, status: int, code: str, *words: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    problem = answer.json()
    assert problem["code"] == code, problem
    for word in words:
        assert word in problem["error"]


async def test_questions_as_json(client: httpx.AsyncClient) -> None:
    body = questions("one", "two", id="mine", parameters={"top_k": 3})
    jsonschema.validate(body, REQUEST)
    answer = await client.post(FAQ_INFER, json=body)
    outputs = by_name(answer)
    assert list(outputs) == ["id", "question", "probability"]
    assert outputs["id"]["data"] == ["Q0", "Q1", "Q2"] * 2
    assert outputs["question"]["data"] == ["one"] * 3 + ["two"] * 3
    assert outputs["probability"]["data"] == pytest.approx([0.9, 0.45, 0.3] * 2)
    assert [output["shape"] for output in outputs.values()] == [[2, 3]] * 3
    assert [output["datatype"] for output in outputs.values()] == ["BYTES", "BYTES", "FP32"]
    document = answer.json()
    assert document["model_name"] == "faq"
    assert document["model_version"] == FAQ.version
    assert document["id"] == "mine"
    assert document["parameters"] == {"digest": FAQ.digest}


async def test_defaults_are_those_of_version_1(
    application: Application, client: httpx.AsyncClient
) -> None:
    await client.post(FAQ_INFER, json=questions("one"))
    await client.post(IMAGE_INFER, json=image(data=[base64.b64encode(picture(1)).decode()]))
    assert [question.top_k for question in application.faq.calls[0]] == [10]
    assert [item.top_k for item in application.image.calls[0]] == [5]


async def test_questions_as_binary_data(client: httpx.AsyncClient) -> None:
    data = packed(b"one", "zwölf".encode())
    tensor = {"name": "question", "datatype": "BYTES", "shape": [2]}
    document = {
        "inputs": [{**tensor, "parameters": {"binary_data_size": len(data)}}],
        "parameters": {"binary_data_output": True, "top_k": 1},
        "outputs": [
            {"name": "probability"},
            {"name": "question", "parameters": {"binary_data": False}},
        ],
    }
    answer = await client.post(FAQ_INFER, **binary(document, data))
    assert answer.headers["content-type"] == "application/octet-stream"
    length = int(answer.headers[LENGTH])
    probability, question = orjson.loads(answer.content[:length])["outputs"]
    assert probability["parameters"] == {"binary_data_size": 8}
    assert np.frombuffer(answer.content[length:], "<f4") == pytest.approx([0.9, 0.9])
    assert question["data"] == ["one", "zwölf"]


async def test_encoded_pictures_as_base64_in_json(client: httpx.AsyncClient) -> None:
    data = [base64.b64encode(picture(red)).decode() for red in (3, 9)]
    body = image(data=data, shape=[2])
    outputs = by_name(await client.post(IMAGE_INFER, json={**body, "parameters": {"top_k": 2}}))
    assert outputs["class_index"]["data"] == [3, 4, 9, 10]
    assert outputs["label"]["data"] == ["class 3", "class 4", "class 9", "class 10"]
    assert outputs["probability"]["shape"] == [2, 2]


async def test_encoded_pictures_as_binary_data(client: httpx.AsyncClient) -> None:
    data = packed(picture(3), picture(9))
    body = image(shape=[2], parameters={"binary_data_size": len(data)})
    outputs = by_name(await client.post(IMAGE_INFER, **binary(body, data)))
    assert outputs["class_index"]["data"][::5] == [3, 9]


async def test_decoded_pictures_skip_decoding(
    application: Application, client: httpx.AsyncClient
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), np.uint8)
    data = pixels.tobytes()
    parameters = {"binary_data_size": len(data)}
    body = image(datatype="UINT8", shape=[2, 8, 8, 3], parameters=parameters)
    first = by_name(await client.post(IMAGE_INFER, **binary(body, data)))
    nested = image(datatype="UINT8", shape=[2, 8, 8, 3], data=pixels.tolist())
    second = by_name(await client.post(IMAGE_INFER, json=nested))
    assert first == second
    seen = [np.asarray(item.pixels) for call in application.image.calls for item in call]
    assert np.array_equal(seen, [*pixels, *pixels])


async def test_decoded_pictures_of_another_size(client: httpx.AsyncClient) -> None:
    body = image(datatype="UINT8", shape=[1, 2, 3, 3], data=[0] * 18)
    answer = await client.post(IMAGE_INFER, json=body)
    assert_refused(answer, 422, "out_of_range", "image[0]", "8 x 8", "2 x 3")


async def test_one_bad_picture_is_named(client: httpx.AsyncClient) -> None:
    data = packed(picture(3), b"no picture")
    body = image(shape=[2], parameters={"binary_data_size": len(data)})
    answer = await client.post(IMAGE_INFER, **binary(body, data))
    assert_refused(answer, 422, "not_an_image", "image[1]: ")


QUESTION = {"name": "question", "shape": [1], "datatype": "BYTES"}


@pytest.mark.parametrize(
    ("body", "code", "word"),
    [
        (questions("a", parameters={"top_k": 0}), "out_of_range", "1 to 100"),
        (questions("a", parameters={"top_k": 101}), "out_of_range", "1 to 100"),
        (questions("a", parameters={"top_k": True}), "invalid_field", "top_k"),
        (questions("a", parameters={"top_k": "3"}), "invalid_field", "top_k"),
        (questions("a", parameters={"timeout": 0}), "out_of_range", "timeout"),
        (questions("a", parameters={"priority": 1}), "unknown_field", "'priority'"),
        (questions("a", parameters={"binary_data_output": 1}), "invalid_field", "true or false"),
        (questions("a", outputs=[{"name": "answer"}]), "unknown_field", "probability"),
        (questions("a", outputs=[{"name": "id"}] * 2), "invalid_field", "twice"),
        (
            questions("a", outputs=[{"name": "id", "parameters": {"classification": 2}}]),
            "unknown_field",
            "'classification'",
        ),
        (questions("a", model_name="image"), "contradictory_fields", "model_name"),
        (questions(), "out_of_range", "1 to 256"),
        (questions(*["a"] * 257), "out_of_range", "1 to 256"),
        (questions("a", " "), "question_empty", "[1]"),
        (questions("a" * 8193), "question_too_long", "8192"),
        ({"inputs": []}, "missing_field", "question"),
        ({"inputs": [{**QUESTION, "data": ["a"]}] * 2}, "invalid_field", "twice"),
        ({"inputs": [{**QUESTION, "name": "text", "data": ["a"]}]}, "unknown_field", "question"),
        ({"inputs": [QUESTION]}, "missing_field", "data"),
        ({"inputs": [{**QUESTION, "data": [1]}]}, "invalid_field", "strings"),
        ({"inputs": [{**QUESTION, "data": ["a", "b"]}]}, "invalid_field", "holds 1"),
        ({"inputs": [{**QUESTION, "shape": [1, 1], "data": ["a"]}]}, "invalid_field", "[n]"),
        ({"inputs": [{**QUESTION, "datatype": "FP64", "data": [1]}]}, "invalid_field", "BYTES"),
        ({"inputs": [{**QUESTION, "datatype": "UINT8", "data": [1]}]}, "invalid_field", "BYTES"),
        ({"inputs": [{**QUESTION, "shape": [-1], "data": []}]}, "invalid_request", "shape"),
        (
            {"inputs": [{**QUESTION, "data": ["a"], "parameters": {"x": 1}}]},
            "unknown_field",
            "'x'",
        ),
        (
            {"inputs": [{**QUESTION, "data": ["a"], "parameters": {"binary_data_size": 1}}]},
            "contradictory_fields",
            "not both",
        ),
        ({"inputs": [{**QUESTION, "parameters": {"binary_data_size": 9}}]}, "invalid_field", "9"),
        (questions("a", surplus=1), "invalid_request", "surplus"),
        ({}, "invalid_request", "inputs"),
        ([], "invalid_request", "object"),
    ],
)
async def test_requests_that_are_refused(
    client: httpx.AsyncClient, body: Any, code: str, word: str
) -> None:
    assert_refused(await client.post(FAQ_INFER, json=body), 422, code, word)


async def test_bytes_that_belong_to_no_input(client: httpx.AsyncClient) -> None:
    answer = await client.post(FAQ_INFER, **binary(questions("a"), b"rest"))
    assert_refused(answer, 422, "invalid_field", "4 bytes")


@pytest.mark.parametrize("length", ["-1", "999", "x", "1e3"])
async def test_header_length_beyond_the_body(client: httpx.AsyncClient, length: str) -> None:
    answer = await client.post(FAQ_INFER, json=questions("a"), headers={LENGTH: length})
    assert_refused(answer, 422, "invalid_field", LENGTH)


@pytest.mark.parametrize(
    "content", [b"", b"{", b'"\xff"', b"[" * 100_000, b'{"inputs":[{"name":"\\ud800"}]}']
)
async def test_no_json(client: httpx.AsyncClient, content: bytes) -> None:
    answer = await client.post(FAQ_INFER, content=content)
    assert answer.status_code in (400, 422), answer.text
    assert set(answer.json()) == {"error", "code", "instance"}


@pytest.mark.parametrize("model", ["", "/versions/3"])
async def test_metadata(client: httpx.AsyncClient, model: str) -> None:
    answer = await client.get(f"/v2/models/faq{model}")
    assert answer.json() == {
        "name": "faq",
        "versions": ["3"],
        "platform": "realtime-scoring_faq",
        "inputs": [{"name": "question", "datatype": "BYTES", "shape": [-1]}],
        "outputs": [
            {"name": "id", "datatype": "BYTES", "shape": [-1, -1]},
            {"name": "question", "datatype": "BYTES", "shape": [-1, -1]},
            {"name": "probability", "datatype": "FP32", "shape": [-1, -1]},
        ],
    }


async def test_the_server(client: httpx.AsyncClient) -> None:
    server = (await client.get("/v2")).json()
    assert server["name"] == "realtime-scoring"
    assert "binary_tensor_data" in server["extensions"]
    assert (await client.get("/v2/health/live")).json() == {"live": True}
    assert (await client.get("/v2/health/ready")).json() == {"ready": True}


async def test_readiness(application: Application, client: httpx.AsyncClient) -> None:
    application.readiness.set_state("image", State.LOADING)
    answers = [
        await client.get(path)
        for path in ("/v2/health/ready", "/v2/models/image/ready", "/v2/models/faq/ready")
    ]
    assert [answer.status_code for answer in answers] == [503, 503, 200]
    assert answers[1].json() == {"name": "image", "ready": False}
    refused = await client.post(IMAGE_INFER, json=image(data=[""]))
    assert_refused(refused, 503, "model_loading")


async def test_a_model_that_is_missing(tmp_path: Path) -> None:
    async with client_of(Application(tmp_path, image_missing="no weights")) as client:
        assert (await client.get("/v2/health/ready")).status_code == 200
        assert (await client.get("/v2/models/image/ready")).status_code == 503
        assert (await client.get("/v2/models/image")).json()["versions"] == []
        refused = await client.post(IMAGE_INFER, json=image(data=[""]))
        assert_refused(refused, 503, "model_unavailable", "no weights")


@pytest.mark.parametrize("end", ["", "/ready", "/infer"])
@pytest.mark.parametrize("model", ["other", "faq/versions/2", "other/versions/1", "resnet152"])
async def test_unknown_models_and_versions(client: httpx.AsyncClient, model: str, end: str) -> None:
    method = "POST" if end == "/infer" else "GET"
    answer = await client.request(method, f"/v2/models/{model}{end}", json=questions("a"))
    assert_refused(answer, 404, "not_found", model.split("/")[0])


async def test_the_version_that_serves(client: httpx.AsyncClient) -> None:
    for model, body in (("faq/versions/3", questions("a")),):
        answer = await client.post(f"/v2/models/{model}/infer", json=body)
        assert answer.json()["model_version"] == "3"
    assert IMAGE.version == "1"
    data = [base64.b64encode(picture(1)).decode()]
    answer = await client.post("/v2/models/image/versions/1/infer", json=image(data=data))
    assert answer.json()["model_name"] == "image"


async def test_limits(tmp_path: Path) -> None:
    limits = HttpSettings(
        questions_limit_bytes=500, image_limit_bytes=300, multipart_limit_bytes=2000
    )
    async with client_of(Application(tmp_path, http=limits)) as client:
        long = await client.post(FAQ_INFER, json=questions("a" * 500))
        assert_refused(long, 413, "body_too_large", "500")
        large = packed(b"x" * 301)
        body = image(parameters={"binary_data_size": len(large)})
        answer = await client.post(IMAGE_INFER, **binary(body, large))
        assert_refused(answer, 413, "body_too_large", "300")
        answer = await client.post(IMAGE_INFER, json=image(data=["A" * 1500]))
        assert_refused(answer, 413, "body_too_large", "binary data")
        answer = await client.post(IMAGE_INFER, content=b"x" * 2001)
        assert_refused(answer, 413, "body_too_large", "2,000")


async def test_more_pictures_than_one_request_may_have(client: httpx.AsyncClient) -> None:
    data = packed(*[b""] * 65)
    body = image(shape=[65], parameters={"binary_data_size": len(data)})
    answer = await client.post(IMAGE_INFER, **binary(body, data))
    assert_refused(answer, 422, "out_of_range", "1 to 64")


async def test_content_that_is_not_read(client: httpx.AsyncClient) -> None:
    answer = await client.post(FAQ_INFER, content=b"x", headers={"content-type": "text/plain"})
    assert_refused(answer, 415, "unsupported_media_type")
    answer = await client.post(FAQ_INFER, content=b"x", headers={"content-encoding": "gzip"})
    assert_refused(answer, 415, "unsupported_media_type")


@pytest.mark.parametrize("limit", ["header", "parameter"])
async def test_deadlines(application: Application, client: httpx.AsyncClient, limit: str) -> None:
    application.faq.gate = asyncio.Event()
    body = questions("a", parameters={"timeout": 20_000} if limit == "parameter" else {})
    headers = {"X-Request-Timeout-Ms": "20"} if limit == "header" else {}
    answer = await client.post(FAQ_INFER, json=body, headers=headers)
    assert_refused(answer, 504, "deadline_passed")


class _FaqOnly:
    async def identify(self, headers: Headers) -> Caller:
        return Caller("key", frozenset({Needed.FAQ}))


class _FewPictures:
    def __init__(self) -> None:
        self.requests = 0

    def take(self, caller: Caller, *, requests: int = 0, images: int = 0) -> None:
        self.requests += requests
        if images > 1:
            raise QuotaExceeded("no more", retry_after_s=1, policy="p", limit="l")


async def test_the_model_decides_the_scope(tmp_path: Path) -> None:
    admission = Admission(_FaqOnly(), Unlimited())
    async with client_of(Application(tmp_path, admission=admission)) as client:
        for version in ("", "/versions/1"):
            answer = await client.post(f"/v2/models/image{version}/infer", content=b"")
            assert_refused(answer, 403, "scope_missing", "image")
        assert (await client.post(FAQ_INFER, json=questions("a"))).status_code == 200
        assert (await client.get("/v2/models/image")).status_code == 200


async def test_pictures_are_counted_by_the_admission_that_version_1_has(tmp_path: Path) -> None:
    quotas = _FewPictures()
    application = Application(tmp_path, admission=Admission(Everyone(), quotas))
    async with client_of(application) as client:
        data = [base64.b64encode(picture(1)).decode()] * 2
        answer = await client.post(IMAGE_INFER, json=image(data=data, shape=[2]))
        assert_refused(answer, 429, "quota_exceeded")
        assert answer.headers["retry-after"] == "1"
    assert quotas.requests == 1
    assert application.image.calls == []


async def test_the_log_names_route_model_and_caller(
    application: Application, client: httpx.AsyncClient
) -> None:
    await client.post(FAQ_INFER, json=questions("a", "b"))
    await client.get("/v2/models/faq/ready")
    (line,) = map(orjson.loads, application.log_file.read_bytes().splitlines())
    assert line["route"] == FAQ_INFER
    assert line["items"] == 2
    assert line["version"] == FAQ.version
    assert line["caller"] == LOCAL.id


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(
    model=st.sampled_from([FAQ_INFER, IMAGE_INFER]),
    body=st.binary(max_size=200)
    | st.builds(
        lambda head, tail: orjson.dumps(head) + tail,
        st.fixed_dictionaries(
            {
                "inputs": st.lists(
                    st.fixed_dictionaries(
                        {
                            "name": st.sampled_from(["question", "image"]),
                            "datatype": st.sampled_from(["BYTES", "UINT8", "FP32"]),
                            "shape": st.lists(st.integers(0, 3), max_size=4),
                        },
                        optional={
                            "data": st.lists(st.text() | st.integers(-1, 300), max_size=3),
                            "parameters": st.dictionaries(
                                st.just("binary_data_size"), st.integers(-1, 30) | st.booleans()
                            ),
                        },
                    ),
                    max_size=2,
                )
            }
        ),
        st.binary(max_size=30),
    ),
    length=st.none() | st.integers(-1, 250).map(str),
)
async def test_hostile_bodies_are_answered_or_refused(
    client: httpx.AsyncClient, model: str, body: bytes, length: str | None
) -> None:
    headers = {} if length is None else {LENGTH: length}
    answer = await client.post(model, content=body, headers=headers)
    assert answer.status_code < 500, answer.text
