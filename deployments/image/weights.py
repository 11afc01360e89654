"""From a file of weights to the folder of a model.

Nothing that is read here may run code: pickles are opened with `weights_only=True`, and what is
stored is safetensors and JSON.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from deployments.image.architectures import (
    build,
    fill,
    find_preset,
    hash_in_name,
    is_named_after,
    preprocessing_of,
)
from deployments.image.config import WEIGHTS_FILE, ImageModelConfig, WeightsError
from deployments.image.decoding import Preprocessing
from deployments.image.download import WeightsUnavailable, download_weights

__all__ = [
    "ImageModelConfig",
    "WeightsError",
    "WeightsUnavailable",
    "download_weights",
    "export_weights",
]


def export_weights(
    architecture: str, weights: Path, folder: Path, *, preset: str | None = None
) -> ImageModelConfig:
    """Checks a state dict (`.pth` or `.safetensors`) and stores it as a model in `folder`.

    The preset says which preprocessing and labels belong to the weights. Without a name it is the
    one that published this very file (by sha256), else the architecture's first. Where the
    weights have another number of classes than the preset has labels, they are called "class N".

    Raises:
        WeightsError: unknown architecture or preset; a file that is missing, damaged, not what the
            hash in its name says, not a state dict, not finite, or does not fit the architecture
    """
    if not weights.is_file():
        raise WeightsError(f"{weights} does not exist or is not a file")
    sha256 = _sha256(weights)
    entry = find_preset(architecture, preset, sha256)
    if hash_in_name(weights.name) and not is_named_after(weights.name, sha256):
        raise WeightsError(
            f"{weights.name} is damaged or was not downloaded completely: its sha256 begins with"
            f" {sha256[:8]}, not as its name says"
        )
    state = _read(weights)
    preprocessing = preprocessing_of(entry)
    classes = _count_classes(architecture, preprocessing, state)
    network = build(architecture, classes, preprocessing)
    fill(network, state)
    _check_finite(network)
    config = ImageModelConfig(architecture, entry.name, preprocessing, _labels(entry, classes))
    folder.mkdir(parents=True, exist_ok=True)
    save_file(
        {key: value.detach().clone().contiguous() for key, value in network.state_dict().items()},
        folder / WEIGHTS_FILE,
    )
    config.save(folder)
    return config


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read(path: Path) -> Mapping[str, Tensor]:
    if path.suffix == ".safetensors":
        try:
            return load_file(path)
        except (SafetensorError, OSError) as error:
            raise WeightsError(
                f"{path.name} is not a readable safetensors file: {error}"
            ) from error
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    # A damaged or foreign file makes torch.load raise nearly anything.
    except Exception as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise WeightsError(f"{path.name} is not a readable file of weights: {reason}") from error
    return _check_state_dict(content, path.name)


def _check_state_dict(content: Any, name: str) -> Mapping[str, Tensor]:
    if not isinstance(content, Mapping):
        raise WeightsError(f"{name} holds a {type(content).__name__}, not a state dict")
    if not content or not all(map(_is_weight, content.keys(), content.values())):
        hint = (
            "; it looks like a training checkpoint: save its 'state_dict' alone"
            if "state_dict" in content
            else ""
        )
        raise WeightsError(f"{name} is not a state dict of names and dense, real tensors{hint}")
    return content


def _is_weight(name: Any, value: Any) -> bool:
    return (
        isinstance(name, str)
        and isinstance(value, Tensor)
        and value.layout == torch.strided
        and value.device.type == "cpu"
        and not value.is_complex()
    )


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
