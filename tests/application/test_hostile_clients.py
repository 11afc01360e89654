"""Clients that mean harm, against the real service: raw sockets on both of its doors."""

import contextlib
import json
import resource
import socket
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from tests.application.service import Service, scoring, serving

PORT = 8134
DEADLINE_S = 3
HEAD_S, LINGER_S = 10, 5
MARGIN_S = 5
IDLE = 1000
QUESTION = b'{"question": "what is a closure", "top_k": 1}'
RANK = b"POST /v1/faq/rank HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n"


@pytest.fixture(scope="module")
def hostile(data_dir: Path, shared: Path) -> Iterator[Service]:
    """A service that gives requests 3 seconds."""
    command = scoring(
        "serve",
        f"data_dir={data_dir}",
        f"http.port={PORT}",
        f"http.deadline_s={DEADLINE_S}",
        "image.architecture=mobilenet_v2",
        f"image.weights={shared / 'weights' / 'mobilenet_v2.pth'}",
    )
    with serving(command, port=PORT, folder=data_dir) as service:
        yield service


@pytest.fixture(scope="module")
def replica_port(hostile: Service) -> int:
    """The Router's own port, which bypasses the proxy."""
    (router,) = hostile.replicas("Router")
    listening = [item for item in router.net_connections("tcp") if item.status == "LISTEN"]
    return min(item.laddr.port for item in listening if 30000 <= item.laddr.port <= 31000)


@pytest.fixture(params=["proxy", "replica"])
def port(request: pytest.FixtureRequest, hostile: Service, replica_port: int) -> int:
    """Each door in turn."""
    return PORT if request.param == "proxy" else replica_port


