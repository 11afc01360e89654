"""`X-Request-Timeout-Ms` on every scoring route: read, refused, capped, kept."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serve_app.errors import DeadlinePassed
from serve_app.http.deadlines import TIMEOUT_HEADER, arrived
from serve_app.http.openapi import example_png
from serve_app.settings import HttpSettings
from tests.serve_app.fakes import Application
from tests.serve_app.http.conftest import client_of

PNG = {"content-type": "image/png"}
ROUTES: dict[str, dict[str, Any]] = {
    "/v1/faq/rank": {"json": {"question": "q"}},
    "/faq/score": {"json": {"input": "q"}},
    "/v1/images/classify": {"content": example_png(), "headers": PNG},
    "/image/score": {"files": {"a": example_png()}},
}


async def post(client: httpx.AsyncClient, route: str, *timeouts: str) -> httpx.Response:
    request = dict(ROUTES[route])
    given_headers = [*request.pop("headers", {}).items()]
    headers = [*given_headers, *((TIMEOUT_HEADER.lower(), value) for value in timeouts)]
    return await client.post(route, headers=headers, **request)


@pytest.mark.parametrize("route", ROUTES)
async def test_enough_time(client: httpx.AsyncClient, route: str) -> None:
    for value in ("20000", "999999999999"):
        assert (await post(client, route, value)).status_code == 200


@pytest.mark.parametrize("route", ROUTES)
async def test_too_little_time(
    application: Application, client: httpx.AsyncClient, route: str
) -> None:
    application.faq.gate = application.image.gate = asyncio.Event()
    answer = await post(client, route, "20")
    assert (answer.status_code, answer.json()["code"]) == (504, "deadline_passed")


@pytest.mark.parametrize("route", ROUTES)
async def test_no_more_time_than_the_setting(tmp_path: Path, route: str) -> None:
    application = Application(tmp_path, http=HttpSettings(deadline_s=0.02))
    application.faq.gate = application.image.gate = asyncio.Event()
    async with client_of(application) as client:
        answer = await post(client, route, "60000")
    assert (answer.status_code, answer.json()["code"]) == (504, "deadline_passed")


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(
    ("values", "code"),
    [
        (["soon"], "invalid_field"),
        ([""], "invalid_field"),
        (["1.5"], "invalid_field"),
        (["1e3"], "invalid_field"),
        (["0"], "out_of_range"),
        (["-5"], "out_of_range"),
        (["5", "6"], "contradictory_fields"),
    ],
)
async def test_what_is_no_time(
    application: Application, client: httpx.AsyncClient, route: str, values: list[str], code: str
) -> None:
    answer = await post(client, route, *values)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (422, code)
    assert problem["field"] == "X-Request-Timeout-Ms"
    assert (application.faq.calls, application.image.calls) == ([], [])


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(value=st.binary(max_size=30))
async def test_no_header_makes_the_service_fail(application: Application, value: bytes) -> None:
    headers = [(b"content-type", b"image/png"), (TIMEOUT_HEADER.encode(), value)]
    async with client_of(application) as client:
        answer = await client.post(
            "/v1/images/classify", content=example_png(), headers=dict(headers)
        )
    assert answer.status_code in (200, 422, 504)


@pytest.mark.parametrize(
    ("route", "declared"),
    [
        ("/v1/faq/rank", "application/json"),
        ("/faq/score", "application/json"),
        ("/v1/images/classify", "application/json"),
        ("/v1/images/classify", "image/png"),
        ("/v1/images/classify", "multipart/form-data; boundary=b"),
        ("/image/score", "multipart/form-data; boundary=b"),
    ],
)
async def test_a_body_that_does_not_end_is_cut_off(
    application: Application, client: httpx.AsyncClient, route: str, declared: str
) -> None:
    async def endless() -> AsyncIterator[bytes]:
        yield b"--b\r\n"
        await asyncio.Event().wait()

    answer = await client.post(
        route, content=endless(), headers={"content-type": declared, TIMEOUT_HEADER: "20"}
    )
    assert (answer.status_code, answer.json()["code"]) == (504, "deadline_passed")
    assert "body" in answer.json()["detail"]
    assert (application.faq.calls, application.image.calls) == ([], [])


class Body:
    """Reads in `waits` steps, and notes how its reading ended."""

    def __init__(self, waits: int, error: Exception | None = None) -> None:
        self._waits = waits
        self._error = error
        self.ended: BaseException | None = None

    async def read(self) -> int:
        try:
            for _ in range(self._waits):
                await asyncio.sleep(0.001)
        except BaseException as error:
            self.ended = error
            await asyncio.sleep(0)  # as files are closed
            raise
        if self._error is not None:
            raise self._error
        return self._waits


def in_s(seconds: float) -> float:
    return asyncio.get_running_loop().time() + seconds


class TestArrived:
    @pytest.mark.parametrize("waits", [0, 1, 2, 7])
    async def test_what_arrives_is_returned(self, waits: int) -> None:
        assert await arrived(Body(waits).read(), in_s(60)) == waits

    @pytest.mark.parametrize("waits", [0, 1, 2])
    async def test_the_errors_of_reading_are_passed_on(self, waits: int) -> None:
        with pytest.raises(KeyError):
            await arrived(Body(waits, KeyError("part")).read(), in_s(60))

    async def test_at_the_deadline_the_reading_ends_and_clears_away(self) -> None:
        body = Body(10_000)
        with pytest.raises(DeadlinePassed):
            await arrived(body.read(), in_s(0.02))
        assert isinstance(body.ended, asyncio.CancelledError)

    async def test_a_caller_who_leaves_ends_the_reading(self) -> None:
        body = Body(10_000)
        task = asyncio.create_task(arrived(body.read(), in_s(60)))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert isinstance(body.ended, asyncio.CancelledError)
