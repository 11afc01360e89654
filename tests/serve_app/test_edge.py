"""The outermost layer: what goes straight, what takes Ray Serve's way, and what it brings along."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ray.serve._private.constants import (
    SERVE_HTTP_REQUEST_DISCONNECT_DISABLED_HEADER,
    SERVE_HTTP_REQUEST_TIMEOUT_S_HEADER,
    SERVE_INGRESS_ROUTER_HEADER_PREFIX,
    SERVE_MULTIPLEXED_MODEL_ID,
    SERVE_SESSION_ID,
)
from starlette.types import Message, Receive, Scope, Send

from serve_app.edge import CONTROL_HEADERS, ROUTER_PREFIXES, Edge, middlewares, straight_way


class Echo:
    """Answers with its own name and remembers the headers that reached it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.headers: dict[bytes, bytes] = {}
        self.in_flight = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.headers = dict(scope["headers"])
        self.in_flight = straight_way.in_flight
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": self.name.encode()})


@pytest.fixture
async def application() -> AsyncIterator[Echo]:
    straight_way.application = application = Echo("application")
    yield application
    straight_way.application = None


@pytest.fixture
def ray_serve() -> Echo:
    return Echo("Ray Serve")


@pytest.fixture
async def client(ray_serve: Echo) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(Edge(ray_serve)), base_url="http://edge"
    ) as client:
        yield client


async def test_questions_go_straight(client: httpx.AsyncClient, application: Echo) -> None:
    for path in ("/v1/faq/rank", "/faq/score"):
        assert (await client.post(path)).text == "application"
    assert application.in_flight == 1
    assert straight_way.in_flight == 0


@pytest.mark.usefixtures("application")
async def test_everything_else_takes_ray_serves_way(client: httpx.AsyncClient) -> None:
    for path in ("/v1/images/classify", "/-/healthz", "/metrics", "/v1/faq/rank/"):
        assert (await client.get(path)).text == "Ray Serve"


async def test_before_there_is_an_application(client: httpx.AsyncClient) -> None:
    assert (await client.post("/v1/faq/rank")).text == "Ray Serve"


async def test_the_request_id_is_kept_or_made(client: httpx.AsyncClient, application: Echo) -> None:
    kept = await client.post("/v1/faq/rank", headers={"x-request-id": "mine"})
    assert kept.headers.get_list("x-request-id") == ["mine"]
    made = await client.post("/v1/faq/rank")
    assert made.headers["x-request-id"].encode() == application.headers[b"x-request-id"]


NAMES = (
    "x-request-timeout-seconds",
    "x-request-disconnect-disabled",
    "serve_multiplexed_model_id",
    "x-session-id",
    "x-serve-router-replica",
)


@st.composite
def spelled(draw: st.DrawFn) -> str:
    """A name in capitals and small letters, with "-" and "_" for each other."""
    name = draw(st.sampled_from(NAMES))
    signs = st.sampled_from("-_")
    drawn = [draw(signs) if sign in "-_" else sign for sign in name]
    return "".join(sign.upper() if draw(st.booleans()) else sign for sign in drawn)


@given(names=st.lists(spelled(), max_size=8), path=st.sampled_from(("/v1/faq/rank", "/readyz")))
def test_clients_cannot_reach_ray_serves_controls(names: list[str], path: str) -> None:
    with asyncio.Runner() as runner:
        seen = runner.run(reached([(name, "0") for name in names], path))
    assert seen <= {"host", "accept", "accept-encoding", "connection", "user-agent", "x-request-id"}


async def reached(headers: list[tuple[str, str]], path: str) -> set[str]:
    """The names of the headers that get through the edge."""
    echo = Echo("either")
    straight_way.application = echo
    try:
        transport = httpx.ASGITransport(Edge(echo))
        async with httpx.AsyncClient(transport=transport, base_url="http://edge") as client:
            assert (await client.get(path, headers=headers)).status_code == 200
    finally:
        straight_way.application = None
    return {name.decode() for name in echo.headers}


def test_ray_serves_names_are_those_that_the_edge_knows() -> None:
    known = {SERVE_MULTIPLEXED_MODEL_ID, SERVE_SESSION_ID, SERVE_HTTP_REQUEST_TIMEOUT_S_HEADER}
    known.add(SERVE_HTTP_REQUEST_DISCONNECT_DISABLED_HEADER)
    assert {name.encode() for name in known} <= CONTROL_HEADERS
    assert SERVE_INGRESS_ROUTER_HEADER_PREFIX.encode() in ROUTER_PREFIXES


@pytest.mark.parametrize("bad", [b"", b"\xff", b"a b", b"x" * 129, b"a\x01b"])
@pytest.mark.parametrize("path", ["/v1/faq/rank", "/readyz"])
async def test_request_ids_that_cannot_be_repeated_are_replaced(
    client: httpx.AsyncClient, application: Echo, ray_serve: Echo, bad: bytes, path: str
) -> None:
    answer = await client.get(path, headers=[(b"x-request-id", bad)])
    assert answer.status_code == 200
    assert bad not in (application.headers | ray_serve.headers).get(b"x-request-id", b"new").split()


async def test_of_two_request_ids_the_first_counts(
    client: httpx.AsyncClient, application: Echo
) -> None:
    answer = await client.post(
        "/v1/faq/rank", headers=[("x-request-id", "one"), ("x-request-id", "two")]
    )
    assert answer.headers.get_list("x-request-id") == ["one"]
    assert application.headers[b"x-request-id"] == b"one"


@pytest.mark.parametrize("extensions", [{}, {"websocket.http.response": {}}])
async def test_websockets_end_here(extensions: dict[str, Any]) -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    scope = {"type": "websocket", "path": "/", "headers": [], "extensions": extensions}
    await Edge(Echo("never"))(scope, receive, send)
    if extensions:
        assert (sent[0]["status"], orjson.loads(sent[1]["body"])["code"]) == (
            400,
            "header_not_allowed",
        )
    else:
        assert sent == [{"type": "websocket.close"}]


def test_ray_serve_gets_one_middleware() -> None:
    (middleware,) = middlewares()
    assert middleware.cls is Edge  # type: ignore[comparison-overlap]
