"""Quality of FAQ ranking on held-out questions, with and without what very large corpora forgo."""

from collections.abc import Mapping
from dataclasses import asdict

from benchmarks.payloads import corpus
from benchmarks.report import Goal, Report
from benchmarks.rounds import Options
from deployments.faq.corpus import JAVASCRIPT, Corpus, load_corpus
from deployments.faq.training import LARGEST_WITH_MARGINS, evaluate, train

FIGURES = {
    "accuracy_at_1": (0.93, True),
    "accuracy_at_3": (0.98, True),
    "mean_rank": (1.25, False),
    "mrr": (0.96, True),
    "expected_calibration_error": (0.02, False),
}
"""The goals on Banking77's test questions, and whether more is better."""

BANKING77 = "banking77"
KINDS = {"margins": LARGEST_WITH_MARGINS, "index": 1}
"""Scored with margins, as corpora up to so many FAQs are, or through the index, as larger ones."""


def run(options: Options, command: str) -> Report:
    """Trains on each corpus in both ways and evaluates; `options` are for servers."""
    del options
    found: dict[str, dict[str, float | None]] = {}
    notes = []
    for each in _corpora():
        for kind, largest in KINDS.items():
            ranker = train(each, largest_with_margins=largest)
            figures = asdict(evaluate(ranker, each))
            found[f"{each.name}, {kind}"] = figures
            notes.append(f"{each.name}, {kind}: {_line(figures)}")
    reached = found.get(f"{BANKING77}, margins", {})
    goals = [
        Goal(f"{BANKING77}: {name}", wanted, value, at_least)
        for name, (wanted, at_least) in FIGURES.items()
        if (value := reached.get(name)) is not None
    ]
    return Report("quality", command, goals=tuple(goals), notes=tuple(notes), figures=found)


def _corpora() -> list[Corpus]:
    embedded = load_corpus(JAVASCRIPT)
    loaded, _, _ = corpus()
    return [embedded] if loaded.digest == embedded.digest else [loaded, embedded]


def _line(figures: Mapping[str, float | None]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in figures.items() if value is not None)
