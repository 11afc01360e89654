"""torchvision's classification networks: built empty, then filled with weights that fit exactly."""

import importlib
import importlib.util
import re
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from deployments.image.config import WeightsError
from deployments.image.decoding import Preprocessing

# As torchvision builds them when it loads weights of its own: these two networks were ported from
# another framework and rescale their input themselves.
_PORTED: dict[str, Any] = {"transform_input": True, "aux_logits": True, "init_weights": False}
_OLD_DENSENET_KEY = re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12]\.)")
_INITIALISERS = {"normal_", "uniform_", "erfinv_", "mul_", "add_", "clamp_", "fill_", "zero_"}
_RESNETS = ("resnet", "resnext", "wide_resnet")
_PACKAGES = ("torchvision", "torchvision.models")


class _ParametersOnMeta(TorchFunctionMode):
    """Layers allocate their parameters with `torch.empty`; on meta neither that nor init costs.

    What would write initial values is skipped: on meta, torch imports its compiler for `normal_`.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if args and getattr(func, "__name__", "") in _INITIALISERS and args[0].is_meta:
            return args[0]
        if func is torch.empty and kwargs.get("device") is None:
            kwargs["device"] = "meta"
        return func(*args, **kwargs)


def build(architecture: str, classes: int, preprocessing: Preprocessing) -> nn.Module:
    """The network in eval mode with parameters on the meta device: weights are still to come.

    Raises:
        WeightsError: torchvision has no such classification architecture
    """
    arguments: dict[str, Any] = {"num_classes": classes}
    if architecture in ("googlenet", "inception_v3"):
        arguments |= _PORTED
    if architecture.startswith("vit_"):
        arguments["image_size"] = preprocessing.crop_size
    with _ParametersOnMeta():
        network = _builder(architecture)(weights=None, **arguments)
    return network.eval()


def fill(network: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Puts weights into a network that `build` made; they must fit it exactly.

    Raises:
        WeightsError: missing or unexpected keys, or wrong shapes; names the first of each
    """
    state = given = renamed(network, state)
    expected = network.state_dict()
    shared = [key for key in expected if key in given]
    misshapen = [key for key in shared if given[key].shape != expected[key].shape]
    if misshapen:
        state = {key: value for key, value in given.items() if key not in misshapen}
    if _is_a(network, "MNASNet") and not hasattr(state, "_metadata"):
        # It refuses weights that do not name their version; without one they are of today's.
        state = OrderedDict(state)
        state._metadata = expected._metadata  # type: ignore[attr-defined]
    try:
        difference = network.load_state_dict(state, strict=False, assign=True)
    except RuntimeError as error:
        lines = str(error).splitlines()
        raise WeightsError(f"the weights do not fit: {lines[-1].strip()}") from error
    missing = [key for key in difference.missing_keys if key not in misshapen]
    shapes = [f"{key} {_shape(given[key])} instead of {_shape(expected[key])}" for key in misshapen]
    complaints = [
        f"{len(found)} {kind} ({', '.join(found[:3])}{', ...' if len(found) > 3 else ''})"
        for kind, found in (
            ("missing keys", missing),
            ("unexpected keys", difference.unexpected_keys),
            ("wrong shapes", shapes),
        )
        if found
    ]
    if complaints:
        raise WeightsError(f"the weights do not fit: {'; '.join(complaints)}")


def renamed(network: nn.Module, state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """The state with the names of today: DenseNets were published with others."""
    if not _is_a(network, "DenseNet"):
        return state
    return {_OLD_DENSENET_KEY.sub(r"\1\2", key): value for key, value in state.items()}


def _builder(architecture: str) -> Callable[..., nn.Module]:
    """torchvision's function for an architecture.

    Importing torchvision imports torch's compiler, for the sake of object detection: 2.7 of 4.6 s
    that a replica's imports take. A ResNet, which this service is for, does without.
    """
    if architecture.startswith(_RESNETS) and "torchvision" not in sys.modules:
        with _bare_packages():
            module = importlib.import_module("torchvision.models.resnet")
            if hasattr(module, architecture):
                return cast(Callable[..., nn.Module], getattr(module, architecture))
    from deployments.image.pytorch.architectures import presets

    presets(architecture)  # refuses what is no classification architecture
    ordinary: Any = importlib.import_module("torchvision.models")
    return cast(Callable[..., nn.Module], ordinary.get_model_builder(architecture))


@contextmanager
def _bare_packages() -> Iterator[None]:
    """Packages of torchvision whose own code does not run; nothing of them is left afterwards."""
    spec = importlib.util.find_spec("torchvision")
    if spec is None or not spec.submodule_search_locations:
        raise WeightsError("torchvision is not installed")
    root = spec.submodule_search_locations[0]
    for name in _PACKAGES:
        package = ModuleType(name)
        package.__path__ = [root + name.removeprefix("torchvision").replace(".", "/")]
        sys.modules[name] = package
    try:
        yield
    finally:
        for name in [each for each in sys.modules if each.split(".")[0] == "torchvision"]:
            del sys.modules[name]


def _is_a(network: nn.Module, name: str) -> bool:
    return type(network).__name__ == name


def _shape(tensor: Tensor) -> str:
    return " x ".join(map(str, tensor.shape)) or "a scalar"
