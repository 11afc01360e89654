"""Which registered versions the settings ask for: read from the registry, nothing is made here.

What is not registered yet, `scoring prepare` makes (it trains, downloads and registers), in a
process of its own, so that neither scikit-learn nor torch stays in the memory of the starter.
"""

import hashlib
import json
import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from deployments.faq.corpus import corpus_digest
from deployments.image.decoding import Preprocessing
from deployments.registry import ModelNotFound, ModelVersion, Registry, open_registry
from serve_app.configuration import Configuration
from serve_app.settings import ImageSettings, Settings

CORPUS_TAG = "corpus_digest"
SOURCE_TAG = "source_digest"
PREPROCESSING = "preprocessing"

WEIGHTS_HOSTS = {"torch": "download.pytorch.org", "keras": "storage.googleapis.com"}
"""Where each framework publishes weights."""
NETWORK_TIMEOUT_S = 2.0

_WEIGHTS_FILES = {
    "torch": "/path/to/file.pth (a state dict as .pth or .safetensors; image.architecture=NAME "
    "takes any torchvision classifier)",
    "keras": "/path/to/file.weights.h5 (image.architecture=NAME takes any of keras.applications)",
}


class PreparationFailed(RuntimeError):
    """A model could not be made; what was wrong stands on standard error."""


@dataclass(frozen=True)
class Missing:
    """A model that is not registered; `reason` says what is missing and how to supply it."""

    name: str
    reason: str


@dataclass(frozen=True)
class Models:
    """The versions to serve."""

    faq: ModelVersion
    image: ModelVersion | Missing


def registry_of(settings: Settings) -> Registry:
    """The registry that the settings name."""
    data = settings.data_dir
    return open_registry(settings.registry_uri, artifacts=data / "models", cache=data / "cache")


def find_faq(settings: Settings, registry: Registry) -> ModelVersion | Missing:
    """The version trained on `faq.corpus` where one is named, else the one with the alias."""
    faq = settings.faq
    if faq.corpus is not None:
        wanted = trained_on(settings, corpus_digest(faq.corpus))
        found = registry.find(faq.model, tag=CORPUS_TAG, value=wanted)
        return found or Missing(faq.model, "no model is trained on this corpus")
    try:
        return registry.resolve(faq.model, faq.alias)
    except ModelNotFound as error:
        return Missing(faq.model, str(error))


def trained_on(settings: Settings, corpus_digest: str) -> str:
    """What a registered FAQ model was made of: the corpus, and embeddings where they are set."""
    embeddings = settings.faq.embeddings
    return corpus_digest if embeddings is None else f"{corpus_digest} {embeddings}"


def image_model_name(image: ImageSettings) -> str:
    """In the registry: the architecture; that of Keras is another one of the same name."""
    return image.architecture if image.framework == "torch" else f"keras-{image.architecture}"


def find_image(settings: Settings, registry: Registry) -> ModelVersion | Missing:
    """The version made of `image.weights` where a file is named, else the one with the alias."""
    image = settings.image
    name = image_model_name(image)
    if image.weights is not None:
        found = registry.find(name, tag=SOURCE_TAG, value=source_digest(settings))
        return found or Missing(name, "the weights are not registered")
    try:
        return registry.resolve(name, image.alias)
    except ModelNotFound as error:
        if registry.is_fixed:
            return Missing(name, str(error))
        return Missing(
            name,
            f"no weights for {name} are registered and they could not be downloaded; start with "
            f"image.weights={_WEIGHTS_FILES[image.framework]}",
        )


def source_digest(settings: Settings) -> str:
    """What a registered image model was made of: the file's sha256, and the preset asked for."""
    if settings.image.weights is None:
        raise ValueError("no weights file is named")
    with settings.image.weights.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return f"{digest}:{settings.image.preset or 'auto'}"


def preprocessing_of(version: ModelVersion) -> Preprocessing:
    """How a picture must be decoded for this version."""
    fields = json.loads(version.parameters[PREPROCESSING])
    return Preprocessing(**{**fields, "mean": tuple(fields["mean"]), "std": tuple(fields["std"])})


def prepare(configuration: Configuration) -> Models:
    """Finds what the settings ask for, and makes what is missing first.

    Raises:
        PreparationFailed: the corpus or the weights cannot be used.
    """
    settings = configuration.settings
    registry = registry_of(settings)
    faq, image = find_faq(settings, registry), find_image(settings, registry)
    if not registry.is_fixed and (
        isinstance(faq, Missing) or (isinstance(image, Missing) and _can_make_image(settings))
    ):
        _prepare_in_own_process(configuration)
        faq, image = find_faq(settings, registry), find_image(settings, registry)
    if isinstance(faq, Missing):
        raise PreparationFailed(f"the FAQ model {faq.name} is not registered: {faq.reason}")
    return Models(faq, image)


def _can_make_image(settings: Settings) -> bool:
    """Whether there are weights, or published ones can be asked for: spares a start the imports."""
    if settings.image.weights is not None:
        return True
    host = WEIGHTS_HOSTS[settings.image.framework]
    try:
        socket.create_connection((host, 443), NETWORK_TIMEOUT_S).close()
    except OSError:
        return False
    return True


def _prepare_in_own_process(configuration: Configuration) -> None:
    arguments = [f"{key}={value}" for key, value in configuration.changed().items()]
    command = [sys.executable, "-m", "serve_app.cli", "prepare", *arguments]
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("SCORING_")
    }
    ended = subprocess.run(command, check=False, env=environment, cwd=Path.cwd())
    if ended.returncode != 0:
        raise PreparationFailed("the models could not be prepared; the reason stands above")
