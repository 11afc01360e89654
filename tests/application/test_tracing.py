"""One trace from the client to the device, through the real application."""

from pathlib import Path

from serve_app.http.openapi import example_png
from tests.application.service import scoring, serving
from tests.otlp import receiving

PORT = 8124
SPANS = ("admission", "queue", "batch", "rank", "decode", "forward")
EXPORT_S = 30
"""Replicas send what they have every second."""


def test_a_trace_reaches_the_models_of_both_scenarios(data_dir: Path, shared: Path) -> None:
    ids = {"faq": "ab" * 16, "image": "cd" * 16}
    with receiving() as receiver:
        command = scoring(
            "serve",
            f"data_dir={data_dir}",
            f"http.port={PORT}",
            "grpc.port=0",
            "image.architecture=mobilenet_v2",
            f"image.weights={shared / 'weights' / 'mobilenet_v2.pth'}",
            f"tracing.endpoint={receiver.endpoint}",
            "tracing.sample_ratio=0",
        )
        with serving(command, port=PORT, folder=data_dir) as service, service.client() as client:
            parents = {
                key: {"traceparent": f"00-{trace}-{'12' * 8}-01"} for key, trace in ids.items()
            }
            asked = client.post(
                "/v1/faq/rank", json={"question": "What is a closure?"}, headers=parents["faq"]
            )
            shown = client.post(
                "/v1/images/classify",
                content=example_png(),
                headers={**parents["image"], "content-type": "image/png"},
            )
            client.post("/v1/faq/rank", json={"question": "What is a promise?"})
            assert (asked.status_code, shown.status_code) == (200, 200)
            receiver.wait_for(*SPANS, timeout_s=EXPORT_S)

        assert {span.trace_id.hex() for span in receiver.spans()} == set(ids.values())
        by_trace = {
            key: {span.name for span in receiver.spans() if span.trace_id.hex() == trace}
            for key, trace in ids.items()
        }
        common = {"admission", "queue", "batch"}
        assert by_trace["faq"] == {"POST /v1/faq/rank", "rank", *common}
        assert by_trace["image"] == {"POST /v1/images/classify", "decode", "forward", *common}
        deployments = {resource["scoring.deployment"] for resource in receiver.resources()}
        assert deployments == {"Router", "FaqRanker", "ImageClassifier"}
        assert b"closure" not in receiver.raw
