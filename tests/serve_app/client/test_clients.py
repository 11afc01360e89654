"""Both clients against real servers: the same calls, the same results."""

import asyncio
import inspect
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from deployments.contracts import Refusal
from serve_app.client import (
    AsyncScoringClient,
    Classification,
    DeadlinePassed,
    InvalidRequest,
    RefusedPicture,
    Retries,
    ScoringClient,
    TransportFailed,
    Unavailable,
    Unreachable,
)
from serve_app.errors import Overloaded as Refused
from tests.serve_app.client.server import Served, behaving, free_port, png

ROOT = Path(__file__).parents[3]
Ask = Callable[..., Coroutine[Any, Any, Any]]


@pytest.fixture(params=["sync", "async"])
def ask(request: pytest.FixtureRequest) -> Ask:
    """Calls a method of a new client of one kind."""

    async def asked(url: str, method: str, *arguments: Any, **options: Any) -> Any:
        client_options = {name: options.pop(name) for name in ("key", "retries") if name in options}
        if request.param == "sync":
            with ScoringClient(url, **client_options) as client:
                return await asyncio.to_thread(getattr(client, method), *arguments, **options)
        async with AsyncScoringClient(url, **client_options) as other:
            return await getattr(other, method)(*arguments, **options)

    return asked


async def test_a_question(ask: Ask, served: Served) -> None:
    ranking = await ask(served.url, "rank", "what is a closure", top_k=2)
    assert [match.probability for match in ranking.matches] == [0.9, 0.45]
    assert ranking.matches[0].question == "what is a closure"
    assert ranking.matched
    assert (ranking.model.name, ranking.model.version) == ("faq", "3")
    assert ranking.timing.total_ms > 0
    with pytest.raises(AttributeError):
        ranking.matched = False


async def test_questions_keep_their_order(ask: Ask, served: Served) -> None:
    rankings = await ask(served.url, "rank", ["first", "second"], min_probability=0.5)
    assert [ranking.matches[0].question for ranking in rankings] == ["first", "second"]
    assert [len(ranking.matches) for ranking in rankings] == [1, 1]
    assert await ask(served.url, "rank", []) == ()


async def test_a_picture_from_memory_and_from_a_file(
    ask: Ask, served: Served, tmp_path: Path
) -> None:
    file = tmp_path / "one.png"
    file.write_bytes(png(9))
    for picture, red in [(png(5), 5), (file, 9)]:
        found = await ask(served.url, "classify", picture, top_k=2)
        assert [item.class_index for item in found.predictions] == [red, red + 1]
        assert found.timing.decode_ms is not None
        (same,) = await ask(served.url, "classify", [picture], top_k=2)
        assert same.predictions == found.predictions


async def test_a_refused_picture_leaves_its_neighbours(
    ask: Ask, served: Served, tmp_path: Path
) -> None:
    file = tmp_path / "three.png"
    file.write_bytes(png(3))
    one, two, three = await ask(served.url, "classify", [png(1), b"no picture", file])
    assert isinstance(one, Classification)
    assert isinstance(three, Classification)
    assert (one.predictions[0].class_index, three.predictions[0].class_index) == (1, 3)
    assert isinstance(two, RefusedPicture)
    assert two.code == "not_an_image"
    assert await ask(served.url, "classify", []) == ()


async def test_a_lone_picture_that_is_none(ask: Ask, served: Served) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await ask(served.url, "classify", b"no picture")
    assert (caught.value.code, caught.value.status) == ("not_an_image", 422)


async def test_a_device_without_memory(ask: Ask, served: Served) -> None:
    served.application.image.refuse = lambda _: Refusal("out_of_memory", 60)
    with pytest.raises(Unavailable) as caught:
        await ask(served.url, "classify", png(), timeout_s=5.0)
    assert (caught.value.code, caught.value.retry_after_s) == ("out_of_memory", 60)
    assert len(served.paths) == 1


async def test_ready(ask: Ask, served: Served) -> None:
    ready = await ask(served.url, "ready")
    assert ready.is_ready
    assert [model.name for model in ready.models] == ["faq", "resnet152"]


async def test_an_error_has_all_that_the_service_says(ask: Ask, served: Served) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await ask(served.url, "rank", " ")
    error = caught.value
    assert (error.status, error.code) == (422, "question_empty")
    assert error.request_id
    assert "visible" in error.detail


async def test_what_is_sent_beside_the_question(ask: Ask, served: Served) -> None:
    await ask(served.url + "/", "rank", "why", key="a-secret", timeout_s=4.0)
    await ask(served.url, "rank", "why")
    first, second = served.headers
    assert first["authorization"] == "Bearer a-secret"
    assert 3000 <= int(first["x-request-timeout-ms"]) <= 4000
    assert "authorization" not in second
    assert 29_000 <= int(second["x-request-timeout-ms"]) <= 30_000


