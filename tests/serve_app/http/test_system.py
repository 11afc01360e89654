"""The service's own routes, the error form, the log and the metrics."""

import json

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from deployments.contracts import EngineStatus, RefusedVersion, VersionStatus
from serve_app.errors import ScoringError, error_classes
from serve_app.http.openapi import example_png
from serve_app.http.schemas import Readiness
from serve_app.readiness import State
from tests.serve_app.fakes import FAQ, Application


async def test_health(client: httpx.AsyncClient) -> None:
    assert (await client.get("/healthz")).status_code == 200


@pytest.mark.parametrize(
    ("state", "whole", "model"),
    [
        (State.READY, 200, 200),
        (State.LOADING, 503, 503),
        (State.UNAVAILABLE, 200, 503),
        (State.SCALED_TO_ZERO, 200, 200),
    ],
)
async def test_readiness(
    application: Application, client: httpx.AsyncClient, state: State, whole: int, model: int
) -> None:
    application.readiness.set_state("image", state)
    all_models = await client.get("/readyz")
    one_model = await client.get("/readyz/image")
    assert (all_models.status_code, one_model.status_code) == (whole, model)
    assert Readiness.model_validate_json(one_model.content).models[0].state == state
    assert (await client.get("/readyz/faq")).status_code == 200
    assert (await client.get("/readyz/other")).status_code == 404


async def test_readiness_names_a_refused_version(
    application: Application, client: httpx.AsyncClient
) -> None:
    assert (await client.get("/readyz/faq")).json()["models"][0]["refused"] is None
    refused = RefusedVersion("4", "why")
    application.readiness.set_versions("faq", [VersionStatus(FAQ, refused)])
    answer = await client.get("/readyz/faq")
    assert answer.status_code == 200
    assert answer.json()["models"][0]["refused"] == {"version": "4", "reason": "why"}
    Readiness.model_validate_json(answer.content)


async def test_readiness_names_the_engine(
    application: Application, client: httpx.AsyncClient
) -> None:
    assert (await client.get("/readyz/image")).json()["models"][0]["engine"] is None
    status = EngineStatus("cpu", "bfloat16", "fused", 2, (1, 2))
    application.readiness.set_engines("image", [status])
    answer = await client.get("/readyz")
    faq, image = Readiness.model_validate_json(answer.content).models
    assert faq.engine is None
    assert image.engine is not None
    assert image.engine.model_dump() == {
        "device": "cpu",
        "precision": "bfloat16",
        "execution": "fused",
        "concurrency": 2,
        "batch_sizes": [1, 2],
    }


async def test_loading_model_is_refused_with_a_time(
    application: Application, client: httpx.AsyncClient
) -> None:
    application.readiness.set_state("faq", State.LOADING)
    answer = await client.post("/v1/faq/rank", json={"question": "q"})
    assert (answer.status_code, answer.json()["code"]) == (503, "model_loading")
    assert int(answer.headers["retry-after"]) > 0


async def test_unknown_path_and_method(client: httpx.AsyncClient) -> None:
    missing = await client.get("/nothing")
    wrong = await client.get("/v1/faq/rank")
    assert (missing.status_code, missing.json()["code"]) == (404, "not_found")
    assert (wrong.status_code, wrong.json()["code"]) == (405, "method_not_allowed")
    assert "POST" in wrong.headers["allow"]


async def test_request_id_is_in_the_problem(client: httpx.AsyncClient) -> None:
    answer = await client.get("/nothing", headers={"x-request-id": "abc-1"})
    assert answer.json()["instance"] == "urn:request:abc-1"


async def test_log_has_one_line_a_request_and_no_input(
    application: Application, client: httpx.AsyncClient
) -> None:
    await client.post("/v1/faq/rank", json={"question": "my secret question"})
    await client.post("/v1/faq/rank", json={"question": ""})
    await client.get("/healthz")
    lines = application.log_file.read_text().splitlines()
    first, second = map(json.loads, lines)
    assert (first["route"], first["status"], first["version"]) == ("/v1/faq/rank", 200, "3")
    assert (second["status"], second["code"]) == (422, "question_empty")
    assert "secret" not in "".join(lines)


