"""Small trained models in folders, and a registry that needs no database."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from deployments.faq.known import KnownQuestion, KnownQuestions
from deployments.faq.ranker import FaqRanker
from deployments.faq.training import train
from deployments.registry import DigestMismatch, ModelNotFound, ModelVersion, RegistryError
from tests.deployments.faq.corpora import make_corpus

QUESTIONS = [
    "How do I reset my password?",
    "Where is my parcel?",
    "How can I pay by card?",
    "When are you open?",
]
DUPLICATES = {
    "forgot password": 0,
    "password lost, what now": 0,
    "my parcel has not come": 1,
    "track a parcel": 1,
    "credit card payment": 2,
    "may I pay with a card": 2,
    "opening hours": 3,
    "are you open on sunday": 3,
}


def train_small(first: int = 0) -> FaqRanker:
    """The FAQ of the question at `first` has the AnswerId A0, the next A1, and so on."""
    count = len(QUESTIONS)
    questions = QUESTIONS[first:] + QUESTIONS[:first]
    duplicates = {text: (faq - first) % count for text, faq in DUPLICATES.items()}
    return train(make_corpus(questions, duplicates), progress=False)


def save_model(folder: Path, ranker: FaqRanker, known: KnownQuestions | None = None) -> Path:
    """The model with what it must answer: by default what it does answer."""
    ranker.save(folder)
    (known or KnownQuestions.choose(ranker, QUESTIONS)).save(folder)
    return folder


WRONG = KnownQuestions((KnownQuestion(QUESTIONS[0], "A9", 0.9),))
"""What no model answers."""


class FakeRegistry:
    """Versions in folders, numbered from 1; `named` is the number that every alias points to."""

    def __init__(self, folders: Sequence[Path], named: int = 1) -> None:
        self.versions = [_version(number, folder) for number, folder in enumerate(folders, 1)]
        self.named = named
        self.is_down = False
        self.fetched: list[str] = []

    def follow(self, known: ModelVersion, alias: str) -> ModelVersion:
        if self.is_down:
            raise RegistryError("the registry is down")
        if self.named == 0:
            raise ModelNotFound(f"no {alias}")
        return self.versions[self.named - 1]

    def fetch(self, version: ModelVersion) -> Path:
        self.fetched.append(version.version)
        folder = Path(version.source)
        if not folder.is_dir():
            raise DigestMismatch(f"{folder} is gone")
        return folder

    def lose(self, number: int) -> None:
        shutil.rmtree(self.versions[number - 1].source)


def _version(number: int, folder: Path) -> ModelVersion:
    return ModelVersion("faq", str(number), f"sha256:{number:064}", None, str(folder), {}, {}, {})
