"""torchvision's classification architectures by name: their presets, and which of them fits.

A preset is one of torchvision's weights entries (`IMAGENET1K_V1`, ...): a URL, the preprocessing
that belongs to the weights, and the labels of the classes.
"""

import difflib
import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor
from torchvision import models

from deployments.image.config import WeightsError
from deployments.image.decoding import Preprocessing
from deployments.image.pytorch.networks import build, renamed

_HASHED_NAME = re.compile(r"-([0-9a-f]{8,})\.pth$")
_CLASSIFIER_TENSORS = 2


def presets(architecture: str) -> dict[str, models.WeightsEnum]:
    """The presets of a classification architecture, oldest first.

    Raises:
        WeightsError: torchvision has no such classification architecture
    """
    known = models.list_models(module=models)
    if architecture in known:
        return dict(models.get_model_weights(architecture).__members__)
    if architecture in models.list_models():
        raise WeightsError(f"{architecture} is not a classification architecture of torchvision")
    near = difflib.get_close_matches(architecture, known, n=5, cutoff=0.5)
    hint = f"; did you mean {', '.join(near)}?" if near else f"; known are {', '.join(known)}"
    raise WeightsError(f"torchvision has no architecture {architecture!r}{hint}")


def find_preset(architecture: str, name: str | None, sha256: str | None = None) -> Any:
    """The preset called `name`; without a name the one whose file has this sha256, else the first.

    Raises:
        WeightsError: unknown architecture or preset
    """
    members = presets(architecture)
    if name is None:
        return published_preset(architecture, sha256) or next(iter(members.values()))
    if name not in members:
        raise WeightsError(f"{architecture} has no preset {name!r}; it has {', '.join(members)}")
    return members[name]


def published_preset(architecture: str, sha256: str | None) -> Any | None:
    """The preset that published the file with this sha256.

    Raises:
        WeightsError: unknown architecture
    """
    members = presets(architecture).values()
    return next((p for p in members if sha256 and is_named_after(p.url, sha256)), None)


def is_named_after(file_name: str, sha256: str) -> bool:
    """Whether a published file's name ends in the first digits of this sha256."""
    digits = hash_in_name(file_name)
    return digits is not None and sha256.startswith(digits)


def hash_in_name(file_name: str) -> str | None:
    """`f82ba261` of `resnet152-f82ba261.pth`: the first digits of the sha256 it should have."""
    match = _HASHED_NAME.search(file_name)
    return match[1] if match else None


def preprocessing_of(preset: Any) -> Preprocessing:
    transforms = preset.transforms()
    return Preprocessing(
        resize_size=transforms.resize_size[0],
        crop_size=transforms.crop_size[0],
        interpolation=transforms.interpolation.value,
        mean=tuple(transforms.mean),
        std=tuple(transforms.std),
    )


def recognise(state: Mapping[str, Tensor], near: str) -> str | None:
    """The architecture that has these keys and, but for the classifier, these shapes.

    Tries all of them, those whose names are like `near` first: up to some seconds.
    """

    def distance(name: str) -> float:
        return -difflib.SequenceMatcher(None, near, name).ratio()

    known: list[str] = models.list_models(module=models)
    for name in sorted(known, key=distance):
        network = build(name, 1000, preprocessing_of(find_preset(name, None)))
        expected = network.state_dict()
        given = renamed(network, state)
        # Files from before PyTorch 0.4 do not have these counters.
        if {k for k in expected.keys() ^ given.keys() if not k.endswith("num_batches_tracked")}:
            continue
        differing = sum(given[key].shape != expected[key].shape for key in given.keys() & expected)
        if differing <= _CLASSIFIER_TENSORS:
            return name
    return None
