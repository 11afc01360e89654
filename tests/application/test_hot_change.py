"""A running service changes to another version while clients ask it all the time."""

import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from deployments.registry import Registry
from serve_app.models import registry_of
from serve_app.settings import Settings
from tests.application.service import Service, scoring, serving
from tests.deployments.faq.small import QUESTIONS, WRONG, save_model, train_small

pytestmark = pytest.mark.timeout(600)

PORT = 8125
CHANGE_S = 60.0
RANK = "/v1/faq/rank"
BAD = "3"
ASKED = QUESTIONS * 40
"""More than fit into one call to a ranker."""
EXPECTED = {"1": "A1", "2": "A0"}
"""What each version answers to QUESTIONS[1]."""


class Client(threading.Thread):
    """Asks without a pause until it is stopped; keeps versions, and whatever was not right."""

    def __init__(self, url: str, body: dict[str, Any]) -> None:
        super().__init__(daemon=True)
        self.versions: list[str] = []
        self.wrong: list[str] = []
        self._url = url
        self._body = body
        self._stopping = threading.Event()

    def run(self) -> None:
        with httpx.Client(base_url=self._url, timeout=60, trust_env=False) as client:
            while not self._stopping.is_set():
                try:
                    answer = client.post(RANK, json=self._body)
                except httpx.TransportError as error:
                    self.wrong.append(repr(error))
                    continue
                if answer.status_code == 200:
                    self._note(answer.json())
                else:
                    self.wrong.append(answer.text)

    def stop(self) -> None:
        self._stopping.set()
        self.join(60)

    def _note(self, answer: dict[str, Any]) -> None:
        version = answer["model"]["version"]
        self.versions.append(version)
        results = answer.get("results", [answer])
        found = {result["matches"][0]["answer_id"] for result in results[1 :: len(QUESTIONS)]}
        if found - {EXPECTED[version]}:
            self.wrong.append(f"version {version} answers {found}")


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> tuple[Registry, Path]:
    """Version 1 is the champion; 2 has other AnswerIds; 3 fails its known questions."""
    folder = tmp_path_factory.mktemp("hot")
    registry = registry_of(Settings(data_dir=folder / "data"))
    for number, first in ((1, 0), (2, 1), (3, 0)):
        known = WRONG if str(number) == BAD else None
        model = save_model(folder / str(number), train_small(first), known)
        registry.register("faq", model, metrics={}, parameters={}, tags={}, alias="candidate")
    registry.set_alias("faq", "champion", "1")
    return registry, folder / "data"


@pytest.fixture(scope="module")
def service(registry: tuple[Registry, Path]) -> Iterator[Service]:
    """Two rankers, which look twice a second, each for itself."""
    _, data_dir = registry
    command = scoring(
        "serve",
        f"data_dir={data_dir}",
        f"http.port={PORT}",
        "faq.refresh_s=0.5",
        "faq.min_replicas=2",
    )
    with serving(command, port=PORT, folder=data_dir) as service:
        yield service


def promote(data_dir: Path, version: str) -> subprocess.CompletedProcess[str]:
    command = scoring("faq", "promote", "faq", version, f"data_dir={data_dir}")
    root = Path(__file__).parents[2]
    return subprocess.run(command, capture_output=True, text=True, cwd=root, check=False)


def test_promoting_changes_every_answer_and_fails_none(
    service: Service, registry: tuple[Registry, Path]
) -> None:
    _, data_dir = registry
    rankers = {process.pid for process in service.replicas("FaqRanker")}
    clients = [
        Client(service.url, {"question": QUESTIONS[1]}),
        Client(service.url, {"questions": ASKED}),
    ]
    for client in clients:
        client.start()
    try:
        _wait_until(lambda: all(client.versions for client in clients))
        promoted = promote(data_dir, "2")
        assert promoted.returncode == 0, promoted.stderr
        _wait_until(lambda: all(client.versions[-20:] == ["2"] * 20 for client in clients))
    finally:
        for client in clients:
            client.stop()
    assert [client.wrong for client in clients] == [[], []]
    assert {client.versions[0] for client in clients} == {"1"}
    assert {process.pid for process in service.replicas("FaqRanker")} == rankers
    _wait_until(lambda: _ready_version(service) == "2")


def test_a_version_with_wrong_known_questions_is_not_promoted(
    service: Service, registry: tuple[Registry, Path]
) -> None:
    known, data_dir = registry
    refused = promote(data_dir, BAD)
    assert refused.returncode != 0
    assert "expected AnswerId 'A9'" in refused.stderr
    assert known.resolve("faq").version == "2"


def test_a_bad_version_that_the_alias_names_is_refused_and_the_old_one_goes_on(
    service: Service, registry: tuple[Registry, Path]
) -> None:
    known, _ = registry
    client = Client(service.url, {"questions": ASKED})
    client.start()
    try:
        known.set_alias("faq", "champion", BAD)
        _wait_until(lambda: _refused(service) == 2)
        _wait_until(lambda: _ready_refused(service) == BAD)
    finally:
        client.stop()
    assert client.wrong == []
    assert set(client.versions) == {"2"}


def test_a_ranker_that_starts_now_serves_what_the_others_do(service: Service) -> None:
    before = _serving(service)
    assert set(before.values()) == {"2"}
    service.replicas("FaqRanker")[0].kill()
    _wait_until(lambda: len(_serving(service)) == 2 and _serving(service).keys() != before.keys())
    assert set(_serving(service).values()) == {"2"}


def _ready_version(service: Service) -> str:
    with service.client() as client:
        return str(client.get("/readyz/faq").json()["models"][0]["version"])


def _ready_refused(service: Service) -> str | None:
    with service.client() as client:
        (model,) = client.get("/readyz/faq").json()["models"]
    return model["refused"] and str(model["refused"]["version"])


def _refused(service: Service) -> float:
    return sum(item.value for item in _samples(service, "scoring_model_versions_refused_total"))


def _serving(service: Service) -> dict[str, str]:
    """The version by ranker."""
    samples = _samples(service, "scoring_model_version_info")
    return {sample.labels["replica"]: sample.labels["version"] for sample in samples}


def _samples(service: Service, name: str) -> list[Sample]:
    with service.client() as client:
        text = client.get("/metrics").text
    families = text_string_to_metric_families(text)
    return [sample for family in families for sample in family.samples if sample.name == name]


def _wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + CHANGE_S
    while not holds():
        assert time.monotonic() < deadline, f"not within {CHANGE_S} s"
        time.sleep(0.1)