def connect(port: int, sent: bytes = b"") -> socket.socket:
    """A connection that has sent some bytes."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=30)
    connection.sendall(sent)
    return connection


def answer(port: int, sent: bytes) -> tuple[int, bytes]:
    """Status and body of the answer to raw bytes, whose connection is then closed."""
    with connect(port, sent) as connection:
        return parsed(everything(connection))


def everything(connection: socket.socket) -> bytes:
    """What comes until the connection ends."""
    received = b""
    with contextlib.suppress(ConnectionError):
        while part := connection.recv(65536):
            received += part
    return received


def parsed(received: bytes) -> tuple[int, bytes]:
    """Status and body."""
    head, _, body = received.partition(b"\r\n\r\n")
    return int(head.split()[1]) if head else 0, body


def dribble(port: int, start: bytes, drop: bytes, limit_s: float) -> tuple[float, bytes]:
    """Seconds until the connection ends that gets `drop` twice a second, and what came of it."""
    started = time.monotonic()
    received = b""
    with connect(port, start) as connection:
        connection.settimeout(0.5)
        while time.monotonic() - started < limit_s:
            try:
                connection.sendall(drop)
                part = connection.recv(65536)
            except TimeoutError:
                continue
            except ConnectionError:
                break
            if not part:
                break
            received += part
    return time.monotonic() - started, received


def test_a_head_that_dribbles_is_cut_off(hostile: Service) -> None:
    took_s, _ = dribble(PORT, b"GET /healthz HTTP/1.1\r\nx: ", b"a", HEAD_S + 2 * MARGIN_S)
    assert took_s < HEAD_S + MARGIN_S


@pytest.mark.parametrize(
    ("head", "drop"),
    [(b"content-length: 1000", b"x"), (b"transfer-encoding: chunked", b"1\r\nx\r\n")],
)
def test_a_body_that_dribbles_is_cut_off(port: int, head: bytes, drop: bytes) -> None:
    limit_s = DEADLINE_S + LINGER_S + MARGIN_S
    took_s, received = dribble(port, RANK + head + b"\r\n\r\n", drop, limit_s + MARGIN_S)
    status, body = parsed(received)
    assert (status, json.loads(body)["code"]) == (504, "deadline_passed")
    assert took_s < limit_s


@pytest.mark.parametrize("line", [b"POST /nothing", b"GET /healthz", b"POST /image/score"])
def test_a_body_that_nobody_wants_is_cut_off(port: int, line: bytes) -> None:
    start = line + b" HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"
    took_s, received = dribble(port, start, b"1\r\nx\r\n", LINGER_S + 2 * MARGIN_S)
    assert parsed(received)[0] in (404, 200, 415)
    assert took_s < LINGER_S + MARGIN_S


def test_a_body_that_never_comes(port: int) -> None:
    started = time.monotonic()
    status, _ = answer(port, RANK + b"content-length: 1000\r\n\r\n")
    assert status == 504
    assert time.monotonic() - started < DEADLINE_S + LINGER_S + MARGIN_S


def test_idle_connections_starve_nobody(hostile: Service) -> None:
    _allow_files(2 * IDLE + 500)
    with hostile.client() as client:
        alone = _median_s(client)
        before = _memory(hostile)
        with contextlib.ExitStack() as stack:
            for number in range(IDLE):
                begun = RANK if number % 2 else b""
                stack.enter_context(connect(PORT, begun))
            beside = _median_s(client)
            grown = _memory(hostile) - before
    assert beside < 3 * alone + 0.01
    assert grown < 200 << 20


@pytest.mark.parametrize(
    ("header", "status", "code"),
    [
        (b"x-large: " + b"x" * 20_000, 431, "headers_too_large"),
        (b"content-encoding: gzip", 415, "unsupported_media_type"),
        (b"trailer: x", 400, "header_not_allowed"),
        (b"proxy-connection: keep-alive", 400, "header_not_allowed"),
        (b"connection: x-request-id", 400, "header_not_allowed"),
        (
            b"connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n"
            b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
            400,
            "header_not_allowed",
        ),
    ],
)
@pytest.mark.parametrize("path", [b"/healthz", b"/faq/score"])
def test_refused_heads(port: int, path: bytes, header: bytes, status: int, code: str) -> None:
    end = b"\r\nconnection: close\r\n\r\n" if b"connection" not in header else b"\r\n\r\n"
    with connect(port, b"GET " + path + b" HTTP/1.1\r\nhost: a\r\n" + header + end) as connection:
        connection.settimeout(2)
        received = b""
        with contextlib.suppress(TimeoutError, ConnectionError):
            while part := connection.recv(65536):
                received += part
    got, body = parsed(received)
    assert (got, json.loads(body)["code"]) == (status, code)


@pytest.mark.parametrize(
    "header",
    [
        b"x-request-timeout-seconds: 0",
        b"X-Request-Disconnect-Disabled: ?1",
        b"x-session-id: \xff",
        b"serve_multiplexed_model_id: \xff",
        b"x-request-id: \xff",
        b"x-request-id: " + b"x" * 500,
        b"connection: te\r\nte: trailers",
        b"connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQCAAAA",
    ],
)
@pytest.mark.parametrize("path", [b"/v1/faq/rank", b"/readyz"])
def test_heads_that_change_nothing(port: int, path: bytes, header: bytes) -> None:
    method, body = (b"POST", QUESTION) if b"faq" in path else (b"GET", b"")
    length = str(len(body)).encode()
    close = b"" if b"connection" in header else b"connection: close\r\n"
    start = method + b" " + path + b" HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n"
    sent = start + header + b"\r\n" + close + b"content-length: " + length + b"\r\n\r\n" + body
    with connect(port, sent) as connection:
        assert parsed(connection.recv(65536))[0] == 200


@pytest.mark.parametrize(
    "header",
    [
        b"x-large: " + b"x" * 100_000,
        b"content-length: x",
        b"content-length: 1\r\ncontent-length: 2",
        b"bad header: x",
        b": x",
    ],
)
def test_what_is_not_http_is_a_400(port: int, header: bytes) -> None:
    start = b"POST /v1/faq/rank HTTP/1.1\r\nhost: a\r\nconnection: close\r\n"
    assert answer(port, start + header + b"\r\n\r\n")[0] in (400, 431)


def _allow_files(number: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < number:
        pytest.skip(f"this machine allows {hard} open files, {number} are needed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, number), hard))


def _median_s(client: httpx.Client, questions: int = 200) -> float:
    times = []
    for _ in range(questions):
        started = time.perf_counter()
        response = client.post("/v1/faq/rank", content=QUESTION)
        times.append(time.perf_counter() - started)
        assert response.status_code == 200
    return statistics.median(times)


def _memory(service: Service) -> int:
    router = service.replicas("Router")
    proxies = [item for item in service.started() if item.name() == "haproxy"]
    return sum(psutil.Process(item.pid).memory_info().rss for item in (*router, *proxies))
