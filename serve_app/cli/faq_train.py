"""`scoring faq train`: trains a model on a corpus, evaluates it and registers it."""

import argparse
import contextlib
import math
import platform
import tempfile
from importlib.metadata import version
from pathlib import Path

from deployments.faq.corpus import JAVASCRIPT, Corpus, CorpusError, load_corpus
from deployments.faq.embedding import EmbeddingsUnavailable, load_embedder
from deployments.faq.evaluation import ask, summarise
from deployments.faq.examples import Examples
from deployments.faq.known import KnownQuestions
from deployments.faq.ranker import FaqRanker
from deployments.registry import ModelNotFound, Registry, RegistryError
from serve_app.cli.faq_evaluate import add_corpus, table
from serve_app.cli.messages import FAILED, fail, lacks_plots, say
from serve_app.models import CORPUS_TAG, registry_of, trained_on
from serve_app.settings import Settings

SEED = 0
KNOWN_QUESTIONS = 8
LIBRARIES = ("numpy", "scipy", "scikit-learn", "realtime-scoring")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    add_corpus(parser, "corpus to train on; without it, JavaScript")
    parser.add_argument(
        "--name",
        dest="named",
        action="append",
        type="faq.model={}".format,
        metavar="NAME",
        help="name of the model in the registry (faq.model)",
    )


def run(_options: argparse.Namespace, settings: Settings) -> int:
    """Trains on `faq.corpus` (the embedded questions by default), evaluates, registers."""
    return train_faq(settings)


def train_faq(settings: Settings) -> int:
    """Progress goes to standard error, the table of figures to standard output."""
    if lacks_plots():
        return FAILED
    registry = registry_of(settings)
    try:
        corpus = load_corpus(settings.faq.corpus or JAVASCRIPT)
        _check(registry, settings)
        _train(corpus, registry, settings)
    except (CorpusError, EmbeddingsUnavailable, RegistryError) as error:
        return fail(error)
    return 0


def _check(registry: Registry, settings: Settings) -> None:
    """A name or a registry that cannot be used should not wait for the end of the training."""
    registry.require_changeable()
    with contextlib.suppress(ModelNotFound):
        registry.resolve(settings.faq.model, settings.faq.alias)


def _train(corpus: Corpus, registry: Registry, settings: Settings) -> None:
    from deployments.faq.training import train

    say(
        f"training {settings.faq.model} on {corpus.name}: {len(corpus.faqs)} FAQs, "
        f"{len(corpus.train)} duplicates"
    )
    embeddings = settings.faq.embeddings
    embedder = None if embeddings is None else load_embedder(embeddings)
    ranker = train(corpus, seed=SEED, embedder=embedder)
    with tempfile.TemporaryDirectory() as folder:
        ranker.save(Path(folder))
        KnownQuestions.choose(ranker, _originals(ranker)).save(Path(folder))
        Examples.choose(corpus).save(Path(folder))
        made = registry.register(
            settings.faq.model,
            Path(folder),
            metrics=_evaluate(ranker, corpus, Path(folder)),
            parameters=_parameters(ranker, corpus),
            tags={CORPUS_TAG: trained_on(settings, corpus.digest)},
            alias=settings.faq.alias,
        )
    say(f"registered {made.name} version {made.version} ({made.digest[:19]})")


def _evaluate(ranker: FaqRanker, corpus: Corpus, folder: Path) -> dict[str, float]:
    """Prints the figures, and saves the pictures beside the model."""
    from deployments.faq.pictures import save_pictures

    if not corpus.test:
        say("not evaluated: the corpus has no held-out questions")
        return {}
    outcomes = ask(ranker, corpus, progress=True)
    save_pictures(outcomes, folder)
    evaluation = summarise(outcomes)
    print(table(evaluation, outcomes.threshold), flush=True)
    return evaluation.metrics()


def _originals(ranker: FaqRanker) -> list[str]:
    """Of a few FAQs, spread over the corpus."""
    step = math.ceil(len(ranker.faqs) / KNOWN_QUESTIONS)
    return [faq.question for faq in ranker.faqs[::step]]


def _parameters(ranker: FaqRanker, corpus: Corpus) -> dict[str, str]:
    return {
        **ranker.parameters,
        "corpus": corpus.name,
        "faqs": str(len(corpus.faqs)),
        "duplicates": str(len(corpus.train)),
        "threshold": str(ranker.threshold),
        "python": platform.python_version(),
        **{library: version(library) for library in LIBRARIES},
    }
