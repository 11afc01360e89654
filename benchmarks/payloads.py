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


def questions(
    path: str, texts: Sequence[str], expected: Sequence[Ranking], *, as_list: bool
) -> Payloads:
    """One question a request; `as_list` wraps it for routes that only take lists."""
    bodies = [{"questions": [text]} if as_list else {"question": text} for text in texts]
    requests = tuple(_json_request(path, body) for body in bodies)
    return Payloads(requests, lambda index, body: is_ranking(body, expected[index]))


def expected_rankings(ranker: FaqRanker, texts: Sequence[str]) -> list[Ranking]:
    """The ranker's own answers."""
    return ranker.rank_many(texts, [TOP_K] * len(texts))


def is_ranking(body: bytes, expected: Ranking) -> bool:
    """Whether an answer, or a list of one, has the same best FAQ and the same probabilities."""
    answer = _parse(body)
    if isinstance(answer, list) and len(answer) == 1:
        answer = answer[0]
    matches = answer.get("matches") if isinstance(answer, dict) else None
    if not isinstance(matches, list) or len(matches) != len(expected.matches):
        return False
    try:
        return matches[0]["id"] == expected.matches[0].id and all(
            abs(match["probability"] - right.probability) < TOLERANCE
            for match, right in zip(matches, expected.matches, strict=True)
        )
    except (KeyError, TypeError):
        return False


def raw_pictures(path: str, files: Sequence[Path], expected: Sequence[int]) -> Payloads:
    """One picture a request, as it lies on the disk."""
    requests = tuple(
        request_bytes(path, file.read_bytes(), "application/octet-stream") for file in files
    )
    return Payloads(
        requests,
        lambda index, body: _first_class(_parse(body)) == expected[index],
    )


def base64_pictures(path: str, files: Sequence[Path], expected: Sequence[int]) -> Payloads:
    """One picture a request, as LitServe's example takes it."""
    texts = [base64.b64encode(file.read_bytes()).decode("ascii") for file in files]
    requests = tuple(_json_request(path, {"image_data": text}) for text in texts)
    return Payloads(
        requests,
        lambda index, body: _parse(body) == {"output": expected[index]},
    )


def _first_class(answer: Any) -> int | None:
    try:
        return int(answer["predictions"][0]["class_index"])
    except (KeyError, IndexError, TypeError):
        return None


def _parse(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


def _json_request(path: str, body: Mapping[str, Any]) -> bytes:
    return request_bytes(path, json.dumps(body).encode(), "application/json")