async def test_the_environment_is_not_read(
    ask: Ask, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCORING_API_KEY", "from-the-environment")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    await ask(served.url, "rank", "why")
    assert "authorization" not in served.headers[0]


async def test_a_refusal_is_asked_again(ask: Ask, served: Served) -> None:
    served.application.faq.error = Refused("full", retry_after_s=0)
    retries = Retries(refused=100, first_jitter_s=0.01, longest_jitter_s=0.02)
    asking = asyncio.create_task(ask(served.url, "rank", "why", retries=retries))
    while len(served.paths) < 3:
        await asyncio.sleep(0.005)
    served.application.faq.error = None
    assert (await asking).matched


async def test_a_file_that_is_none(ask: Ask, served: Served, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await ask(served.url, "classify", tmp_path / "absent.png")
    with pytest.raises(OSError, match="plain file"):
        await ask(served.url, "classify", tmp_path)
    assert served.paths == []


async def test_nobody_listens(ask: Ask) -> None:
    with pytest.raises(Unreachable):
        await ask(f"http://127.0.0.1:{free_port()}", "rank", "why")


async def test_a_connection_dropped_after_the_request(ask: Ask) -> None:
    seen: list[bytes] = []
    with (
        behaving(lambda connection: seen.append(connection.recv(1 << 16))) as url,
        pytest.raises(TransportFailed) as caught,
    ):
        await ask(url, "rank", "why")
    assert not isinstance(caught.value, Unreachable)
    assert len(seen) == 1


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9999\r\n\r\n"


def test_silence_and_trickles_end_with_the_deadline() -> None:
    """Each read is quick enough for a timeout of httpx; the whole is not."""

    async def timed(ask: Callable[[str], Awaitable[Any]], url: str) -> float:
        started = time.monotonic()
        with pytest.raises(DeadlinePassed):
            await ask(url)
        return time.monotonic() - started

    def blocking(url: str) -> Any:
        with ScoringClient(url) as client:
            return client.rank("why", timeout_s=0.6)

    async def awaiting(url: str) -> Any:
        async with AsyncScoringClient(url) as client:
            return await client.rank("why", timeout_s=0.6)

    over = threading.Event()

    def silent(connection: socket.socket) -> None:
        connection.recv(1 << 16)
        over.wait(1.5)

    def trickling(connection: socket.socket) -> None:
        connection.recv(1 << 16)
        over.wait(0.3)
        connection.sendall(HEAD)
        while not over.wait(0.1):
            connection.sendall(b" ")

    for behaviour in (silent, trickling):
        with behaving(behaviour) as url:
            waited_s = asyncio.run(timed(lambda at: asyncio.to_thread(blocking, at), url))
            assert 0.55 <= waited_s < 2.0
        with behaving(behaviour) as url:
            assert 0.55 <= asyncio.run(timed(awaiting, url)) < 2.0


def test_a_thousand_requests_of_a_blocking_client_use_one_connection(served: Served) -> None:
    with ScoringClient(served.url) as client:
        for number in range(1000):
            client.rank(str(number), top_k=1)
    assert len(served.paths) == 1000
    assert len(served.clients) == 1


async def test_a_thousand_requests_at_once_use_as_many_connections_as_allowed(
    served: Served,
) -> None:
    async with AsyncScoringClient(served.url, connections=5) as client:
        await asyncio.gather(*(client.rank(str(number), top_k=1) for number in range(1000)))
    assert len(served.paths) == 1000
    assert 1 <= len(served.clients) <= 5


async def test_refusals_and_bad_requests_keep_their_connection(served: Served) -> None:
    served.application.faq.error = Refused("full", retry_after_s=0)
    retries = Retries(refused=5, first_jitter_s=0.0, longest_jitter_s=0.0)
    with ScoringClient(served.url, retries=retries) as client:
        for question in ("why", " "):
            with pytest.raises(Exception, match=r"overloaded|question_empty"):
                await asyncio.to_thread(client.rank, question)
    assert len(served.paths) == 7
    assert len(served.clients) == 1


@pytest.mark.parametrize("kind", [ScoringClient, AsyncScoringClient])
def test_the_key_is_never_shown(kind: type[ScoringClient | AsyncScoringClient]) -> None:
    client = kind("http://host/", key="top-secret")
    shown = repr(client) + str(client) + "".join(map(repr, vars(client).values()))
    assert "top-secret" not in shown
    assert "http://host" in repr(client)


@pytest.mark.parametrize("key", ["", "top secret", "top-secret\r\n", "töp-secret"])
def test_a_key_that_is_none(key: str) -> None:
    with pytest.raises(ValueError, match="visible") as caught:
        ScoringClient("http://host", key=key)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["ftp://host", "host:80", "http://", "http://host:port", "", "http://a:b@host"]
)
def test_no_address(url: str) -> None:
    with pytest.raises(ValueError, match="address"):
        AsyncScoringClient(url)


@pytest.mark.parametrize("timeout_s", [0.0, -1.0, float("inf"), float("nan")])
def test_no_time(timeout_s: float) -> None:
    with pytest.raises(ValueError, match="timeout"):
        ScoringClient("http://host", timeout_s=timeout_s)


def test_both_clients_offer_the_same() -> None:
    for name in ("rank", "classify", "ready", "close", "__init__"):
        blocking = inspect.signature(getattr(ScoringClient, name)).parameters
        awaiting = inspect.signature(getattr(AsyncScoringClient, name)).parameters
        assert list(blocking) == list(awaiting)
        assert all(blocking[key].default == awaiting[key].default for key in blocking)


def test_importing_the_client_loads_no_service() -> None:
    heavy = ("ray", "numpy", "starlette", "torch", "sklearn", "PIL", "deployments")
    program = f"import sys, serve_app.client; print([n for n in {heavy!r} if n in sys.modules])"
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert loaded.stdout.strip() == "[]"


@pytest.mark.parametrize("kind", [ScoringClient, AsyncScoringClient])
def test_no_connection_to_have(kind: type[ScoringClient | AsyncScoringClient]) -> None:
    with pytest.raises(ValueError, match="connection"):
        kind("http://host", connections=0)


async def test_an_answer_that_does_not_decode(ask: Ask) -> None:
    garbage = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnone"

    def answering(connection: socket.socket) -> None:
        connection.recv(1 << 16)
        connection.sendall(garbage)

    with behaving(answering) as url, pytest.raises(TransportFailed, match="DecodingError"):
        await ask(url, "rank", "why")
