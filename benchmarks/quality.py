"""Quality of FAQ ranking on held-out questions, with and without what very large corpora forgo."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from benchmarks.payloads import corpus
from benchmarks.report import Goal, Report
from benchmarks.rounds import Options
from deployments.faq.corpus import JAVASCRIPT, Corpus, load_corpus
from deployments.faq.embedding import WORDLLAMA, load_embedder
from deployments.faq.training import evaluate, train

FIGURES = {
    "accuracy_at_1": (0.93, True),
    "accuracy_at_3": (0.98, True),
    "mean_rank": (1.25, False),
    "mrr": (0.96, True),
    "expected_calibration_error": (0.02, False),
}
"""The goals on Banking77's test questions, and whether more is better."""

BANKING77 = "banking77"
KINDS: dict[str, dict[str, Any]] = {
    "margins": {},
    "index": {"largest_with_margins": 1},
    "embeddings": {"embedder": WORDLLAMA},
}
"""The default with margins; through the index, as corpora of many FAQs are; and with the extra."""


def run(options: Options, command: str) -> Report:
    """Trains on each corpus in every way and evaluates; `options` are for servers."""
    del options
    found: dict[str, dict[str, float | None]] = {}
    notes = []
    for each in _corpora():
        for kind, choices in KINDS.items():
            embedder = load_embedder(choices["embedder"]) if "embedder" in choices else None
            ranker = train(each, **{**choices, "embedder": embedder})
            figures = asdict(evaluate(ranker, each))
            found[f"{each.name}, {kind}"] = figures
            notes.append(f"{each.name}, {kind}: {_line(figures)}")
    goals = [
        Goal(f"{BANKING77}, {kind}: {name}", wanted, value, at_least)
        for kind in ("margins", "embeddings")
        for name, (wanted, at_least) in FIGURES.items()
        if (value := found.get(f"{BANKING77}, {kind}", {}).get(name)) is not None
    ]
    return Report("quality", command, goals=tuple(goals), notes=tuple(notes), figures=found)


def _corpora() -> list[Corpus]:
    embedded = load_corpus(JAVASCRIPT)
    loaded, _, _ = corpus()
    return [embedded] if loaded.digest == embedded.digest else [loaded, embedded]


def _line(figures: Mapping[str, float | None]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in figures.items() if value is not None)
