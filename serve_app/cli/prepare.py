"""Makes models and registers them: trains the FAQ ranker, fetches and checks image weights."""

import json
import tempfile
from dataclasses import asdict
from pathlib import Path

from deployments.image.download import WeightsUnavailable, download_weights
from deployments.image.weights import WeightsError, export_weights
from deployments.registry import Registry
from serve_app.cli.faq_train import train_faq
from serve_app.cli.messages import fail, say
from serve_app.models import (
    PREPROCESSING,
    SOURCE_TAG,
    Missing,
    find_faq,
    find_image,
    registry_of,
    source_digest,
)
from serve_app.settings import Settings


def prepare(settings: Settings) -> int:
    """Makes what is missing; without weights and without a network the image model stays so."""
    registry = registry_of(settings)
    status = 0
    if isinstance(find_faq(settings, registry), Missing):
        status = train_faq(settings)
    if status == 0 and isinstance(find_image(settings, registry), Missing):
        status = _register_if_available(settings, registry)
    return status


def register_image(settings: Settings) -> int:
    """Registers `image.weights`, or the architecture's published weights."""
    try:
        _register_image(settings, registry_of(settings))
    except WeightsError as error:
        return fail(error)
    return 0


def _register_if_available(settings: Settings, registry: Registry) -> int:
    try:
        _register_image(settings, registry)
    except WeightsUnavailable as error:
        say(f"no image model: {error}")
    except WeightsError as error:
        return fail(error)
    return 0


def _register_image(settings: Settings, registry: Registry) -> None:
    image = settings.image
    weights = image.weights or download_weights(image.architecture, settings.data_dir / "downloads")
    settings = settings.model_copy(update={"image": image.model_copy(update={"weights": weights})})
    with tempfile.TemporaryDirectory() as folder:
        config = export_weights(image.architecture, weights, Path(folder), preset=image.preset)
        version = registry.register(
            image.architecture,
            Path(folder),
            metrics={},
            parameters={
                "preset": config.preset,
                PREPROCESSING: json.dumps(asdict(config.preprocessing)),
            },
            tags={SOURCE_TAG: source_digest(settings)},
            alias=image.alias,
        )
    say(f"registered {version.name} version {version.version} ({version.digest[:19]})")
