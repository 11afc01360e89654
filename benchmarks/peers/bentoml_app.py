"""BentoML, with and without its adaptive batching, one worker, no access log.

The plain route runs on the event loop (`async`), which spares the hand-over to a thread, and
answers with a `Response`, which BentoML passes on as it is. A batched route must take and give
lists, so its requests and answers are lists of one.
"""

from typing import Any

import bentoml
import msgspec
from starlette.responses import Response

from benchmarks.peers.ranking import TOP_K, encode, load_ranker

QUIET = {"access": {"enabled": False}}


@bentoml.service(workers=1, logging=QUIET)
class Plain:
    """One question at a time."""

    def __init__(self) -> None:
        self.ranker = load_ranker()

    @bentoml.api(route="/v1/faq/rank")  # type: ignore[untyped-decorator]
    async def rank(self, question: str) -> Any:  # a Response has no schema
        answer = encode(self.ranker.rank(question, TOP_K))
        return Response(answer, media_type="application/json")


@bentoml.service(workers=1, logging=QUIET)
class Batched:
    """All questions of a batch in one call."""

    def __init__(self) -> None:
        self.ranker = load_ranker()

    @bentoml.api(route="/v1/faq/rank", batchable=True, max_batch_size=16, max_latency_ms=1000)  # type: ignore[untyped-decorator]
    async def rank(self, questions: list[str]) -> list[Any]:
        rankings = self.ranker.rank_many(questions, [TOP_K] * len(questions))
        # BentoML's own JSON knows no structs.
        return [msgspec.to_builtins(ranking) for ranking in rankings]
