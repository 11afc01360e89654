"""Both scenarios on a real local Ray, with real clients over a socket.

The tests that kill replicas come last: what they leave behind is a service that has recovered.
"""

import csv
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from deployments.faq.corpus import JAVASCRIPT, load_corpus
from deployments.faq.examples import Examples
from serve_app.http.openapi import example_png
from tests.application.service import Service

pytestmark = pytest.mark.timeout(600)

RECOVERY_S = 60.0
RANK, CLASSIFY = "/v1/faq/rank", "/v1/images/classify"
PNG = {"content-type": "image/png"}


@pytest.fixture
def client(service: Service) -> Iterator[httpx.Client]:
    with service.client() as client:
        yield client


def test_every_caller_gets_the_answer_to_its_own_question(client: httpx.Client) -> None:
    questions = [faq.question for faq in load_corpus(JAVASCRIPT).faqs]

    def ask(question: str) -> dict[str, Any]:
        body: dict[str, Any] = client.post(RANK, json={"question": question}).json()
        return body

    alone = [ask(question) for question in questions[:40]]
    with ThreadPoolExecutor(16) as pool:
        together = list(pool.map(ask, questions[:40] * 3))
    for index, answer in enumerate(together):
        assert answer["matches"] == alone[index % 40]["matches"]
    assert len({answer["matches"][0]["id"] for answer in alone}) > 30


def test_largest_questions_pass_the_limit_between_deployments(client: httpx.Client) -> None:
    longest = ("closures and promises " * 400)[:8192]
    body = {"questions": [f"{index} {longest}"[:8192] for index in range(256)], "top_k": 100}
    answer = client.post(RANK, json=body)
    assert answer.status_code == 200, answer.text
    results = answer.json()["results"]
    assert [len(result["matches"]) for result in results] == [100] * 256


def test_known_duplicates_come_from_the_model(client: httpx.Client) -> None:
    answer = client.get("/v1/faq/examples")
    assert answer.status_code == 200, answer.text
    found = answer.json()
    expected = Examples.choose(load_corpus(JAVASCRIPT)).duplicates
    assert [tuple(each.values()) for each in found["examples"]] == list(expected)
    assert found["model"] == client.post(RANK, json={"question": "q"}).json()["model"]


