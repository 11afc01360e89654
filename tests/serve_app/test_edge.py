"""The outermost layer: what goes straight, what takes Ray Serve's way, and what it brings along."""

from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from serve_app.edge import Edge, middlewares, straight_way


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


async def test_clients_cannot_reach_ray_serves_time_limits(
    client: httpx.AsyncClient, ray_serve: Echo
) -> None:
    await client.get(
        "/readyz", headers={"x-request-timeout-seconds": "0", "X-Request-Disconnect-Disabled": "?1"}
    )
    assert not {name for name in ray_serve.headers if name.startswith(b"x-request")}


def test_ray_serve_gets_one_middleware() -> None:
    (middleware,) = middlewares()
    assert middleware.cls is Edge  # type: ignore[comparison-overlap]
