"""Registered FAQ models as the command line names them: NAME, NAME@ALIAS or NAME@VERSION."""

from deployments.faq.ranker import FaqRanker
from deployments.registry import ModelVersion, Registry
from serve_app.settings import Settings

REFERENCE = "NAME@ALIAS"
REFERENCE_HELP = "a registered model: NAME, NAME@ALIAS or NAME@VERSION"


def find_version(registry: Registry, reference: str, settings: Settings) -> ModelVersion:
    """The version; a name alone stands for its version with the alias `faq.alias`.

    Raises ModelNotFound, and RegistryError for what cannot be a name or an alias.
    """
    name, at, which = reference.partition("@")
    if not at:
        return registry.resolve(name, settings.faq.alias)
    # No alias begins with a digit.
    if not which[:1].isdigit():
        return registry.resolve(name, which)
    return registry.version(name, which)


def load_ranker(registry: Registry, version: ModelVersion) -> FaqRanker:
    """The ranker, its digest verified. Raises RegistryError, RankerFormatError."""
    return FaqRanker.load(registry.fetch(version))
