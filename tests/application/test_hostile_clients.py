"""Clients that mean harm, against the real service: raw sockets on both of its doors.

Those that take their time all do so at once, in `held`.
"""

import contextlib
import json
import re
import resource
import socket
import statistics
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest

from tests.application.service import Service, scoring, serving

PORT = 8134
DEADLINE_S = 3
HEAD_S, SILENT_S, LINGER_S = 10, 6, 5
MARGIN_S = 5
LONGEST_S = 20
UNBOUNDED = ("replica", "head")
IDLE = 1000
DOORS = ("proxy", "replica")
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
    environment = {"RAY_SERVE_HAPROXY_TIMEOUT_CLIENT_S": str(SILENT_S)}
    with serving(command, port=PORT, folder=data_dir, environment=environment) as service:
        yield service


@pytest.fixture(scope="module")
def replica_port(hostile: Service) -> int:
    """The Router's own port, which bypasses the proxy."""
    (router,) = hostile.replicas("Router")
    listening = [item for item in router.net_connections("tcp") if item.status == "LISTEN"]
    return min(item.laddr.port for item in listening if 30000 <= item.laddr.port <= 31000)


@pytest.fixture(params=DOORS)
def port(request: pytest.FixtureRequest, hostile: Service, replica_port: int) -> int:
    """Each door in turn."""
    return PORT if request.param == "proxy" else replica_port


def connect(port: int, sent: bytes = b"") -> socket.socket:
    """A connection that has sent some bytes."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=30)
    connection.sendall(sent)
    return connection


def answer(port: int, sent: bytes) -> tuple[int, bytes]:
    """Status and body of the answer to raw bytes."""
    received = b""
    with connect(port, sent) as connection, contextlib.suppress(ConnectionError):
        while not _is_whole(received) and (part := connection.recv(65536)):
            received += part
    return parsed(received)


def _is_whole(received: bytes) -> bool:
    head, end, body = received.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head.lower())
    return bool(end) and length is not None and len(body) >= int(length[1])


def parsed(received: bytes) -> tuple[int, bytes]:
    """Status and body."""
    head, _, body = received.partition(b"\r\n\r\n")
    return int(head.split()[1]) if head else 0, body


@dataclass(frozen=True)
class Attack:
    """What a connection begins with, and what it sends twice a second from then on."""

    start: bytes
    drop: bytes = b""


@dataclass(frozen=True)
class Held:
    """How long an attack kept its connection, and what came of it."""

    seconds: float
    received: bytes


CHUNK = b"1\r\nx\r\n"
CHUNKED = b" HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"
ATTACKS = {
    "head": Attack(b"GET /healthz HTTP/1.1\r\nx: ", b"a"),
    "body": Attack(RANK + b"content-length: 1000\r\n\r\n", b"x"),
    "chunks": Attack(RANK + b"transfer-encoding: chunked\r\n\r\n", CHUNK),
    "silence": Attack(RANK + b"content-length: 1000\r\n\r\n"),
    "unwanted 404": Attack(b"POST /nothing" + CHUNKED, CHUNK),
    "unwanted 200": Attack(b"GET /healthz" + CHUNKED, CHUNK),
    "unwanted 415": Attack(b"POST /image/score" + CHUNKED, CHUNK),
}


def hold(port: int, attack: Attack) -> Held:
    """Keeps a connection for as long as it lasts."""
    started = time.monotonic()
    received = b""
    with connect(port, attack.start) as connection:
        connection.settimeout(0.5)
        while time.monotonic() - started < LONGEST_S:
            try:
                connection.sendall(attack.drop)
                part = connection.recv(65536)
            except TimeoutError:
                continue
            except ConnectionError:
                break
            if not part:
                break
            received += part
    return Held(time.monotonic() - started, received)


@pytest.fixture(scope="module")
def held(hostile: Service, replica_port: int) -> Mapping[tuple[str, str], Held]:
    """All attacks on both doors, at once; uvicorn has no deadline for heads."""
    ports = {"proxy": PORT, "replica": replica_port}
    pairs = [(door, name) for door in DOORS for name in ATTACKS if (door, name) != UNBOUNDED]
    with ThreadPoolExecutor(len(pairs)) as threads:
        results = threads.map(lambda pair: hold(ports[pair[0]], ATTACKS[pair[1]]), pairs)
        return dict(zip(pairs, results, strict=True))


def test_a_head_that_dribbles_is_cut_off(held: Mapping[tuple[str, str], Held]) -> None:
    assert held["proxy", "head"].seconds < HEAD_S + MARGIN_S


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("name", ["body", "chunks", "silence"])
def test_a_body_that_never_ends_is_cut_off(
    held: Mapping[tuple[str, str], Held], door: str, name: str
) -> None:
    result = held[door, name]
    status, body = parsed(result.received)
    assert (status, json.loads(body)["code"]) == (504, "deadline_passed")
    assert result.seconds < DEADLINE_S + max(LINGER_S, SILENT_S) + MARGIN_S


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("status", [404, 200, 415])
def test_a_body_that_nobody_wants_is_cut_off(
    held: Mapping[tuple[str, str], Held], door: str, status: int
) -> None:
    result = held[door, f"unwanted {status}"]
    assert parsed(result.received)[0] == status
    assert result.seconds < LINGER_S + MARGIN_S


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
    got, body = answer(port, b"GET " + path + b" HTTP/1.1\r\nhost: a\r\n" + header + b"\r\n\r\n")
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
    ],
)
@pytest.mark.parametrize("path", [b"/v1/faq/rank", b"/readyz"])
def test_heads_that_change_nothing(port: int, path: bytes, header: bytes) -> None:
    method, body = (b"POST", QUESTION) if b"faq" in path else (b"GET", b"")
    length = str(len(body)).encode()
    start = method + b" " + path + b" HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n"
    sent = start + header + b"\r\ncontent-length: " + length + b"\r\n\r\n" + body
    assert answer(port, sent)[0] == 200


def test_clients_that_would_like_http_2_are_answered_in_http_1(hostile: Service) -> None:
    asking = b"connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n"
    length = b"content-length: %d\r\n\r\n" % len(QUESTION)
    assert answer(PORT, RANK + asking + length + QUESTION)[0] == 200


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