def test_the_page_comes_through_the_proxy(client: httpx.Client) -> None:
    page = client.get("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "script-src 'self'" in page.headers["content-security-policy"]
    known = {"if-none-match": page.headers["etag"]}
    assert client.get("/", headers=known).status_code == 304
    assert client.get("/page/app.js").status_code == 200


def test_most_pictures_pass_the_limit_between_deployments(client: httpx.Client) -> None:
    files = [("file", (f"{index}.png", example_png(), "image/png")) for index in range(64)]
    answer = client.post(f"{CLASSIFY}?top_k=1000", files=files)
    assert answer.status_code == 200, answer.text
    results = answer.json()["results"]
    assert [len(result["predictions"]) for result in results] == [1000] * 64


def test_photographs_are_recognised_as_published(client: httpx.Client, shared: Path) -> None:
    folder = shared / "images" / "labelled"
    with (folder / "manifest.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))

    def classes(row: dict[str, str]) -> list[int]:
        data = (folder / row["file"]).read_bytes()
        answer = client.post(CLASSIFY, content=data, headers=PNG)
        return [item["class_index"] for item in answer.json()["predictions"]]

    with ThreadPoolExecutor(8) as pool:
        predicted = list(pool.map(classes, rows))
    labels = [int(row["class_index"]) for row in rows]
    top1 = sum(label == best[0] for label, best in zip(labels, predicted, strict=True))
    top5 = sum(label in best for label, best in zip(labels, predicted, strict=True))
    assert (top1, top5) == (41, 47)


def test_awkward_files(client: httpx.Client, shared: Path) -> None:
    folder = shared / "images" / "awkward"
    codes = {}
    for path in sorted(folder.iterdir()):
        answer = client.post(CLASSIFY, content=path.read_bytes(), headers=PNG)
        codes[path.name] = answer.json().get("code", answer.status_code)
    assert codes["bomb_1bit_12000x12000.png"] == "image_too_many_pixels"
    assert codes["tiny_1x5000.png"] == "image_too_extreme_shape"
    assert codes["empty.jpg"] == "image_empty"
    assert codes["html_404.jpg"] == "not_an_image"
    assert codes["truncated_50pct.jpg"] == codes["png_bad_crc.png"] == "image_truncated"
    readable = {name for name, code in codes.items() if code == 200}
    assert len(readable) == len(codes) - 6


def test_reference_routes(client: httpx.Client, shared: Path) -> None:
    scores = client.post("/faq/score", json={"input": "what is a closure"}).json()
    assert len(scores) == len(load_corpus(JAVASCRIPT).faqs)
    assert scores == sorted(scores, key=lambda row: -row[2])
    photograph = next((shared / "images" / "labelled").glob("*.png")).read_bytes()
    answer, note = client.post("/image/score", files={"image": photograph}).json()
    assert len(answer["image"]) == 3
    assert note.endswith(" ms")


def test_limits_hold_over_a_socket(client: httpx.Client) -> None:
    large = client.post(RANK, content=b" " * 5_000_000)
    chunked = client.post(CLASSIFY, content=(b"x" * 65536 for _ in range(200)), headers=PNG)
    assert (large.status_code, chunked.status_code) == (413, 413)
    assert large.headers["content-type"] == "application/problem+json"


def test_scrape_counts_the_whole_application(client: httpx.Client) -> None:
    def counted(route: str) -> float:
        text = client.get("/metrics").text
        return sum(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == "scoring_requests_total" and sample.labels["route"] == route
        )

    before = counted(RANK)
    for _ in range(5):
        client.post(RANK, json={"question": "what is a promise"})
    assert counted(RANK) == before + 5
    assert 'scoring_batch_size_count{deployment="ImageClassifier"' in client.get("/metrics").text


def test_terminal_shows_the_requests(client: httpx.Client, service: Service) -> None:
    client.post(RANK, json={"question": "hello"}, headers={"x-request-id": "on-the-terminal"})
    line = service.wait_for_line("on-the-terminal", timeout_s=10)
    assert json.loads(line)["route"] == RANK


def test_listens_on_loopback_only(service: Service) -> None:
    front, replicas = int(service.url.rpartition(":")[2]), range(30000, 31000)
    listening = [
        connection.laddr
        for process in service.started()
        for connection in process.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    ]
    ours = [address for address in listening if address.port == front or address.port in replicas]
    assert len({address.port for address in ours}) >= 2
    assert {address.ip for address in ours} == {"127.0.0.1"}


def test_the_last_log_line_survives_sigkill(service: Service, data_dir: Path) -> None:
    router = service.replicas("Router")[0]
    with service.client() as client:
        client.post(RANK, json={"question": "last words"}, headers={"x-request-id": "the-last"})
        router.kill()
    lines = (data_dir / "logs" / "requests.jsonl").read_text().splitlines()
    assert any(json.loads(line)["request_id"] == "the-last" for line in lines)
    _wait_until_it_answers(service)


def test_a_killed_ranker_is_replaced(service: Service) -> None:
    _wait_until_it_answers(service)
    service.replicas("FaqRanker")[0].kill()
    with service.client() as client:
        answer = client.post(RANK, json={"question": "still there?"})
    assert answer.status_code in (200, 503)
    if answer.status_code == 503:
        assert answer.headers["content-type"] == "application/problem+json"
        assert int(answer.headers["retry-after"]) > 0
    _wait_until_it_answers(service)


def _wait_until_it_answers(service: Service) -> None:
    deadline = time.monotonic() + RECOVERY_S
    statuses = []
    with service.client() as client:
        while time.monotonic() < deadline:
            try:
                answer = client.post(RANK, json={"question": "back?"})
            except httpx.TransportError as error:
                statuses.append(repr(error))
                continue
            statuses.append(str(answer.status_code))
            if answer.status_code == 200:
                return
            time.sleep(0.2)
    pytest.fail(f"no answer after {RECOVERY_S} s: {statuses[-5:]}")
