"""What is kept of payloads where a share of them is captured, and that it is off by default."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from serve_app.capture import Capture
from serve_app.errors import ImageTruncated
from serve_app.http.face import RequestRecord
from serve_app.http.openapi import example_png
from serve_app.request_log import RequestLog
from serve_app.settings import CaptureSettings
from tests.serve_app.fakes import Application
from tests.serve_app.http.conftest import client_of

ALL = CaptureSettings(sample_ratio=1)


def kept(application: Application) -> list[dict[str, Any]]:
    return [json.loads(line) for line in application.capture_file.read_text().splitlines()]


async def test_nothing_is_kept_unless_asked_for(tmp_path: Path) -> None:
    application = Application(tmp_path)
    async with client_of(application) as client:
        await client.post("/v1/faq/rank", json={"question": "q"})
    assert not application.capture_file.parent.exists()
    assert Capture.of(CaptureSettings(), application.capture_file) is None


async def test_questions_are_kept_redacted_with_what_was_found(tmp_path: Path) -> None:
    application = Application(tmp_path, capture=ALL)
    async with client_of(application) as client:
        body = {"questions": ["why a@b.ch?", "call 044 123 45 67"], "top_k": 2}
        await client.post("/v1/faq/rank", json=body, headers={"x-request-id": "r1"})
        await client.post("/v1/faq/rank", json={"question": "one", "top_k": 1})
        await client.post("/faq/score", json={"input": "two"})
    many, one, score = kept(application)
    found = [["Q0", "A0", 0.9], ["Q1", "A1", 0.45]]
    assert many.pop("time") > 0
    assert many == {
        "request_id": "r1",
        "route": "/v1/faq/rank",
        "model": "faq",
        "version": "3",
        "items": [
            {"question": question, "matched": True, "matches": found}
            for question in ("why <email>", "call <number>")
        ],
    }
    assert one["items"] == [{"question": "one", "matched": True, "matches": [["Q0", "A0", 0.9]]}]
    assert score["items"][0]["matches"][0] == ["Q0", "A0", 0.9]
    assert application.capture_file.stat().st_mode & 0o777 == 0o600


async def test_of_pictures_no_pixel_and_no_name_is_kept(tmp_path: Path) -> None:
    application = Application(tmp_path, capture=ALL)
    png = example_png()
    files = [("a", ("my name.png", png)), ("b", ("b.png", b"no picture"))]
    async with client_of(application) as client:
        await client.post("/v1/images/classify", files=files)
    (line,) = kept(application)
    good, bad = line["items"]
    assert good.pop("predictions")[0]["probability"] == 0.5
    assert good == {"bytes": len(png), "format": "png", "sha256": hashlib.sha256(png).hexdigest()}
    assert bad["code"] == "not_an_image"
    assert (bad["format"], bad["bytes"]) == (None, 10)
    assert "my name" not in application.capture_file.read_text()


def test_the_share_decides(tmp_path: Path) -> None:
    log = RequestLog(tmp_path / "kept", max_bytes=1 << 20, files=1)
    chances = iter((0.0, 0.24, 0.25, 0.9))
    capture = Capture(log, 0.25, lambda: next(chances))
    for number in range(4):
        capture.questions(RequestRecord(str(number), "POST"), [], [])
    lines = (tmp_path / "kept").read_text().splitlines()
    assert [json.loads(line)["request_id"] for line in lines] == ["0", "1"]


def test_a_rotated_file_is_as_private(tmp_path: Path) -> None:
    path = tmp_path / "captured" / "payloads.jsonl"
    capture = Capture.of(CaptureSettings(sample_ratio=1, max_bytes=4096), path)
    assert capture is not None
    for _ in range(600):
        capture.questions(RequestRecord("r", "POST"), [], [])
    modes = {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()}
    assert modes.keys() >= {path.name, f"{path.name}.1"}
    assert set(modes.values()) == {0o600}


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        (b"\xff\xd8\xff\xe0", "jpeg"),
        (b"GIF89a", "gif"),
        (b"RIFF\0\0\0\0WEBP", "webp"),
        (b"", None),
    ],
)
def test_formats(tmp_path: Path, start: bytes, expected: str | None) -> None:
    path = tmp_path / "captured" / "payloads.jsonl"
    capture = Capture.of(ALL, path)
    assert capture is not None
    capture.pictures(RequestRecord("r", "POST"), [start], [ImageTruncated("cut")])
    (item,) = json.loads(path.read_text())["items"]
    assert (item["format"], item["code"]) == (expected, "image_truncated")
