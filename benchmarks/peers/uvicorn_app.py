"""Plain uvicorn and Starlette in one process; no batching of its own."""

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from benchmarks.peers.ranking import TOP_K, encode, load_ranker

RANKER = load_ranker()


async def rank(request: Request) -> Response:
    """Ranks on the event loop: a thread would only add a hand-over."""
    question = orjson.loads(await request.body())["question"]
    answer = encode(RANKER.rank(question, TOP_K))
    return Response(answer, media_type="application/json")


async def ready(_request: Request) -> Response:
    """Answers once the ranker is loaded."""
    return Response()


app = Starlette(
    routes=[Route("/v1/faq/rank", rank, methods=["POST"]), Route("/readyz", ready)],
)
