"""torchvision's classification architectures by name: their presets and their empty networks.

A preset is one of torchvision's weights entries (`IMAGENET1K_V1`, ...): a URL, the preprocessing
that belongs to the weights, and the labels of the classes.
"""

import difflib
import re
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torchvision import models

from deployments.image.config import WeightsError
from deployments.image.decoding import Preprocessing

# As torchvision builds them when it loads weights of its own: these two networks were ported from
# another framework and rescale their input themselves.
_PORTED: dict[str, Any] = {"transform_input": True, "aux_logits": True, "init_weights": False}
_HASHED_NAME = re.compile(r"-([0-9a-f]{8,})\.pth$")
_OLD_DENSENET_KEY = re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12]\.)")


class _ParametersOnMeta(TorchFunctionMode):
    """Layers allocate their parameters with `torch.empty`; on meta neither that nor init costs."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func is torch.empty and kwargs.get("device") is None:
            kwargs["device"] = "meta"
        return func(*args, **kwargs)


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
        published = (p for p in members.values() if sha256 and is_named_after(p.url, sha256))
        return next(published, next(iter(members.values())))
    if name not in members:
        raise WeightsError(f"{architecture} has no preset {name!r}; it has {', '.join(members)}")
    return members[name]


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


def build(architecture: str, classes: int, preprocessing: Preprocessing) -> nn.Module:
    """The network in eval mode with parameters on the meta device: weights are still to come.

    Raises:
        WeightsError: torchvision has no such classification architecture
    """
    presets(architecture)
    arguments: dict[str, Any] = {"num_classes": classes}
    if architecture in ("googlenet", "inception_v3"):
        arguments |= _PORTED
    if architecture.startswith("vit_"):
        arguments["image_size"] = preprocessing.crop_size
    with _ParametersOnMeta():
        network: nn.Module = models.get_model(architecture, weights=None, **arguments)
    return network.eval()


def fill(network: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Puts weights into a network that `build` made; they must fit it exactly.

    Raises:
        WeightsError: missing or unexpected keys, or wrong shapes; names the first of each
    """
    if isinstance(network, models.DenseNet):
        state = {_OLD_DENSENET_KEY.sub(r"\1\2", key): value for key, value in state.items()}
    if isinstance(network, models.MNASNet) and not hasattr(state, "_metadata"):
        # It refuses weights that do not name their version; without one they are of today's.
        versions = network.state_dict()._metadata
        state = OrderedDict(state)
        state._metadata = versions  # type: ignore[attr-defined]
    try:
        difference = network.load_state_dict(state, strict=False, assign=True)
    except RuntimeError as error:
        lines = str(error).splitlines()
        raise WeightsError(f"the weights do not fit: {lines[-1].strip()}") from error
    complaints = [
        f"{len(keys)} {kind} keys ({', '.join(keys[:3])}{', ...' if len(keys) > 3 else ''})"
        for kind, keys in (
            ("missing", difference.missing_keys),
            ("unexpected", difference.unexpected_keys),
        )
        if keys
    ]
    if complaints:
        raise WeightsError(f"the weights do not fit: {'; '.join(complaints)}")
