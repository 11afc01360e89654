"""`scoring rollout`, as a person types it."""

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from kuberay.rollout import ClusterState, View
from serve_app.cli import main
from serve_app.cli.rollout_view import Display
from tests.kuberay.rollout.api_server import ApiServer
from tests.kuberay.rollout.kuberay_operator import Operator
from tests.kuberay.rollout.manifests import ray_service


@pytest.fixture
def operator(tmp_path: Path) -> Iterator[Operator]:
    """A cluster with KubeRay, and a kubeconfig that leads to it."""
    with ApiServer() as server, Operator(server) as operator:
        server.kubeconfig(tmp_path / "kubeconfig")
        yield operator


@pytest.fixture
def cluster(operator: Operator, tmp_path: Path) -> list[str]:
    """The arguments that name it."""
    return ["--kubeconfig", str(tmp_path / "kubeconfig")]


def write(path: Path, image: str) -> str:
    """Manifests in a file."""
    path.write_text(yaml.safe_dump(ray_service(image)), encoding="utf-8")
    return str(path)


def test_the_way_of_a_version(
    operator: Operator, cluster: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "service.yaml"
    assert main(["rollout", "apply", write(path, "scoring:1"), "-m", "first", *cluster]) == 0
    shown = capsys.readouterr()
    assert shown.out == "scoring-00001\n"
    assert "the first cluster" in shown.err
    assert "active scoring-00001: 2/2 pods ready" in shown.err
    assert "question" in shown.err
    assert main(["rollout", "apply", write(path, "scoring:2"), *cluster, "--wait-old"]) == 0
    assert "a new cluster, then the traffic moves to it" in capsys.readouterr().err
    assert main(["rollout", "status", *cluster]) == 0
    status = capsys.readouterr().out
    assert "scoring/scoring: ready, 1 endpoints" in status
    assert "active scoring-00002" in status
    assert "scoring RUNNING" in status
    assert main(["rollout", "status", "--json", *cluster]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["active"]["name"] == "scoring-00002"
    assert document["warnings"] == []
    assert main(["rollout", "history", *cluster]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["REVISION", "TIME", "OUTCOME", "WHO", "MESSAGE"]
    assert lines[2].endswith("first")
    assert main(["rollout", "rollback", *cluster]) == 0
    assert "back to revision 1" in capsys.readouterr().err
    assert operator.clusters["scoring-00003"].image == "scoring:1"
    assert main(["rollout", "history", "--json", *cluster]) == 0
    assert [each["revision"] for each in json.loads(capsys.readouterr().out)] == [3, 2, 1]


def test_a_failure_is_told_and_ends_in_1(
    operator: Operator, cluster: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "service.yaml", "broken:pull")
    assert main(["rollout", "apply", path, *cluster, "--patience", "0s"]) == 1
    said = capsys.readouterr().err
    assert "an image cannot be pulled" in said
    assert "ImagePullBackOff" in said
    assert "nothing to go back to" in said


def test_a_suspension_asks_first(
    operator: Operator, cluster: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["rollout", "apply", write(tmp_path / "s.yaml", "scoring:1"), *cluster]) == 0
    assert main(["rollout", "suspend", *cluster]) == 2
    assert "no request is answered" in capsys.readouterr().err
    assert "scoring-00001" in operator.clusters
    assert main(["rollout", "suspend", "--yes", *cluster]) == 0
    assert operator.clusters == {}
    assert "suspended" in capsys.readouterr().out
    assert main(["rollout", "resume", "--yes", *cluster]) == 0
    assert "scoring-00002" in operator.clusters


@pytest.mark.parametrize(
    ("words", "status", "why"),
    [
        (["--expect", "voice=3"], 2, "not faq=3 or image=3"),
        (["--key-file", "/nowhere/key"], 2, "the key cannot be read"),
        (["--key-secret", "absent"], 1, 'secrets "absent" not found'),
        (["--context", "another"], 1, "the kubeconfig cannot be used"),
    ],
)
def test_wrong_arguments_are_told(
    operator: Operator,
    cluster: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    status: int,
    why: str,
) -> None:
    path = write(tmp_path / "service.yaml", "scoring:1")
    assert main(["rollout", "apply", path, *cluster, *words]) == status
    assert why in capsys.readouterr().err
    assert operator.clusters == {}


def test_the_key_may_come_from_a_secret(
    operator: Operator, cluster: list[str], tmp_path: Path
) -> None:
    operator.stub_settings["scoring:1"] = {"key": "sk-right"}
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "smoke"},
        "data": {"key": "c2stcmlnaHQ="},
    }
    operator.store.create("secrets", "scoring", secret)
    path = write(tmp_path / "service.yaml", "scoring:1")
    assert main(["rollout", "apply", path, *cluster, "--key-secret", "smoke"]) == 0


def test_what_is_no_service_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n", encoding="utf-8")
    assert main(["rollout", "apply", str(path)]) == 1
    assert "a rollout is of one RayService" in capsys.readouterr().err


class Terminal(io.StringIO):
    """A stream that says it is one."""

    def isatty(self) -> bool:
        """It is."""
        return True


def seen(traffic: int) -> View:
    """A view of one cluster."""
    active = ClusterState("a", "active", traffic_percent=traffic)
    return View("n", "s", 1, False, False, (), active, None)


@pytest.mark.parametrize("stream", [Terminal(), io.StringIO()])
def test_only_a_terminal_is_written_over(stream: io.StringIO) -> None:
    display = Display(stream)
    display.step("begins")
    for traffic in (20, 20, 40):
        display.view(seen(traffic))
    display.step("goes on")
    display.end()
    text = stream.getvalue()
    assert text.count("20% of the traffic") == 1
    assert ("\x1b[" in text) is stream.isatty()
    assert text.index("begins") < text.index("40% of the traffic") < text.index("goes on")
