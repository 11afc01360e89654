"""The routes of the FAQ scenario."""

from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from deployments.contracts import Form, Question
from serve_app.capture import Capture
from serve_app.errors import BodyTooLarge
from serve_app.faq_gateway import FaqGateway, Ranked
from serve_app.http.answers import json_answer, model_json, record_of
from serve_app.http.bodies import read_body
from serve_app.http.deadlines import arrived, deadline_of
from serve_app.http.face import RequestRecord
from serve_app.http.media import require_json
from serve_app.http.schemas import RankRequest, parse_faq_score, parse_rank
from serve_app.readiness import Readiness
from serve_app.settings import HttpSettings

SCORE_TOP_K = 1000
"""How many FAQs the reference's route answers at most."""


class FaqRoutes:
    """`/v1/faq/rank` and `/faq/score`."""

    def __init__(
        self,
        gateway: FaqGateway,
        readiness: Readiness,
        settings: HttpSettings,
        capture: Capture | None = None,
    ):
        self._gateway = gateway
        self._capture = capture
        self._readiness = readiness
        self._settings = settings

    async def rank(self, request: Request) -> Response:
        """Ranks the FAQs for one question, or for each of many."""
        record = record_of(request, "/v1/faq/rank")
        deadline = deadline_of(request, self._settings.deadline_s)
        require_json(request)
        limit_bytes = self._settings.questions_limit_bytes
        body = await arrived(read_body(request, limit_bytes), deadline)
        record.request_bytes = len(body)
        asked = parse_rank(body)
        if asked.question is None:
            return await self._rank_many(asked, record, deadline)
        limit_bytes = self._settings.question_limit_bytes
        if len(body) > limit_bytes:
            raise BodyTooLarge(f"the body of one question may have {limit_bytes:,} bytes")
        self._readiness.require("faq")
        question = Question(asked.question, asked.top_k, asked.min_probability)
        ranked = await self._gateway.rank(question, deadline)
        if self._capture is not None:
            self._capture.questions(record, [question.text], [ranked])
        timing = note_ranked(record, [ranked])
        return json_answer(
            {**_ranking(ranked), "model": model_json(ranked.model), "timing": timing}
        )

    async def score(self, request: Request) -> Response:
        """Every FAQ as `[id, answer_id, probability]`, as the reference implementation answers."""
        record = record_of(request, "/faq/score")
        deadline = deadline_of(request, self._settings.deadline_s)
        require_json(request)
        limit_bytes = self._settings.question_limit_bytes
        body = await arrived(read_body(request, limit_bytes), deadline)
        record.request_bytes = len(body)
        text = parse_faq_score(body).input
        self._readiness.require("faq")
        question = Question(text, SCORE_TOP_K, form=Form.TRIPLES)
        ranked = await self._gateway.rank(question, deadline)
        if self._capture is not None:
            self._capture.questions(record, [text], [ranked])
        note_ranked(record, [ranked])
        return Response(ranked.ranking.matches, media_type="application/json")

    async def _rank_many(
        self, asked: RankRequest, record: RequestRecord, deadline: float
    ) -> Response:
        self._readiness.require("faq")
        questions = [
            Question(text, asked.top_k, asked.min_probability) for text in asked.questions or ()
        ]
        ranked = await self._gateway.rank_many(questions, deadline)
        if self._capture is not None:
            self._capture.questions(record, [question.text for question in questions], ranked)
        timing = note_ranked(record, ranked)
        results = [_ranking(item) for item in ranked]
        return json_answer(
            {"results": results, "model": model_json(ranked[0].model), "timing": timing}
        )


def _ranking(ranked: Ranked) -> dict[str, Any]:
    return {
        "matches": orjson.Fragment(ranked.ranking.matches),
        "matched": ranked.ranking.matched,
    }


def note_ranked(record: RequestRecord, ranked: list[Ranked]) -> dict[str, float]:
    """Notes who ranked, and returns the answer's `timing`."""
    record.items = len(ranked)
    record.model = ranked[0].model
    record.timing = {
        "queue_ms": round(max(item.queue_ms for item in ranked), 3),
        "inference_ms": round(max(item.inference_ms for item in ranked), 3),
    }
    return {**record.timing, "total_ms": round(record.elapsed_ms(), 3)}
