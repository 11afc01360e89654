"""Answers the Router's calls: ranks a batch and encodes each ranking as JSON."""

import time
from collections.abc import Sequence

import msgspec

from deployments.contracts import EncodedRanking, Form, ModelIdentity, Question, RankedBatch
from deployments.faq.ranker import FaqRanker, Match, Ranking
from deployments.faq.stored_faqs import StoredFaqs

_encode = msgspec.json.Encoder().encode

ENVELOPE_BYTES = 128
"""Room for the JSON around the texts of one match, its probability included."""


class FaqScorer:
    """One loaded version of the ranker, and what it is called."""

    def __init__(self, ranker: FaqRanker, identity: ModelIdentity):
        self._ranker = ranker
        self._identity = identity
        self._largest_match_bytes = ENVELOPE_BYTES + StoredFaqs.pack(ranker.faqs).largest_bytes

    def warm_up(self) -> None:
        """Ranks once, so that the first caller does not pay for first uses."""
        self.rank([Question("warm up", 1), Question("warm up twice", 1)])

    def rank(self, questions: Sequence[Question]) -> RankedBatch:
        """Ranks all questions together; the answers keep their order."""
        started = time.perf_counter()
        rankings = self._ranker.rank_many(
            [question.text for question in questions], [question.top_k for question in questions]
        )
        encoded = [encode(*pair) for pair in zip(rankings, questions, strict=True)]
        inference_ms = (time.perf_counter() - started) * 1000
        return RankedBatch(self._identity, encoded, inference_ms, self._largest_match_bytes)


def encode(ranking: Ranking, question: Question) -> EncodedRanking:
    """The matches of at least `min_probability` in the form that the question asks for."""
    matches: Sequence[Match] = ranking.matches
    if question.min_probability > 0:
        matches = [item for item in matches if item.probability >= question.min_probability]
    if question.form is Form.TRIPLES:
        triples = [(match.id, match.answer_id, match.probability) for match in matches]
        return EncodedRanking(_encode(triples), ranking.matched)
    return EncodedRanking(_encode(matches), ranking.matched)
