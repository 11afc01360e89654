"""From a file of weights to the folder of a model.

Nothing that is read here may run code: pickles are opened with `weights_only=True`, and what is
stored is safetensors and JSON.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from deployments.image.config import WEIGHTS_FILE, ImageModelConfig, WeightsError
from deployments.image.decoding import Preprocessing
from deployments.image.pytorch.architectures import (
    find_preset,
    hash_in_name,
    is_named_after,
    preprocessing_of,
    recognise,
)
from deployments.image.pytorch.checkpoint import read_state_dict
from deployments.image.pytorch.download import WeightsUnavailable, download_weights, file_sha256
from deployments.image.pytorch.networks import build, fill

__all__ = [
    "ImageModelConfig",
    "WeightsError",
    "WeightsUnavailable",
    "download_weights",
    "export_weights",
]

_OTHER_NETWORK = 10
"""So many odd keys are no slip: the weights are of another network."""


def export_weights(
    architecture: str,
    weights: Path,
    folder: Path,
    *,
    preset: str | None = None,
    labels: Sequence[str] | None = None,
    progress: bool = False,
) -> ImageModelConfig:
    """Checks a state dict (`.pth` or `.safetensors`) and stores it as a model in `folder`.

    The preset says which preprocessing and labels belong to the weights. Without a name it is the
    one that published this very file (by sha256), else the architecture's first. `labels` replaces
    the preset's; where there are none for the weights' number of classes, they are "class N".
    Tensors keep their type and are stored so that they can be mapped into memory.

    Raises:
        WeightsError: unknown architecture or preset; a file that is missing, damaged, not what the
            hash in its name says, not a state dict, not finite, or does not fit the architecture;
            another number of labels than of classes
    """
    find_preset(architecture, preset)  # a wrong name need not wait for the reading
    sha256 = _sha256(weights, progress=progress)
    entry = find_preset(architecture, preset, sha256)
    if hash_in_name(weights.name) and not is_named_after(weights.name, sha256):
        raise WeightsError(
            f"{weights.name} is damaged or was not downloaded completely: its sha256 begins with"
            f" {sha256[:8]}, not as its name says; download it again"
        )
    state = read_state_dict(weights)
    preprocessing = preprocessing_of(entry)
    classes = _count_classes(architecture, preprocessing, state)
    network = build(architecture, classes, preprocessing)
    _fill(network, state, architecture)
    _check_finite(network)
    names = _labels(entry, classes) if labels is None else tuple(labels)
    if len(names) != classes:
        raise WeightsError(f"the weights have {classes} classes, but there are {len(names)} labels")
    config = ImageModelConfig(architecture, entry.name, preprocessing, names)
    folder.mkdir(parents=True, exist_ok=True)
    save_file(
        {key: value.detach().clone().contiguous() for key, value in network.state_dict().items()},
        folder / WEIGHTS_FILE,
    )
    config.save(folder)
    return config


def _sha256(weights: Path, *, progress: bool) -> str:
    if not weights.exists():
        raise WeightsError(f"{weights} does not exist")
    if not weights.is_file():
        raise WeightsError(f"{weights} is not a file of weights but a folder, or something else")
    try:
        return file_sha256(weights, progress=progress)
    except OSError as error:
        raise WeightsError(f"{weights} cannot be read: {error.strerror or error}") from error


def _fill(network: nn.Module, state: Mapping[str, Tensor], architecture: str) -> None:
    try:
        fill(network, state)
    except WeightsError as error:
        # Looked for only where keys or shapes are of another network: it takes seconds.
        expected = network.state_dict()
        odd = expected.keys() ^ state.keys()
        odd |= {k for k in expected.keys() & state if expected[k].shape != state[k].shape}
        found = recognise(state, architecture) if len(odd) >= _OTHER_NETWORK else None
        hint = f"; they look like those of {found}: image.architecture={found}" if found else ""
        raise WeightsError(f"{architecture}: {error}{hint}") from error


def _count_classes(
    architecture: str, preprocessing: Preprocessing, state: Mapping[str, Tensor]
) -> int:
    """The last parameter of every torchvision classifier has one row a class."""
    usual = 1000
    network = build(architecture, usual, preprocessing)
    *_, (last, _) = network.named_parameters()
    return state[last].shape[0] if last in state and state[last].ndim else usual


def _check_finite(network: nn.Module) -> None:
    for name, value in network.state_dict().items():
        if not torch.isfinite(value).all():
            raise WeightsError(f"the weights hold values that are not finite, in {name}")


def _labels(preset: Any, classes: int) -> tuple[str, ...]:
    categories = preset.meta.get("categories") or ()
    if len(categories) == classes:
        return tuple(categories)
    return tuple(f"class {index}" for index in range(classes))
