"""`scoring faq compare`: whether one registered model is better than another, and how surely."""

import argparse

from deployments.faq.artifact import RankerFormatError
from deployments.faq.comparison import Comparison, Difference, compare
from deployments.faq.corpus import JAVASCRIPT, Corpus, CorpusError, load_corpus
from deployments.faq.evaluation import Outcomes, ask
from deployments.registry import Registry, RegistryError
from serve_app.cli.faq_evaluate import LABELS, add_corpus
from serve_app.cli.messages import fail
from serve_app.cli.registered import REFERENCE_HELP, find_version, load_ranker
from serve_app.cli.tables import render
from serve_app.models import registry_of
from serve_app.settings import Settings

SIGNIFICANCE = 0.05


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("first", metavar="A", help=REFERENCE_HELP)
    parser.add_argument("second", metavar="B", help="another one, or another version of it")
    add_corpus(parser, "corpus to take the held-out questions from; without it, JavaScript")


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Prints the table and what it means on standard output."""
    registry = registry_of(settings)
    try:
        corpus = load_corpus(settings.faq.corpus or JAVASCRIPT)
        first, second = (
            _ask(registry, reference, corpus, settings)
            for reference in (options.first, options.second)
        )
        found = compare(first, second)
    except (CorpusError, RankerFormatError, RegistryError) as error:
        return fail(error)
    print(
        f"A = {options.first}, B = {options.second}: {found.questions} questions of {corpus.name}"
    )
    print(f"{table(found)}\n\n{verdict(found)}")
    return 0


def table(found: Comparison) -> str:
    """The figures of both, and their differences with confidence intervals."""
    names = ("accuracy_at_1", "accuracy_at_3", "mrr")
    rows = [_row(LABELS[name], getattr(found, name)) for name in names]
    return render([("", "A", "B", "B - A", "95 % interval"), *rows])


def verdict(found: Comparison) -> str:
    """Which model is better, a sentence for each test, or that the questions do not tell."""
    accuracy = _sentence(LABELS["accuracy_at_1"], found.accuracy_at_1, found.accuracy_p)
    mrr = _sentence(LABELS["mrr"], found.mrr, found.mrr_p)
    return (
        f"{accuracy} (McNemar's exact test: only A is right for {found.only_first}, "
        f"only B for {found.only_second}; {_p(found.accuracy_p)})\n"
        f"{mrr} (paired randomisation test; {_p(found.mrr_p)})"
    )


def _ask(registry: Registry, reference: str, corpus: Corpus, settings: Settings) -> Outcomes:
    ranker = load_ranker(registry, find_version(registry, reference, settings))
    try:
        return ask(ranker, corpus, progress=True)
    except CorpusError as error:
        raise CorpusError(f"{reference}: {error}") from error


def _row(label: str, figure: Difference) -> tuple[str, ...]:
    return (
        label,
        f"{figure.first:.4f}",
        f"{figure.second:.4f}",
        f"{figure.second - figure.first:+.4f}",
        f"{figure.low:+.4f} .. {figure.high:+.4f}",
    )


def _sentence(label: str, figure: Difference, p: float) -> str:
    if p >= SIGNIFICANCE:
        return f"{label}: the questions do not tell which model is better"
    return f"{label}: {'B' if figure.second > figure.first else 'A'} is better"


def _p(p: float) -> str:
    return f"p = {p:.4f}" if p >= 0.0001 else "p < 0.0001"
