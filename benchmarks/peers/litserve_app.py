"""LitServe, with and without its batching.

Tuned as its documentation says for many requests a second on a CPU: `fast_queue` (ZeroMQ), one
worker, no access log. Answers are `Response` objects, which FastAPI passes on as they are.
"""

import argparse

import litserve as ls
from fastapi import Response

from benchmarks.peers.ranking import TOP_K, encode, load_ranker
from deployments.faq.ranker import Ranking


class RankApi(ls.LitAPI):  # type: ignore[misc]
    """One question at a time."""

    def setup(self, device: str) -> None:  # noqa: ARG002
        self.ranker = load_ranker()

    def decode_request(self, request):  # type: ignore[no-untyped-def] # an annotation is a schema
        return request["question"]

    def predict(self, question: str) -> Ranking:
        return self.ranker.rank(question, TOP_K)

    def encode_response(self, ranking: Ranking) -> Response:
        return Response(encode(ranking), media_type="application/json")


class BatchedRankApi(RankApi):
    """All questions of a batch in one call."""

    def batch(self, questions: list[str]) -> list[str]:
        return questions

    def predict(self, questions: list[str]) -> list[Ranking]:  # type: ignore[override]
        return self.ranker.rank_many(questions, [TOP_K] * len(questions))

    def unbatch(self, rankings: list[Ranking]) -> list[Ranking]:
        return rankings


def main() -> None:
    """Serves until it is stopped."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--batch-timeout", type=float, default=0.0)
    parser.add_argument("--no-fast-queue", action="store_true")
    given = parser.parse_args()
    if given.batch > 1:
        api = BatchedRankApi(max_batch_size=given.batch, batch_timeout=given.batch_timeout)
    else:
        api = RankApi()
    api.api_path = "/v1/faq/rank"
    server = ls.LitServer(api, accelerator="cpu", fast_queue=not given.no_fast_queue)
    server.run(
        host="127.0.0.1",
        port=given.port,
        log_level="warning",
        generate_client_file=False,
        access_log=False,
        loop="uvloop",
        http="httptools",
    )


if __name__ == "__main__":
    main()
