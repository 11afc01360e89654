"""Who comes into the real thing: started by each command, asked on the proxy's port and a
replica's own."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from serve_app.fast_path import FAST_PATH, LOCAL
from tests.application.service import ROOT, Service, scoring
from tests.issuer.process import Issuer, issuing

pytestmark = pytest.mark.timeout(600)

PORT = 8000
SERVE = Path(sys.executable).with_name("serve")
QUESTION = {"question": "what is a closure"}


def serve_run(folder: Path, *arguments: str) -> Service:
    """Plain `serve run` with the fast path's flags, which binds every interface."""
    command = [str(SERVE), "run", "--name", "scoring", "serve_app:app", f"data_dir={folder}"]
    environment = {**LOCAL, **FAST_PATH}
    return Service([*command, *arguments], port=PORT, folder=folder, environment=environment)


def keys(*arguments: str) -> str:
    """Runs `scoring keys`; what it prints."""
    answer = subprocess.run(
        scoring("keys", *arguments), capture_output=True, text=True, check=True, cwd=ROOT
    )
    return answer.stdout.strip()


def test_scoring_serve_refuses_every_interface_without_keys(data_dir: Path, tmp_path: Path) -> None:
    command = scoring("serve", f"data_dir={data_dir}", "http.host=0.0.0.0", f"http.port={PORT}")
    service = Service(command, port=PORT, folder=tmp_path)
    try:
        assert service.process.wait(60) == 1
        assert "0.0.0.0" in service.wait_for_line("refusing to start")
        assert len(service.lines) == 1  # before anything was trained or started
    finally:
        service.stop()


def test_serve_run_on_every_interface_refuses_without_keys(data_dir: Path) -> None:
    service = serve_run(data_dir)
    try:
        assert "auth.anonymous=true" in service.wait_for_line("refusing to start")
        assert service.process.wait(120) != 0
    finally:
        service.stop()


PAST_THE_FIRST_CHECK = """
import os, sys, time
import ray
from ray import serve
from serve_app.application import build
from serve_app.configuration import configure
from serve_app.models import prepare
configuration = configure({"data_dir": sys.argv[1]}, environment=os.environ)
ray.init(include_dashboard=False, log_to_driver=False)
serve.start(http_options={"host": "0.0.0.0", "port": 8000})
try:
    serve.run(build(configuration.settings, prepare(configuration)), name="scoring")
finally:
    print(serve.status().applications["scoring"].deployments["Router"].message)
    ray.shutdown()
"""


def test_a_replica_on_every_interface_refuses_without_keys(data_dir: Path) -> None:
    command = [sys.executable, "-c", PAST_THE_FIRST_CHECK, str(data_dir)]
    service = Service(command, port=PORT, folder=data_dir, environment={**LOCAL, **FAST_PATH})
    try:
        service.wait_for_line("Exposed: refusing to start: other machines reach 0.0.0.0")
        assert service.process.wait(120) != 0
    finally:
        service.stop()


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with issuing() as issuer:
        yield issuer


@pytest.fixture(scope="module")
def key(data_dir: Path) -> str:
    return keys("create", "--scope", "faq", f"data_dir={data_dir}")


@pytest.fixture(scope="module")
def guarded(data_dir: Path, key: str, issuer: Issuer) -> Iterator[Service]:
    """A service on every interface that knows one key and one issuer."""
    arguments = (f"auth.issuer={issuer.url}", f"auth.audience={issuer.audience}")
    service = serve_run(data_dir, *arguments)
    try:
        service.wait_for_line("is ready at")
        yield service
    finally:
        service.stop()
        (data_dir / "keys.json").unlink()


def rank(url: str, credentials: str | None) -> tuple[int, str | None]:
    headers = {} if credentials is None else {"authorization": f"Bearer {credentials}"}
    answer = httpx.post(
        f"{url}/v1/faq/rank", json=QUESTION, headers=headers, trust_env=False, timeout=60
    )
    return answer.status_code, answer.json().get("code")


def replica_url(service: Service) -> str:
    """The port of the Router's replica that HAProxy passes requests to."""
    [replica] = service.replicas("Router")
    ports = [
        connection.laddr.port
        for connection in psutil.Process(replica.pid).net_connections()
        if connection.status == psutil.CONN_LISTEN and 30000 <= connection.laddr.port < 31000
    ]
    assert len(ports) == 1, ports
    return f"http://127.0.0.1:{ports[0]}"


def test_nobody_comes_in_without_credentials(guarded: Service, key: str, issuer: Issuer) -> None:
    for url in (guarded.url, replica_url(guarded)):
        assert rank(url, None) == (401, "credentials_missing")
        assert rank(url, key[:-4] + "AAAA") == (401, "credentials_invalid")
        assert rank(url, key) == (200, None)
        assert rank(url, issuer.token(roles=["faq"])) == (200, None)
        assert rank(url, issuer.token(roles=["image"])) == (403, "scope_missing")
        assert httpx.get(f"{url}/healthz", trust_env=False).status_code == 200


def test_keys_change_while_the_service_runs(guarded: Service, data_dir: Path) -> None:
    new = keys("create", "--scope", "faq", f"data_dir={data_dir}")
    wait_until(guarded, new, (200, None))
    keys("revoke", new.split("_")[1], f"data_dir={data_dir}")
    wait_until(guarded, new, (401, "credentials_invalid"))


def wait_until(service: Service, key: str, expected: tuple[int, str | None]) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        answer = rank(service.url, key)
        if answer == expected:
            return
        time.sleep(0.1)
    pytest.fail(f"still {answer}")
