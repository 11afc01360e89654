"""Payloads kept for later study: a sampled share of the requests, one JSON object a line.

Off unless a share is set. Questions are kept redacted; of a picture its size, format and sha256,
never a pixel, and never a file name, a header, a key or who asked.
"""

import hashlib
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import orjson

from deployments.contracts import ModelIdentity
from serve_app.faq_gateway import Ranked
from serve_app.http.face import RequestRecord
from serve_app.image_gateway import Classified
from serve_app.redaction import redacted
from serve_app.request_log import RequestLog
from serve_app.settings import CaptureSettings

MOST_MATCHES = 10
"""Matches that are kept of one question."""

SIGNATURES = (
    (b"\xff\xd8\xff", "jpeg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"GIF8", "gif"),
    (b"BM", "bmp"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
)


class Capture:
    """Keeps what was asked and answered of a share of the requests."""

    def __init__(self, log: RequestLog, ratio: float, chance: Callable[[], float] = random.random):
        self._log = log
        self._ratio = ratio
        self._chance = chance

    @classmethod
    def of(cls, settings: CaptureSettings, path: Path) -> "Capture | None":
        """The capture that the settings ask for; the file is readable by its owner alone."""
        if settings.sample_ratio == 0:
            return None
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        log = RequestLog(path, max_bytes=settings.max_bytes, files=settings.files, mode=0o600)
        return cls(log, settings.sample_ratio)

    def questions(
        self, record: RequestRecord, questions: Sequence[str], ranked: Sequence[Ranked]
    ) -> None:
        """Keeps the questions of one request, redacted, and the ids and probabilities found."""
        if self._chance() >= self._ratio:
            return
        items = [
            {"question": redacted(question), "matched": item.ranking.matched, "matches": _ids(item)}
            for question, item in zip(questions, ranked, strict=True)
        ]
        self._write(record, ranked[0].model if ranked else None, items)

    def pictures(
        self, record: RequestRecord, files: Sequence[bytes], results: Sequence[Any]
    ) -> None:
        """Keeps what the pictures of one request were, and what was predicted or went wrong."""
        if self._chance() >= self._ratio:
            return
        items = [
            {**_picture(file), **_result(result)}
            for file, result in zip(files, results, strict=True)
        ]
        model = next((item.model for item in results if isinstance(item, Classified)), None)
        self._write(record, model, items)

    def _write(
        self, record: RequestRecord, model: ModelIdentity | None, items: list[dict[str, Any]]
    ) -> None:
        self._log.write(
            {
                "time": time.time(),
                "request_id": record.request_id,
                "route": record.route,
                "model": model and model.name,
                "version": model and model.version,
                "items": items,
            }
        )


def _ids(ranked: Ranked) -> list[list[Any]]:
    """FAQ id, answer id and probability of the best matches, in whichever form they are encoded."""
    return [_row(match) for match in orjson.loads(ranked.ranking.matches)[:MOST_MATCHES]]


def _row(match: Any) -> list[Any]:
    if isinstance(match, dict):
        return [match["id"], match["answer_id"], match["probability"]]
    return list(match)


def _picture(file: bytes) -> dict[str, Any]:
    return {
        "bytes": len(file),
        "format": _format(file),
        "sha256": hashlib.sha256(file).hexdigest(),
    }


def _format(file: bytes) -> str | None:
    if file[:4] == b"RIFF" and file[8:12] == b"WEBP":
        return "webp"
    return next((name for start, name in SIGNATURES if file.startswith(start)), None)


def _result(result: Any) -> dict[str, Any]:
    if isinstance(result, Classified):
        return {"predictions": orjson.Fragment(result.predictions)}
    return {"code": result.code}
