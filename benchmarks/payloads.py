"""What is sent: test questions of a corpus, or photographs, and the answers that are right."""

import base64
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.environments import ROOT
from benchmarks.load import request_bytes
from benchmarks.servers import Form, Server
from deployments.faq.corpus import JAVASCRIPT, Corpus, load_corpus
from deployments.faq.ranker import FaqRanker, Ranking

TOP_K = 10
TOLERANCE = 1e-4
"""Largest difference of a probability between servers of one model (float32, other batches)."""


@dataclass(frozen=True)
class Payloads:
    """Requests ready to send and the check of an answer to each."""

    requests: tuple[bytes, ...]
    check: Callable[[int, bytes], bool]


def shared_data() -> Path:
    """The folder with Banking77 and the photographs, which may be absent."""
    return Path(os.environ.get("SCORING_SHARED_DATA", ROOT.parent / "shared")) / "data"


def corpus() -> tuple[Corpus, Path, str]:
    """Banking77 or, where it is absent, the embedded corpus; with its folder and a word on it."""
    folder = shared_data() / "faq" / "banking77"
    if folder.is_dir():
        return load_corpus(folder), folder, "Banking77's test questions"
    note = "Banking77 is absent: the embedded JavaScript corpus' test questions stand in for it"
    return load_corpus(JAVASCRIPT), JAVASCRIPT, note


def photographs() -> list[Path]:
    """The labelled photographs; none where they are absent."""
    return sorted((shared_data() / "images" / "labelled").glob("*.png"))


def questions(server: Server, texts: Sequence[str], expected: Sequence[Ranking]) -> Payloads:
    """One question a request, in the server's own form."""
    requests = tuple(_json_request(server.path, _question(server.form, text)) for text in texts)
    return Payloads(requests, lambda index, body: is_ranking(server.form, body, expected[index]))


def expected_rankings(ranker: FaqRanker, texts: Sequence[str]) -> list[Ranking]:
    """The ranker's own answers."""
    return ranker.rank_many(texts, [TOP_K] * len(texts))


def is_ranking(form: Form, body: bytes, expected: Ranking) -> bool:
    """Whether an answer has the expected best FAQ, and the same probability at every rank."""
    try:
        matches = _ranking(form, json.loads(body))["matches"]
        return (
            len(matches) == len(expected.matches)
            and matches[0]["id"] == expected.matches[0].id
            and all(
                abs(match["probability"] - right.probability) < TOLERANCE
                for match, right in zip(matches, expected.matches, strict=True)
            )
        )
    except (ValueError, LookupError, TypeError):
        return False


def pictures(server: Server, files: Sequence[Path], expected: Sequence[int]) -> Payloads:
    """One picture a request: as it lies on the disk, or as LitServe's example takes it."""
    requests = tuple(_picture(server, file.read_bytes()) for file in files)
    return Payloads(requests, lambda index, body: is_class(server.form, body, expected[index]))


def is_class(form: Form, body: bytes, expected: int) -> bool:
    """Whether an answer names the expected class first."""
    try:
        answer = json.loads(body)
        if form == "base64":
            return bool(answer["output"] == expected)
        return bool(answer["predictions"][0]["class_index"] == expected)
    except (ValueError, LookupError, TypeError):
        return False


def _question(form: Form, text: str) -> dict[str, Any]:
    if form == "list":
        return {"questions": [text]}
    if form == "tensor":
        tensor = {"name": "question", "shape": [1, 1], "datatype": "BYTES", "data": [text]}
        return {"inputs": [tensor]}
    return {"question": text}


def _ranking(form: Form, answer: Any) -> Any:
    if form == "list":
        return answer[0]
    if form == "tensor":
        return json.loads(answer["outputs"][0]["data"][0])
    return answer


def _picture(server: Server, content: bytes) -> bytes:
    if server.form == "base64":
        text = base64.b64encode(content).decode("ascii")
        return _json_request(server.path, {"image_data": text})
    return request_bytes(server.path, content, "application/octet-stream")


def _json_request(path: str, body: Mapping[str, Any]) -> bytes:
    return request_bytes(path, json.dumps(body).encode(), "application/json")
