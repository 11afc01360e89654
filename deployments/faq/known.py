"""A few questions with the answers that a model gave when it was trained, stored beside it.

A replica asks them before it serves a version: they find what a digest cannot, a model that was
stored whole and answers otherwise here (another release of the code, another machine).
"""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from deployments.faq.ranker import FaqRanker, RankerFormatError

FILE = "known.json"
FORMAT = "known-questions"
VERSION = 1

TOLERANCE = 0.01
"""Most that a probability may differ: sums in float32 depend on the processor, by far less."""


class KnownQuestionsFailed(ValueError):
    """A model does not answer as when it was trained; names the question and both answers."""


@dataclass(frozen=True)
class KnownQuestion:
    """A question, the AnswerId of its best match, and that match's probability."""

    question: str
    answer_id: str
    probability: float


@dataclass(frozen=True)
class KnownQuestions:
    """What a model must answer, to within TOLERANCE of each probability."""

    questions: tuple[KnownQuestion, ...]

    @classmethod
    def choose(cls, ranker: FaqRanker, texts: Sequence[str]) -> "KnownQuestions":
        """The ranker's answers to `texts`, less those whose best two the tolerance could swap."""
        chosen = []
        for text, ranking in zip(texts, ranker.rank_many(texts, [2] * len(texts)), strict=True):
            best, second = ranking.matches
            if best.probability - second.probability > 2 * TOLERANCE:
                chosen.append(KnownQuestion(text, best.answer_id, best.probability))
        return cls(tuple(chosen))

    def check(self, ranker: FaqRanker) -> None:
        """Raises KnownQuestionsFailed for the first question with another answer."""
        texts = [known.question for known in self.questions]
        rankings = ranker.rank_many(texts, [1] * len(texts))
        for known, ranking in zip(self.questions, rankings, strict=True):
            best = ranking.matches[0]
            differs = abs(best.probability - known.probability) > TOLERANCE
            if best.answer_id != known.answer_id or differs:
                raise KnownQuestionsFailed(
                    f"{known.question!r}: expected AnswerId {known.answer_id!r} with probability "
                    f"{known.probability:.4f}, found {best.answer_id!r} with {best.probability:.4f}"
                )

    def save(self, folder: Path) -> None:
        """Write `known.json` into a model's folder."""
        questions = [asdict(known) for known in self.questions]
        content = {"format": FORMAT, "version": VERSION, "questions": questions}
        (folder / FILE).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "KnownQuestions | None":
        """Read what `save` wrote; None where there is no file. Raises RankerFormatError."""
        path = folder / FILE
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError) as error:
            raise RankerFormatError(f"{path}: cannot be read: {error}") from error
        return cls(tuple(_question(path, entry) for entry in _entries(path, content)))


def _entries(path: Path, content: object) -> list[Any]:
    if not isinstance(content, dict) or content.keys() != {"format", "version", "questions"}:
        raise RankerFormatError(f"{path}: not an object with format, version and questions")
    found = content["format"], content["version"]
    if found != (FORMAT, VERSION):
        raise RankerFormatError(f"{path}: {found} is not {(FORMAT, VERSION)}")
    if not isinstance(content["questions"], list):
        raise RankerFormatError(f"{path}: questions is not a list")
    return content["questions"]


def _question(path: Path, entry: object) -> KnownQuestion:
    match entry:
        case {
            "question": str(question),
            "answer_id": str(answer_id),
            "probability": int() | float() as probability,
            **others,
        } if not others and not isinstance(probability, bool) and math.isfinite(probability):
            return KnownQuestion(question, answer_id, float(probability))
    raise RankerFormatError(
        f"{path}: a question has not just question, answer_id and probability: {entry!r}"
    )
