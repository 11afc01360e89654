"""`scoring image register`: checks weights, stores them as a model and registers it."""

import argparse
import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from deployments.image.config import ImageModelConfig, WeightsError
from deployments.registry import (
    DigestMismatch,
    ModelVersion,
    Registry,
    RegistryError,
)
from serve_app.cli.messages import fail, say
from serve_app.models import (
    PREPROCESSING,
    SOURCE_TAG,
    image_model_name,
    registry_of,
    source_digest,
)
from serve_app.settings import ImageSettings, Settings

OFFICIAL = "OFFICIAL"
_OFFICIAL = f"image.weights={OFFICIAL}"
"""As the option stands among the settings; as a setting, OFFICIAL would be a file."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument(
        "--architecture",
        dest="named",
        action="append",
        type="image.architecture={}".format,
        metavar="NAME",
        help="architecture, by the name of the framework (image.architecture)",
    )
    parser.add_argument(
        "--weights",
        dest="named",
        action="append",
        type="image.weights={}".format,
        metavar=f"PATH|{OFFICIAL}",
        help="file of weights (image.weights); without it, or with OFFICIAL, the published ones",
    )
    parser.add_argument(
        "--preset",
        dest="named",
        action="append",
        type="image.preset={}".format,
        metavar="NAME",
        help="torchvision weights entry whose preprocessing and labels apply (image.preset)",
    )
    parser.add_argument(
        "--labels",
        type=Path,
        metavar="FILE",
        help="text file with a label a line, in the order of the classes, in place of the preset's;"
        " for keras a JSON file like its imagenet_class_index.json",
    )


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Prints on standard output what was registered."""
    if _OFFICIAL in options.named:
        image = settings.image.model_copy(update={"weights": None})
        settings = settings.model_copy(update={"image": image})
    try:
        register_image(settings, registry_of(settings), labels=options.labels)
    except (RegistryError, WeightsError) as error:
        return fail(error)
    return 0


def register_image(settings: Settings, registry: Registry, *, labels: Path | None = None) -> None:
    """Registers `image.weights`, or the published weights, and points `image.alias` to them.

    Published weights that are registered already are not downloaded again.

    Raises:
        WeightsUnavailable: the published weights could not be downloaded
        WeightsError: weights, architecture, preset or labels cannot be used
        RegistryError: the registry cannot be used
    """
    registry.require_changeable()
    if settings.image.framework == "keras":
        _register_keras(settings, registry, labels)
    else:
        _register_torch(settings, registry, None if labels is None else read_labels(labels))


def read_labels(path: Path) -> list[str]:
    """The lines of a text file. Raises WeightsError: not readable, or a line is blank."""
    try:
        labels = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise WeightsError(f"the labels cannot be read: {path}: {error}") from error
    for number, label in enumerate(labels, start=1):
        if not label:
            raise WeightsError(f"{path}, line {number}: a label is blank")
    return labels


def _register_torch(settings: Settings, registry: Registry, labels: Sequence[str] | None) -> None:
    from deployments.image.pytorch.architectures import hash_in_name, published_preset
    from deployments.image.pytorch.download import download_weights, recommended_preset
    from deployments.image.pytorch.weights import export_weights

    image = settings.image
    if image.weights is None:
        entry = recommended_preset(image.architecture, image.preset)
        wanted = tuple(labels or entry.meta["categories"])
        if _reuse(image, registry, hash_in_name(entry.url) or entry.url, wanted):
            return
        weights = download_weights(
            image.architecture, settings.data_dir / "downloads", preset=image.preset
        )
        image = image.model_copy(update={"weights": weights})
        settings = settings.model_copy(update={"image": image})
    else:
        weights = image.weights
    with tempfile.TemporaryDirectory() as folder:
        config = export_weights(
            image.architecture,
            weights,
            Path(folder),
            preset=image.preset,
            labels=labels,
            progress=True,
        )
        source = source_digest(settings)
        _register(image, registry, Path(folder), config, source)
    if image.preset is None and not published_preset(image.architecture, source.partition(":")[0]):
        say(
            f"no preset is known to belong to {weights.name}: the preprocessing of {config.preset}"
            " is assumed; image.preset=NAME names another"
        )


def _register_keras(settings: Settings, registry: Registry, labels: Path | None) -> None:
    image = settings.image
    if image.preset is not None:
        raise WeightsError("presets are chosen for image.framework=torch alone")
    published = image.weights is None
    if published and labels is None and _reuse(image, registry, "published", None):
        return
    with tempfile.TemporaryDirectory() as folder:
        try:
            from deployments.image.keras.weights import export_keras

            config = export_keras(
                image.architecture,
                image.weights,
                Path(folder),
                downloads=settings.data_dir / "downloads",
                progress=True,
                labels=labels,
            )
        except ModuleNotFoundError as error:
            raise WeightsError(
                f"image.framework=keras needs the package {error.name}:"
                " pip install 'realtime-scoring[keras]'"
            ) from error
        source = "published:auto" if published else source_digest(settings)
        _register(image, registry, Path(folder), config, source)


def _reuse(
    image: ImageSettings, registry: Registry, source: str, labels: tuple[str, ...] | None
) -> bool:
    """Points the alias to the version made of published weights, where there is a whole one."""
    name = image_model_name(image)
    for version in registry.versions(name):
        made_of, _, preset = version.tags.get(SOURCE_TAG, "").partition(":")
        if not (made_of.startswith(source) and preset == (image.preset or "auto")):
            continue
        try:
            config = ImageModelConfig.load(registry.fetch(version))
        except DigestMismatch:
            continue
        if labels is not None and config.labels != labels:
            continue
        registry.set_alias(name, image.alias, version.version)
        _report(version, config, "registered already:")
        return True
    return False


def _register(
    image: ImageSettings, registry: Registry, folder: Path, config: ImageModelConfig, source: str
) -> None:
    version = registry.register(
        image_model_name(image),
        folder,
        metrics={},
        parameters={
            "preset": config.preset,
            PREPROCESSING: json.dumps(asdict(config.preprocessing)),
        },
        tags={SOURCE_TAG: source},
        alias=image.alias,
    )
    _report(version, config, "registered")


def _report(version: ModelVersion, config: ImageModelConfig, what: str) -> None:
    sizes = config.preprocessing
    print(f"{what} {version.name} version {version.version} ({version.digest[:19]})")
    print(f"{len(config.labels)} classes: {config.labels[0]} ... {config.labels[-1]}")
    print(
        f"preset {config.preset}: resized to {sizes.resize_size}, cropped to {sizes.crop_size},"
        f" {sizes.interpolation}",
        flush=True,
    )
