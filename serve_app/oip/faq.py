"""The FAQ ranker behind the protocol."""

from collections.abc import Sequence

import msgspec
import numpy as np

from deployments.contracts import Question
from serve_app.errors import InvalidField, OutOfRange
from serve_app.faq_gateway import FaqGateway, Ranked
from serve_app.http.faq import note_ranked
from serve_app.http.schemas import QUESTIONS, TOP_K_FAQ, RankRequest, rank_request
from serve_app.oip.inference import Scored, Work
from serve_app.oip.models import FAQ
from serve_app.oip.tensors import BYTES, Tensor
from serve_app.readiness import Readiness
from serve_app.settings import HttpSettings


class _Match(msgspec.Struct):
    id: str
    question: str
    probability: float


_matches = msgspec.json.Decoder(list[_Match])


class FaqScorer:
    """`question` BYTES [n] to `id`, `question` and `probability`, each [n,k]."""

    spec = FAQ
    default_top_k: int = RankRequest.model_fields["top_k"].default
    most_top_k = TOP_K_FAQ

    def __init__(self, gateway: FaqGateway, readiness: Readiness, settings: HttpSettings):
        self._gateway = gateway
        self._readiness = readiness
        self.limit_bytes = self.json_limit_bytes = settings.questions_limit_bytes

    def require_room(self) -> None:
        """See `Scorer.require_room`."""
        self._readiness.require("faq")

    async def score(self, tensor: Tensor, top_k: int, work: Work) -> Scored:
        """See `Scorer.score`."""
        asked = rank_request(_texts(tensor), top_k)
        questions = [Question(text, asked.top_k) for text in asked.questions or ()]
        ranked = await self._gateway.rank_many(questions, work.deadline)
        note_ranked(work.record, ranked)
        return Scored(ranked[0].model, _outputs(ranked))


def _texts(tensor: Tensor) -> list[str]:
    if tensor.datatype != BYTES or len(tensor.shape) != 1:
        raise InvalidField("question must be BYTES of shape [n]", field="question")
    if not 1 <= len(tensor.elements) <= QUESTIONS:
        raise OutOfRange(f"question must have 1 to {QUESTIONS} elements", field="question")
    try:
        return [bytes(element).decode() for element in tensor.elements]
    except UnicodeDecodeError:
        raise InvalidField("a question is not UTF-8", field="question") from None


def _outputs(ranked: Sequence[Ranked]) -> list[Tensor]:
    rows = [_matches.decode(item.ranking.matches) for item in ranked]
    # One version ranked all, without a least probability: each has as many matches.
    shape = (len(rows), len(rows[0]))
    matches = [match for row in rows for match in row]
    probabilities = np.array([match.probability for match in matches], np.float32)
    return [
        Tensor("id", BYTES, shape, [match.id.encode() for match in matches]),
        Tensor("question", BYTES, shape, [match.question.encode() for match in matches]),
        Tensor("probability", "FP32", shape, probabilities),
    ]
