"""`scoring faq evaluate`: how good a registered model is on a corpus' held-out questions."""

import argparse

from deployments.faq.artifact import RankerFormatError
from deployments.faq.corpus import JAVASCRIPT, CorpusError, load_corpus
from deployments.faq.evaluation import Evaluation, ask, summarise
from deployments.registry import RegistryError
from serve_app.cli.messages import fail
from serve_app.cli.registered import REFERENCE, REFERENCE_HELP, find_version, load_ranker
from serve_app.cli.tables import render
from serve_app.models import registry_of
from serve_app.settings import Settings

LABELS = {
    "questions": "held-out questions",
    "accuracy_at_1": "Accuracy@1",
    "accuracy_at_2": "Accuracy@2",
    "accuracy_at_3": "Accuracy@3",
    "mean_rank": "mean rank",
    "mrr": "MRR",
    "mean_average_precision": "MAP",
    "expected_calibration_error": "expected calibration error",
    "kept": "questions kept by the threshold",
    "out_of_scope_recall": "out-of-scope recall",
    "auroc": "out-of-scope AUROC",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument(
        "--model",
        metavar=REFERENCE,
        help=f"{REFERENCE_HELP}; without it, the one that the settings name",
    )
    add_corpus(parser, "corpus to take the held-out questions from; without it, JavaScript")


def add_corpus(parser: argparse.ArgumentParser, meaning: str) -> None:
    """`--corpus PATH`, another way to write `faq.corpus=PATH`."""
    parser.add_argument(
        "--corpus",
        dest="named",
        action="append",
        type="faq.corpus={}".format,
        metavar="PATH",
        help=f"{meaning} (faq.corpus)",
    )


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Prints the table on standard output."""
    registry = registry_of(settings)
    try:
        version = find_version(registry, options.model or settings.faq.model, settings)
        ranker = load_ranker(registry, version)
        corpus = load_corpus(settings.faq.corpus or JAVASCRIPT)
        outcomes = ask(ranker, corpus, progress=True)
    except (CorpusError, RankerFormatError, RegistryError) as error:
        return fail(error)
    print(f"{version.name} version {version.version} on {corpus.name}")
    print(table(summarise(outcomes), outcomes.threshold))
    return 0


def table(evaluation: Evaluation, threshold: float) -> str:
    """All figures, those without questions left out, and the threshold that some depend on."""
    rows = [(LABELS[name], _number(name, value)) for name, value in evaluation.metrics().items()]
    return render([*rows, ("threshold", f"{threshold:.4f}")])


def _number(name: str, value: float) -> str:
    return f"{value:.0f}" if name == "questions" else f"{value:.4f}"
