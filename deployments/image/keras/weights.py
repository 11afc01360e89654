"""From a file of keras weights to the folder of a model.

Nothing that is read here may run code: the network is built by its name, and of a `.keras` file
only the arrays are read, by keras' own reader. What is stored is safetensors and JSON.
"""

import os
import subprocess
import sys
import tempfile
import warnings
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from safetensors.numpy import save_file

from deployments.image.config import WEIGHTS_FILE, ImageModelConfig, WeightsError
from deployments.image.keras.architectures import (
    build,
    canonical_name,
    difference,
    preprocessing_of,
)
from deployments.image.keras.labels import labels_of
from deployments.image.pytorch.download import WeightsUnavailable

_MOST_EXPANSION = 100  # weights hardly shrink in an archive
_USUAL_CLASSES = 1000
_DOWNLOAD_S = 3600
# Keras fetches, checks and reads its files itself, and takes the folder from the environment.
_DOWNLOAD = """
import sys, keras
network = getattr(keras.applications, sys.argv[1])(weights="imagenet")
network.save_weights(sys.argv[2])
"""

_Layers = dict[str, tuple[tuple[int, ...], ...]]
"""Shapes of the arrays of each layer, by its name."""


def export_keras(
    architecture: str,
    weights: Path | None,
    folder: Path,
    *,
    downloads: Path,
    progress: bool = True,
    labels: Path | None = None,
) -> ImageModelConfig:
    """Checks weights of a classifier of keras.applications and stores it as a model in `folder`.

    architecture: its name in keras.applications, in any case. weights: `.weights.h5`, `.h5` or
    `.keras`; None takes keras' published ones, fetched into `downloads`. labels: a JSON file like
    keras' imagenet_class_index.json; see `labels_of` for what holds without one.

    Raises:
        WeightsError: an unknown architecture, or a file that is missing, damaged, foreign, not
            finite, or does not fit the architecture
        WeightsUnavailable: the published weights cannot be fetched; says which file to bring
    """
    name = canonical_name(architecture)
    published = weights is None
    path = _published(name, downloads, progress=progress) if weights is None else weights
    with _as_h5(path) as file:
        found = _layers(file)
        classes = _count_classes(name, found)
        network = build(name, classes)
        _load(network, file, found, path.name)
    arrays = {variable.path: variable.numpy() for variable in network.weights}
    for key, array in arrays.items():
        if not np.isfinite(array).all():
            raise WeightsError(f"the weights hold values that are not finite, in {key}")
    config = ImageModelConfig(
        architecture=name,
        preset="imagenet" if published else "",
        preprocessing=preprocessing_of(network),
        labels=labels_of(classes, labels, downloads),
        framework="keras",
    )
    folder.mkdir(parents=True, exist_ok=True)
    save_file(arrays, folder / WEIGHTS_FILE)
    config.save(folder)
    return config


def _published(architecture: str, downloads: Path, *, progress: bool) -> Path:
    path = downloads / f"{architecture}-imagenet.weights.h5"
    if path.is_file():
        return path
    downloads.mkdir(parents=True, exist_ok=True)
    partial = downloads / f"{architecture}-imagenet.{os.getpid()}.weights.h5"
    try:
        download = subprocess.run(
            [sys.executable, "-c", _DOWNLOAD, architecture, str(partial)],
            env=os.environ | {"KERAS_HOME": str(downloads / "keras")},
            stdout=None if progress else subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            timeout=_DOWNLOAD_S,
        )
        reason = (download.stderr.strip().splitlines() or ["no reason given"])[-1]
        if download.returncode:
            raise WeightsUnavailable(
                f"keras' published weights of {architecture} could not be downloaded: {reason}."
                " Download that file where there is a network, then start with"
                " image.weights=/path/to/that/file.h5"
            )
        partial.replace(path)
    except subprocess.TimeoutExpired as error:
        raise WeightsUnavailable(
            f"keras' published weights of {architecture} took more than {_DOWNLOAD_S} s"
        ) from error
    finally:
        partial.unlink(missing_ok=True)
    return path


@contextmanager
def _as_h5(path: Path) -> Iterator[Path]:
    """The HDF5 file itself; that within a `.keras` archive is unpacked for the time being."""
    if not path.is_file():
        raise WeightsError(f"{path} does not exist or is not a file")
    if path.suffix not in (".h5", ".keras"):
        raise WeightsError(f"{path.name} must end in .weights.h5, .h5 or .keras, as keras writes")
    if path.suffix == ".h5":
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        try:
            with zipfile.ZipFile(path) as archive:
                entry = archive.getinfo("model.weights.h5")
                if entry.file_size > _MOST_EXPANSION * entry.compress_size:
                    raise WeightsError(f"{path.name} unpacks to {entry.file_size} bytes")
                unpacked = Path(archive.extract(entry, folder))
        # KeyError: no such entry; zlib.error, EOFError: damaged ones.
        except (OSError, KeyError, EOFError, zlib.error, zipfile.BadZipFile) as error:
            raise WeightsError(f"{path.name} is not a readable .keras file: {error}") from error
        yield unpacked


def _layers(path: Path) -> _Layers:
    shapes: dict[str, list[tuple[int, ...]]] = defaultdict(list)

    def visit(name: str, item: Any) -> None:
        if not isinstance(item, h5py.Dataset):
            return
        parts = name.removeprefix("model_weights/").split("/")
        # What training and dropout left in the file is no weight of a layer.
        if parts[0].startswith("optimizer") or "seed_generator" in parts:
            return
        # Since version 3 keras numbers layers by class and keeps their names as attributes.
        layer = item.parent.attrs.get("name", parts[1]) if parts[0] == "layers" else parts[0]
        shapes[str(layer)].append(tuple(item.shape))

    try:
        with h5py.File(path) as file:
            file.visititems(visit)
    # RuntimeError is what h5py makes of damage that it meets on the way.
    except (OSError, KeyError, RuntimeError) as error:
        raise WeightsError(
            f"{path.name} is not a readable file of keras weights: {error}"
        ) from error
    return {name: tuple(sorted(found)) for name, found in shapes.items()}


def _count_classes(architecture: str, found: _Layers) -> int:
    """The last axis of the last layer's arrays, whose name is looked up in the file."""
    *_, last = build(architecture, _USUAL_CLASSES, empty=True).weights
    shapes = found.get(last.path.split("/")[0])
    return shapes[0][-1] if shapes and shapes[0] else _USUAL_CLASSES


def _load(network: Any, file: Path, found: _Layers, name: str) -> None:
    expected = {
        layer.name: tuple(sorted(tuple(variable.shape) for variable in layer.weights))
        for layer in network.layers
        if layer.weights
    }
    complaint = difference(expected, found)
    try:
        with warnings.catch_warnings():
            # It warns of each layer that it does not find, and then raises.
            warnings.simplefilter("ignore", UserWarning)
            network.load_weights(file)
    # What a damaged or foreign file makes keras raise is an open set.
    except Exception as error:
        reason = complaint or (str(error).splitlines() or [type(error).__name__])[0]
        raise WeightsError(f"{name} does not fit {network.name}: {reason}") from error
    # Keras passes over what it does not look for; names alone may differ, by their numbers.
    if sorted(found.values()) != sorted(expected.values()):
        raise WeightsError(f"{name} does not fit {network.name}: {complaint}")
