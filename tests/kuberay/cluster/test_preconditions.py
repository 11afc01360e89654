"""Why the end-to-end test skips: each reason, from real answers of an API server."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from json import dumps, loads
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml

from kuberay.rollout import Api, connect
from tests.kuberay.cluster.preconditions import (
    CannotTest,
    check,
    chosen,
    connected,
    operator_namespace,
    rights,
)
from tests.kuberay.cluster.settings import TestSettings

SETTINGS = TestSettings("scoring-cpu:1")


@contextmanager
def answering(
    folder: Path, *, kuberay: bool = True, denied: str = "", operators: tuple[str, ...] = ("ray",)
) -> Iterator[Api]:
    """An API server that knows KubeRay, or not, and allows everything but `denied`."""

    class Handler(BaseHTTPRequestHandler):
        def _say(self, status: int, content: Any) -> None:
            body = dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self) -> None:
            if self.path.startswith("/apis/ray.io/v1") and kuberay:
                kind = {"name": "rayservices", "kind": "RayService", "namespaced": True}
                self._say(200, {"resources": [kind]})
            elif self.path.startswith("/api/v1/pods"):
                pods = [{"metadata": {"namespace": each}} for each in operators]
                self._say(200, {"items": pods, "metadata": {"resourceVersion": "1"}})
            else:
                self._say(404, {"kind": "Status", "reason": "NotFound", "message": "no such path"})

        def do_POST(self) -> None:
            asked = loads(self.rfile.read(int(self.headers["Content-Length"])))
            wanted = asked["spec"]["resourceAttributes"]
            named = f"{wanted['verb']} {wanted['resource']}/{wanted.get('subresource') or ''}"
            allowed = not denied or not named.startswith(denied)
            self._say(201, {**asked, "status": {"allowed": allowed}})

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        api = connect(str(kubeconfig(folder, server.server_address[1])))
        yield api
        api.close()
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def kubeconfig(folder: Path, port: int) -> Path:
    file = folder / "kubeconfig"
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
    }
    file.write_text(yaml.safe_dump(content))
    return file


def test_a_cluster_with_kuberay_and_rights_can_be_tested(tmp_path: Path) -> None:
    with answering(tmp_path) as api:
        check(api, SETTINGS, "n")
        assert operator_namespace(api, SETTINGS) == "ray"


def test_a_cluster_without_kuberay(tmp_path: Path) -> None:
    with (
        answering(tmp_path, kuberay=False) as api,
        pytest.raises(CannotTest, match=r"KubeRay is not installed.*ray\.io/v1"),
    ):
        check(api, SETTINGS, "n")


@pytest.mark.parametrize(
    ("denied", "named"),
    [("get pods/exec", "get pods/exec"), ("create rayservices", "create rayservices in ray.io")],
)
def test_rights_that_are_lacking_are_named(denied: str, named: str, tmp_path: Path) -> None:
    with answering(tmp_path, denied=denied) as api, pytest.raises(CannotTest, match=named):
        check(api, SETTINGS, "n")


def test_many_lacking_rights_are_counted(tmp_path: Path) -> None:
    with (
        answering(tmp_path, denied="create") as api,
        pytest.raises(CannotTest, match=r"and \d+ more"),
    ):
        check(api, SETTINGS, "n")


@pytest.mark.parametrize("operators", [(), ("a", "b")])
def test_an_operator_that_is_not_found_or_found_twice(
    operators: tuple[str, ...], tmp_path: Path
) -> None:
    with (
        answering(tmp_path, operators=operators) as api,
        pytest.raises(CannotTest, match="SCORING_TEST_OPERATOR_NAMESPACE"),
    ):
        operator_namespace(api, SETTINGS)


def test_a_namespace_that_is_given_needs_no_right_to_make_one() -> None:
    def needed(settings: TestSettings) -> set[str]:
        return {str(each) for each in rights(settings) if each.resource == "namespaces"}

    assert needed(SETTINGS) == {
        f"{verb} namespaces" for verb in ("get", "patch", "create", "delete")
    }
    assert needed(TestSettings("i", namespace="n")) == {"get namespaces", "patch namespaces"}


def test_a_kubeconfig_that_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "absent"))
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", "absent")
    with pytest.raises(CannotTest, match="no cluster"):
        connected()


@pytest.mark.parametrize(
    ("expression", "environment", "why"),
    [("", ["KUBECONFIG"], "pytest -m kubernetes"), ("kubernetes", [], "KUBECONFIG is not set")],
)
def test_nobody_asked_for_it(expression: str, environment: list[str], why: str) -> None:
    with pytest.raises(CannotTest, match=why):
        chosen(expression, environment)
    chosen("kubernetes", ["KUBECONFIG"])


@pytest.mark.parametrize(
    ("variables", "words", "outcome"),
    [
        ({}, ["-m", "kubernetes"], "13 skipped"),
        ({"KUBECONFIG": "k", "SCORING_TEST_IMAGE": "i"}, [], "13 skipped"),
        ({"KUBECONFIG": "k"}, ["-m", "kubernetes"], "13 skipped"),
        ({"SCORING_TEST_STRICT": "1"}, ["-m", "kubernetes"], "13 errors"),
    ],
)
def test_skips_are_seen_and_fail_where_they_must_not_be(
    variables: dict[str, str], words: list[str], outcome: str
) -> None:
    here = Path(__file__).parent
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *words]
    done = subprocess.run(
        [*command, str(here / "test_end_to_end.py")],
        cwd=here.parents[2],
        env={"PATH": "/usr/bin:/bin", **variables},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert outcome in done.stdout, done.stdout + done.stderr
    assert "SKIPPED" in done.stdout or "ERROR" in done.stdout
