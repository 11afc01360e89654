"""The ways to start and stop, and a machine without weights and without internet."""

import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
import yaml

from serve_app.http.openapi import example_png
from tests.application.service import Service, scoring

pytestmark = pytest.mark.timeout(600)

PORT = 8000
RAY = Path(sys.executable).with_name("ray")
SERVE = Path(sys.executable).with_name("serve")


def _both_scenarios_without_weights(url: str) -> None:
    with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
        ranked = client.post("/v1/faq/rank", json={"question": "what is a closure"})
        classified = client.post(
            "/v1/images/classify", content=example_png(), headers={"content-type": "image/png"}
        )
        ready = client.get("/readyz")
    assert ranked.status_code == 200
    assert ranked.json()["model"]["name"] == "faq"
    assert classified.status_code == 503
    assert "image.weights=" in classified.json()["detail"]
    assert ready.status_code == 200
    states = {model["name"]: model["state"] for model in ready.json()["models"]}
    assert states == {"faq": "ready", "resnet152": "unavailable"}


def test_without_weights_the_service_counts_as_started(data_dir: Path, tmp_path: Path) -> None:
    command = scoring("serve", f"data_dir={data_dir}", f"http.port={PORT}")
    service = Service(command, port=PORT, folder=tmp_path)
    try:
        service.wait_for_line("image routes answer 503")
        _both_scenarios_without_weights(service.url)
    finally:
        service.stop()


def test_serve_run(data_dir: Path, tmp_path: Path) -> None:
    command = [str(SERVE), "run", "serve_app:app", f"data_dir={data_dir}"]
    service = Service(command, port=PORT, folder=tmp_path)
    try:
        service.wait_for_line("is ready at")
        assert "make serve" in service.wait_for_line("fast path")
        _wait_until_ready(service.url)
        _both_scenarios_without_weights(service.url)
    finally:
        service.stop()


def test_serve_run_refuses_a_misspelled_setting(tmp_path: Path) -> None:
    command = [str(SERVE), "run", "serve_app:app", "image.architektur=resnet50"]
    service = Service(command, port=PORT, folder=tmp_path)
    try:
        assert service.process.wait(120) != 0
        service.wait_for_line("image.architektur")
    finally:
        service.stop()


def test_serve_deploy_with_the_generated_config(data_dir: Path, tmp_path: Path) -> None:
    printed = subprocess.run(
        scoring("serve-config", f"data_dir={data_dir}"), capture_output=True, text=True, check=True
    )
    config = tmp_path / "config.yaml"
    config.write_text(printed.stdout)
    assert yaml.safe_load(printed.stdout)["applications"][0]["import_path"] == "serve_app:app"
    head = Service(
        [str(RAY), "start", "--head", "--block", "--num-cpus=2", "--dashboard-port=8265"],
        port=PORT,
        folder=tmp_path,
    )
    try:
        head.wait_for_line("Ray runtime started")
        deploy = Service([str(SERVE), "deploy", str(config)], port=PORT, folder=tmp_path)
        assert deploy.process.wait(120) == 0, deploy.lines
        deploy.stop()
        _wait_until_ready(head.url)
        _both_scenarios_without_weights(head.url)
    finally:
        head.stop()


def _wait_until_ready(url: str) -> None:
    with httpx.Client(
        base_url=url, trust_env=False, transport=httpx.HTTPTransport(retries=3)
    ) as client:
        for _ in range(600):
            try:
                if client.get("/readyz", timeout=5).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.2)
    pytest.fail("not ready")
