"""The image routes: every body form, refusals, and each caller's own answer."""

import asyncio
import base64
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from deployments.contracts import Refusal
from serve_app.http.openapi import example_png
from serve_app.http.schemas import ClassifyManyResponse, ClassifyResponse
from serve_app.settings import HttpSettings, ImageSettings
from tests.serve_app.fakes import Application
from tests.serve_app.http.conftest import client_of

CLASSIFY = "/v1/images/classify"


def picture(red: int, size: tuple[int, int] = (8, 8), kind: str = "PNG") -> bytes:
    """A picture of one colour."""
    buffer = io.BytesIO()
    Image.new("RGB", size, (red, 0, 0)).save(buffer, kind)
    return buffer.getvalue()


def truncated() -> bytes:
    """The first half of a photograph-like picture."""
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, "PNG")
    return buffer.getvalue()[: buffer.tell() // 2]


@pytest.mark.parametrize("declared", ["image/png", "image/jpeg", "application/octet-stream"])
async def test_raw_bytes(client: httpx.AsyncClient, declared: str) -> None:
    answer = await client.post(
        CLASSIFY, content=picture(7), headers={"content-type": declared}, params={"top_k": 2}
    )
    classified = ClassifyResponse.model_validate_json(answer.content)
    assert [item.class_index for item in classified.predictions] == [7, 8]
    assert classified.model.name == "resnet152"


async def test_base64(client: httpx.AsyncClient) -> None:
    encoded = base64.b64encode(picture(9)).decode()
    answer = await client.post(CLASSIFY, json={"image": encoded})
    assert answer.json()["predictions"][0]["class_index"] == 9


async def test_one_file_answers_like_raw_bytes(client: httpx.AsyncClient) -> None:
    answer = await client.post(CLASSIFY, files={"anything": ("a.txt", picture(3), "text/plain")})
    assert ClassifyResponse.model_validate_json(answer.content).predictions[0].class_index == 3


async def test_bad_files_stay_alone(client: httpx.AsyncClient) -> None:
    files = [(f"f{red}", (f"{red}.png", picture(red), "image/png")) for red in range(64)]
    files[5] = ("f5", ("5.png", b"no picture", "image/png"))
    files[6] = ("f6", ("6.png", truncated(), "image/png"))
    answer = await client.post(CLASSIFY, files=files)
    assert answer.status_code == 200
    results = ClassifyManyResponse.model_validate_json(answer.content).results
    assert [result.filename for result in results] == [f"{red}.png" for red in range(64)]
    problems = {i: item.problem.code for i, item in enumerate(results) if item.problem}
    assert problems == {5: "not_an_image", 6: "image_truncated"}
    for red, result in enumerate(results):
        assert red in problems or (result.predictions or [])[0].class_index == red


async def test_many_pictures_travel_in_bounded_calls(tmp_path: Path) -> None:
    application = Application(tmp_path)
    async with client_of(application) as client:
        files = [("f", ("a.png", picture(red), "image/png")) for red in range(64)]
        await client.post(CLASSIFY, files=files)
    assert sum(map(len, application.image.calls)) == 64


async def test_only_bad_files(client: httpx.AsyncClient) -> None:
    answer = await client.post(CLASSIFY, files=[("a", b"x"), ("b", b"y")])
    assert answer.status_code == 200
    assert all(result["problem"]["status"] == 422 for result in answer.json()["results"])


async def test_reference_form(client: httpx.AsyncClient) -> None:
    files = {"first": ("a", picture(1)), "second": ("b", picture(2))}
    answer = await client.post("/image/score", files=files)
    scores, note = answer.json()
    assert scores["first"][0] == [1, "class 1", 0.5]
    assert [len(rows) for rows in scores.values()] == [3, 3]
    assert note.startswith("Computed in ")
    assert note.endswith(" ms")


async def test_reference_form_refuses_what_it_cannot_answer(client: httpx.AsyncClient) -> None:
    answer = await client.post("/image/score", files=[("a", picture(1)), ("a", picture(2))])
    assert answer.json()["code"] == "contradictory_fields"
    answer = await client.post("/image/score", files={"a": picture(1), "b": b"no"})
    assert (answer.status_code, answer.json()["field"]) == (422, "b")


REFUSED: dict[str, tuple[dict[str, Any], int, str]] = {
    "no picture": ({"content": b"<html>"}, 422, "not_an_image"),
    "empty": ({"content": b""}, 422, "image_empty"),
    "truncated": ({"content": truncated()}, 422, "image_truncated"),
    "thin": ({"content": picture(1, (1, 21))}, 422, "image_too_extreme_shape"),
    "text": (
        {"content": b"x", "headers": {"content-type": "text/plain"}},
        415,
        "unsupported_media_type",
    ),
    "bad base64": ({"json": {"image": "%%%"}}, 422, "invalid_base64"),
    "no image field": ({"json": {}}, 422, "missing_field"),
    "other field": ({"json": {"image": "", "x": 1}}, 422, "unknown_field"),
    "not JSON": (
        {"content": b"{", "headers": {"content-type": "application/json"}},
        400,
        "malformed_json",
    ),
    "top_k 0": ({"content": picture(1), "params": {"top_k": "0"}}, 422, "out_of_range"),
    "top_k 1001": ({"content": picture(1), "params": {"top_k": "1001"}}, 422, "out_of_range"),
    "top_k --5": ({"content": picture(1), "params": {"top_k": "--5"}}, 422, "invalid_field"),
    "top_k twice": (
        {"content": picture(1), "params": {"top_k": ["1", "2"]}},
        422,
        "contradictory_fields",
    ),
    "unknown parameter": ({"content": picture(1), "params": {"k": "1"}}, 422, "unknown_field"),
    "no file": ({"files": {"a": (None, b"text")}}, 422, "unknown_field"),
    "too many files": ({"files": [("f", b"x")] * 65}, 422, "out_of_range"),
    "no boundary": (
        {"content": b"x", "headers": {"content-type": "multipart/form-data"}},
        422,
        "invalid_multipart",
    ),
    "not multipart": (
        {"content": b"x", "headers": {"content-type": "multipart/form-data; boundary=b"}},
        422,
        "invalid_multipart",
    ),
    "cut multipart": (
        {
            "content": b'--b\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\nabc',
            "headers": {"content-type": "multipart/form-data; boundary=b"},
        },
        422,
        "invalid_multipart",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_refused(name: str, application: Application, client: httpx.AsyncClient) -> None:
    request, status, code = REFUSED[name]
    request = (
        {"headers": {"content-type": "image/png"}, **request} if "content" in request else (request)
    )
    answer = await client.post(CLASSIFY, **request)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert application.image.calls == []


async def test_limits_of_pictures(tmp_path: Path) -> None:
    application = Application(tmp_path, http=HttpSettings(image_limit_bytes=200))
    large = picture(1) + b"\0" * 300
    headers = {"content-type": "image/png"}
    async with client_of(application) as client:
        raw = await client.post(CLASSIFY, content=large, headers=headers)
        one = await client.post(CLASSIFY, files={"a": large})
        two = await client.post(CLASSIFY, files=[("a", large), ("b", picture(2))])
    assert (raw.status_code, one.status_code, two.status_code) == (413, 413, 200)
    assert two.json()["results"][0]["problem"]["code"] == "body_too_large"
    assert two.json()["results"][1]["predictions"][0]["class_index"] == 2


async def test_missing_model_says_how_to_supply_it(tmp_path: Path) -> None:
    application = Application(tmp_path, image_missing="start with image.weights=/path/to/file.pth")
    async with client_of(application) as client:
        answer = await client.post(
            CLASSIFY, content=example_png(), headers={"content-type": "image/png"}
        )
        ranked = await client.post("/v1/faq/rank", json={"question": "q"})
        ready = await client.get("/readyz")
        ready_image = await client.get("/readyz/image")
    assert (answer.status_code, answer.json()["code"]) == (503, "model_unavailable")
    assert "image.weights=" in answer.json()["detail"]
    assert ranked.status_code == 200
    assert ready.status_code == 200
    assert ready.json()["models"][1]["state"] == "unavailable"
    assert ready_image.status_code == 503


async def test_full_queue(application: Application, client: httpx.AsyncClient) -> None:
    application.image.refuse = lambda _: Refusal("overloaded", 7)
    answer = await client.post(CLASSIFY, content=picture(1), headers={"content-type": "image/png"})
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")


async def test_an_idle_service_answers_more_files_than_it_takes_on_at_a_time(
    tmp_path: Path,
) -> None:
    application = Application(tmp_path, image=ImageSettings(max_batch_size=1, max_queue=1))
    files = [("f", ("a.png", picture(red), "image/png")) for red in range(64)]
    async with client_of(application) as client:
        answer = await client.post(CLASSIFY, files=files)
    results = ClassifyManyResponse.model_validate_json(answer.content).results
    assert [(item.predictions or [])[0].class_index for item in results] == list(range(64))


class Unread:
    """A body that must not be asked for."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        raise AssertionError("the body was asked for")


async def test_an_overloaded_service_refuses_before_it_reads_the_body(tmp_path: Path) -> None:
    application = Application(tmp_path, image=ImageSettings(max_batch_size=1, max_queue=1))
    application.image.gate = asyncio.Event()
    headers = {"content-type": "image/png"}

    async with client_of(application) as client:
        held = [
            asyncio.create_task(client.post(CLASSIFY, content=picture(red), headers=headers))
            for red in range(2)
        ]
        while len(application.image.calls) < 2:
            await asyncio.sleep(0.001)
        answer = await client.post(CLASSIFY, content=Unread(), headers=headers)
        application.image.gate.set()
        answered = await asyncio.gather(*held)
    assert (answer.status_code, answer.json()["code"]) == (429, "overloaded")
    assert int(answer.headers["retry-after"]) >= 1
    assert [item.status_code for item in answered] == [200, 200]


async def test_no_memory_on_the_device(application: Application, client: httpx.AsyncClient) -> None:
    application.image.refuse = lambda item: (
        Refusal("out_of_memory", 3) if item.pixels[0, 0, 0] == 1 else None
    )
    files = [("a", picture(1)), ("b", picture(2))]
    several = await client.post(CLASSIFY, files=files)
    one = await client.post(CLASSIFY, content=picture(1), headers={"content-type": "image/png"})
    results = several.json()["results"]
    assert (results[0]["problem"]["status"], results[0]["problem"]["code"]) == (
        503,
        "out_of_memory",
    )
    assert results[1]["predictions"][0]["class_index"] == 2
    assert (one.status_code, one.headers["retry-after"]) == (503, "3")
