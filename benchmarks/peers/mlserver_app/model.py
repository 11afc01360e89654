"""MLServer, in its own process or with one inference worker, with and without its batching.

A custom route carries the same JSON as the other peers. Batching is bound to `predict`, so there
the route wraps its question as a V2 request in memory; `predict` also answers MLServer's standard
V2 route, whose tensors cost more than the custom route's JSON.
"""

import orjson
from fastapi import Request, Response
from mlserver import MLModel
from mlserver.codecs import StringCodec
from mlserver.context import model_context
from mlserver.handlers import custom_handler
from mlserver.types import InferenceRequest, InferenceResponse

from benchmarks.peers.ranking import TOP_K, encode, load_ranker


class Direct(MLModel):  # type: ignore[misc]
    """One question at a time."""

    async def load(self) -> bool:
        self.ranker = load_ranker()
        return True

    @custom_handler(rest_path="/v1/faq/rank")  # type: ignore[untyped-decorator]
    async def rank(self, request: Request) -> Response:
        question = orjson.loads(await request.body())["question"]
        return Response(encode(self.ranker.rank(question, TOP_K)), media_type="application/json")


class Worker(MLModel):  # type: ignore[misc]
    """One question at a time in a worker: what travels there must be picklable."""

    async def load(self) -> bool:
        self.ranker = load_ranker()
        return True

    @custom_handler(rest_path="/v1/faq/rank")  # type: ignore[untyped-decorator]
    async def rank(self, body: dict[str, str]) -> Response:
        answer = encode(self.ranker.rank(body["question"], TOP_K))
        return Response(answer, media_type="application/json")


class Inference(MLModel):  # type: ignore[misc]
    """All questions of a request, which batching may have merged, in one call."""

    async def load(self) -> bool:
        self.ranker = load_ranker()
        return True

    @custom_handler(rest_path="/v1/faq/rank")  # type: ignore[untyped-decorator]
    async def rank(self, request: Request) -> Response:
        question = orjson.loads(await request.body())["question"]
        tensor = StringCodec.encode_input("question", [question], use_bytes=False)
        with model_context(self.settings):  # the batcher counts by model
            answered = await self.predict(InferenceRequest(inputs=[tensor]))
        return Response(answered.outputs[0].data.root[0], media_type="application/json")

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        questions = StringCodec.decode_input(payload.inputs[0])
        rankings = self.ranker.rank_many(questions, [TOP_K] * len(questions))
        texts = [encode(ranking).decode() for ranking in rankings]
        output = StringCodec.encode_output("answer", texts, use_bytes=False)
        return InferenceResponse(model_name=self.name, outputs=[output])
