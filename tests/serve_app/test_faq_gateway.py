"""One request's questions are answered by one version, also while replicas change over."""

import asyncio
from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.contracts import EncodedRanking, ModelIdentity, Question, RankedBatch
from deployments.telemetry import Metrics
from serve_app.backends import FaqBackend
from serve_app.errors import ModelLoading
from serve_app.faq_gateway import MOST_REPEATS, FaqGateway
from serve_app.settings import FaqSettings
from tests.serve_app.fakes import FAQ

NEXT = FAQ._replace(version="4")
QUESTIONS = [Question(f"question {number}", 1) for number in range(10)]


class ChangingFaq:
    """Its calls are answered by `models` in turn, then by the version that is wanted."""

    def __init__(self, models: Sequence[ModelIdentity], *, obeys: bool = True) -> None:
        self._models = list(models)
        self._obeys = obeys
        self.asked: Counter[str] = Counter()

    async def rank(self, questions: Sequence[Question], held_per_replica: float) -> RankedBatch:
        self.asked.update(question.text for question in questions)
        wanted = questions[0].model if self._obeys else None
        model = self._models.pop(0) if self._models else wanted or NEXT
        rankings = [EncodedRanking(question.text.encode(), True) for question in questions]
        return RankedBatch(model, rankings, 0.5, 200)


class ReplicasChangingOver:
    """Each replica changes after so many calls; one that last answered as wanted is preferred."""

    def __init__(self, calls_before_change: Sequence[int]) -> None:
        self._left = list(calls_before_change)
        self._last: list[ModelIdentity | None] = [None] * len(self._left)
        self._turn = 0

    async def rank(self, questions: Sequence[Question], held_per_replica: float) -> RankedBatch:
        wanted = next((question.model for question in questions if question.model), None)
        self._turn += 1
        by_turn = sorted(
            range(len(self._left)), key=lambda index: (index - self._turn) % len(self._left)
        )
        replica = min(by_turn, key=lambda index: wanted is not None and self._last[index] != wanted)
        model = FAQ if self._left[replica] > 0 else NEXT
        self._left[replica] -= 1
        self._last[replica] = model
        await asyncio.sleep(0)
        rankings = [EncodedRanking(question.text.encode(), True) for question in questions]
        return RankedBatch(model, rankings, 0.5, 200)


def gateway(backend: FaqBackend, calls: int = 1) -> FaqGateway:
    settings = FaqSettings(max_batch_size=4, calls_per_replica=calls)
    return FaqGateway(backend, settings, Metrics().model("faq"))


def deadline() -> float:
    return asyncio.get_running_loop().time() + 60


@pytest.mark.parametrize(
    ("models", "expected", "repeated"),
    [
        ([FAQ, FAQ, FAQ], FAQ, 0),
        ([FAQ, NEXT, NEXT], NEXT, 4),
        ([FAQ, FAQ, NEXT], NEXT, 8),
        ([NEXT, FAQ, NEXT], NEXT, 4),
        ([NEXT, NEXT, FAQ], FAQ, 8),
    ],
)
async def test_all_questions_are_answered_by_one_version(
    models: list[ModelIdentity], expected: ModelIdentity, repeated: int
) -> None:
    backend = ChangingFaq(models)
    ranked = await gateway(backend).rank_many(QUESTIONS, deadline())
    assert [item.ranking.matches.decode() for item in ranked] == [item.text for item in QUESTIONS]
    assert {item.model for item in ranked} == {expected}
    assert sum(backend.asked.values()) == len(QUESTIONS) + repeated


async def test_a_replica_that_changes_during_the_repetition_is_met_by_another() -> None:
    # The old version is wanted first; by then its replica has changed over.
    backend = ChangingFaq([NEXT, NEXT, FAQ, NEXT, FAQ])
    ranked = await gateway(backend).rank_many(QUESTIONS, deadline())
    assert len({item.model for item in ranked}) == 1


async def test_a_version_that_no_replica_has_any_more_is_not_wanted_for_long() -> None:
    # The first call met the one that had changed, the last call the other one just before it did.
    backend = ChangingFaq([NEXT, FAQ, FAQ], obeys=False)
    ranked = await gateway(backend).rank_many(QUESTIONS, deadline())
    assert {item.model for item in ranked} == {NEXT}
    assert max(backend.asked.values()) == 2


@given(
    calls_before_change=st.lists(st.integers(0, 8), min_size=1, max_size=5),
    at_once=st.integers(1, 3),
)
async def test_whenever_replicas_change_over_requests_beside_each_other_succeed(
    calls_before_change: list[int], at_once: int
) -> None:
    asked = gateway(ReplicasChangingOver(calls_before_change), calls=at_once)
    answers = await asyncio.gather(*(asked.rank_many(QUESTIONS, deadline()) for _ in range(3)))
    for ranked in answers:
        texts = [item.ranking.matches.decode() for item in ranked]
        assert texts == [item.text for item in QUESTIONS]
        assert len({item.model for item in ranked}) == 1


async def test_versions_that_never_agree_end_in_an_error() -> None:
    backend = ChangingFaq([FAQ, NEXT] * 100, obeys=False)
    with pytest.raises(ModelLoading):
        await gateway(backend).rank_many(QUESTIONS, deadline())
    assert max(backend.asked.values()) <= 1 + MOST_REPEATS


async def test_no_questions_have_no_answers() -> None:
    assert await gateway(ChangingFaq([])).rank_many([], deadline()) == []
