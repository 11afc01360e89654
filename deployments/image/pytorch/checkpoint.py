"""Reads a file of weights as a state dict: safetensors, or what `torch.save` writes.

The content decides, not the name. Pickles are opened with `weights_only=True`: nothing that is read
here runs code. What is refused is named for what it is, with what to do about it.
"""

import pickle
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from deployments.image.config import WeightsError

_DOWNLOAD_AGAIN = "download or copy it again"
_SAVE_STATE_DICT = "save its state dict alone: torch.save(model.state_dict(), 'weights.pth')"
_MAGIC = {
    b"\x89HDF": "is an HDF5 file, as Keras writes them; image.framework=keras reads those",
    b"\x1f\x8b": "is compressed with gzip; unpack it first",
    b"version https://git-lfs": "is a Git LFS pointer, not the file itself; fetch it: git lfs pull",
    b"<": f"is a web page, not weights; {_DOWNLOAD_AGAIN}",
}
_PICKLE, _ZIP = b"\x80", b"PK\x03\x04"
_WRAPPERS = {
    "module.": ("torch.nn.DataParallel", "model.module"),
    "_orig_mod.": ("torch.compile", "model._orig_mod"),
}
_SAFETENSORS_LENGTH_BYTES = 8


def read_state_dict(path: Path) -> Mapping[str, Tensor]:
    """The tensors of a file by their names, on the CPU.

    Raises:
        WeightsError: no such file, not readable, cut off, or not a state dict; says what it is
    """
    try:
        with path.open("rb") as file:
            beginning = file.read(64)
        return _check_state_dict(_read(path, beginning), path.name)
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror or error}") from error


def _read(path: Path, beginning: bytes) -> Any:
    if not beginning:
        raise WeightsError(f"{path.name} is empty; {_DOWNLOAD_AGAIN}")
    for magic, reason in _MAGIC.items():
        if beginning.lstrip().startswith(magic):
            raise WeightsError(f"{path.name} {reason}")
    if beginning[_SAFETENSORS_LENGTH_BYTES:].startswith(b"{"):
        return _read_safetensors(path)
    if beginning.startswith(_ZIP):
        _check_archive(path)
    elif tarfile.is_tarfile(path):
        raise WeightsError(
            f"{path.name} is a tar archive, the form of torch.save before PyTorch 0.2 or several"
            " files packed together; unpack it, or load it with the PyTorch that wrote it and"
            f" {_SAVE_STATE_DICT}"
        )
    elif not beginning.startswith(_PICKLE):
        raise WeightsError(f"{path.name} is not a file of weights (.pth or .safetensors)")
    return _load(path)


def _read_safetensors(path: Path) -> Mapping[str, Tensor]:
    try:
        tensors: dict[str, Tensor] = load_file(path)
    except SafetensorError as error:
        raise WeightsError(
            f"{path.name} is not a readable safetensors file, or is cut off: {error}"
        ) from error
    return tensors


def _check_archive(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except zipfile.BadZipFile as error:
        raise WeightsError(
            f"{path.name} is not a readable file of weights: it is a zip archive without its end,"
            f" so it was not downloaded or copied completely; {_DOWNLOAD_AGAIN}"
        ) from error
    if any(name.endswith("/constants.pkl") for name in names):
        raise WeightsError(f"{path.name} is a TorchScript program, not weights; {_SAVE_STATE_DICT}")
    if "model.weights.h5" in names:
        raise WeightsError(f"{path.name} is a Keras model; image.framework=keras reads those")
    if not any(name.endswith("/data.pkl") for name in names):
        raise WeightsError(f"{path.name} is a zip archive, but not one of torch.save")


def _load(path: Path) -> Any:
    try:
        # Not the path: PyTorch would go by its ending.
        with path.open("rb") as file:
            return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # PyTorch's own message recommends to run what the file holds.
        raise WeightsError(
            f"{path.name} is not a readable file of weights: it is damaged, or holds objects other"
            " than tensors, such as a whole model, which are not loaded because they could run"
            f" code; {_SAVE_STATE_DICT}"
        ) from error
    # A damaged file makes torch.load raise nearly anything.
    except Exception as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise WeightsError(
            f"{path.name} is not a readable file of weights, or is cut off: {reason}"
        ) from error


def _check_state_dict(content: Any, name: str) -> Mapping[str, Tensor]:
    if not isinstance(content, Mapping):
        raise WeightsError(f"{name} holds a {type(content).__name__}, not a state dict")
    if not content or not all(map(_is_weight, content.keys(), content.values())):
        hint = _checkpoint_hint(content)
        raise WeightsError(f"{name} is not a state dict of names and dense, real tensors{hint}")
    for prefix, (wrapper, inner) in _WRAPPERS.items():
        if all(key.startswith(prefix) for key in content):
            raise WeightsError(
                f"the names in {name} begin with {prefix!r}: it was saved from a model wrapped in"
                f" {wrapper}; save {inner}.state_dict() instead"
            )
    return content


def _checkpoint_hint(content: Mapping[Any, Any]) -> str:
    for key, value in content.items():
        if isinstance(value, Mapping) and any(isinstance(t, Tensor) for t in value.values()):
            others = ", ".join(str(other) for other in content if other != key)
            besides = f" beside {others}" if others else ""
            return (
                f"; it looks like a training checkpoint with the weights under {key!r}{besides}:"
                f" save its {key!r} alone: torch.save(checkpoint[{key!r}], 'weights.pth')"
            )
    return ""


def _is_weight(name: Any, value: Any) -> bool:
    return (
        isinstance(name, str)
        and isinstance(value, Tensor)
        and value.layout == torch.strided
        and value.device.type == "cpu"
        and not value.is_complex()
    )