async def test_metrics_count_by_route_and_replica(client: httpx.AsyncClient) -> None:
    await client.post("/v1/faq/rank", json={"question": "q"})
    await client.get("/some/unknown/path")
    text = (await client.get("/metrics")).text
    samples = {
        (sample.name, sample.labels.get("route"), sample.labels.get("status")): sample
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    counted = samples["scoring_requests_total", "/v1/faq/rank", "200"]
    assert counted.value == 1
    assert (counted.labels["deployment"], counted.labels["replica"]) == ("Router", "one")
    assert samples["scoring_requests_total", "unmatched", "404"].value == 1


async def test_metrics_count_the_time_of_decoding(client: httpx.AsyncClient) -> None:
    for content in (example_png(), b"no picture"):
        await client.post(
            "/v1/images/classify", content=content, headers={"content-type": "image/png"}
        )
    text = (await client.get("/metrics")).text
    counted = [
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "scoring_decode_seconds_count"
    ]
    assert counted == [1]


async def test_docs_need_nothing_from_elsewhere(client: httpx.AsyncClient) -> None:
    page = await client.get("/docs")
    assert "http" not in page.text.replace("http-equiv", "")
    for name in ("swagger-ui.css", "swagger-ui-bundle.js"):
        assert name in page.text
        assert (await client.get(f"/docs/{name}")).status_code == 200
    assert (await client.get("/docs/other.js")).status_code == 404


async def test_examples_of_the_api_description_work(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    executed = 0
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            content = operation.get("requestBody", {}).get("content", {})
            for media, body in content.items():
                for example in body.get("examples", {}).values():
                    answer = await client.request(
                        method, path, json=example["value"], headers={"content-type": media}
                    )
                    assert answer.status_code == 200, (path, answer.text)
                    executed += 1
            if method == "get":
                concrete = path.format(name="faq", version="3")
                assert (await client.get(concrete)).status_code == 200
    assert executed >= 4


async def test_description_matches_the_routes(
    application: Application, client: httpx.AsyncClient
) -> None:
    document = (await client.get("/openapi.json")).json()
    served = {route.path for route in application.face.router.routes}  # type: ignore[attr-defined]
    served -= {"/", "/page/config.json", "/page/{file}"}
    served -= {"/docs", "/docs/{file}", "/openapi.json", "/readyz/{model}"}
    # They say that there is no such model.
    served -= {path for path in served if path.startswith("/v2/models/{name}") and "infer" in path}
    assert set(document["paths"]) == served | {"/readyz/faq", "/readyz/image"}


async def test_every_scoring_route_describes_its_deadline(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    posts = [item["post"] for item in document["paths"].values() if "post" in item]
    assert len(posts) == 8
    for post in posts:
        assert "X-Request-Timeout-Ms" in [item["name"] for item in post["parameters"]]


async def test_example_picture_is_a_picture(client: httpx.AsyncClient) -> None:
    answer = await client.post(
        "/v1/images/classify", content=example_png(), headers={"content-type": "image/png"}
    )
    assert answer.status_code == 200


def test_every_error_has_its_own_code_and_a_status() -> None:
    errors = list(error_classes(ScoringError))
    codes = [error.code for error in errors]
    assert len(set(codes)) == len(codes)
    assert all(400 <= error.status < 600 and error.title for error in errors)


async def test_metrics_say_who_was_refused_and_which_version_answered(
    client: httpx.AsyncClient,
) -> None:
    for body in ({"question": "q"}, {"questions": ["a", "b"]}, {"question": ""}):
        await client.post("/v1/faq/rank", json=body)
    await client.get("/nothing")
    text = (await client.get("/metrics")).text
    counted = {
        (sample.name, *map(sample.labels.get, ("model", "version", "code", "caller")), sample.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert {
        ("scoring_answers_total", "faq", "3", None, None, 3.0),
        ("scoring_refusals_total", None, None, "question_empty", "local", 1.0),
        ("scoring_refusals_total", None, None, "not_found", "none", 1.0),
        ("scoring_model_ready", "image", None, None, None, 1.0),
        ("scoring_largest_batch", "faq", None, None, None, 64.0),
    } <= counted
