"""Full-size weights for tests, where published ones cannot be had: fitted, not trained.

Freshly initialised weights give one answer to every picture and would hide swapped items. These
give each of the pictures that they were made for its own class, with a probability near 1.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor, nn
from torchvision import models
from torchvision.models.resnet import BasicBlock, Bottleneck

from deployments.image.pytorch.architectures import find_preset, preprocessing_of

# Each residual branch adds a little to what it gets: activations stay in range through 50 blocks,
# and rounding to bfloat16 does not grow from block to block.
_BRANCH_SCALE = 0.2
_CONFIDENT_LOGIT = 20.0


def make_weights(
    architecture: str,
    path: Path,
    images: Sequence[NDArray[np.uint8]],
    *,
    seed: int = 0,
    classes: int = 1000,
) -> None:
    """Writes weights (`.pth` or `.safetensors`) that give image i the class `fitted_class` names.

    images: RGB of shape (crop_size, crop_size, 3), all different, at most as many as classes. The
    network is initialised from the seed; batch norm gets the statistics of these images, and the
    last linear layer is fitted to their features by ridge regression. Deterministic on one machine.
    """
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(seed)
        network: Any = models.get_model(architecture, weights=None, num_classes=classes)
        _shrink_branches(network)
        last = [layer for layer in network.modules() if isinstance(layer, nn.Linear)][-1]
        _fit(last, _features(network, last, _normalised(architecture, images)))
    state = {key: value.contiguous() for key, value in network.state_dict().items()}
    if path.suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save(state, path)


def fitted_class(index: int, images: int, classes: int = 1000) -> int:
    """The class of image `index` of `images`."""
    return index * (classes // images)


def make_pictures(count: int, size: int = 299, seed: int = 0) -> list[NDArray[np.uint8]]:
    """Synthetic photographs, all different: soft coloured blobs of shape (size, size, 3)."""
    random = np.random.default_rng(seed)
    coarse = torch.from_numpy(random.random((count, 3, 8, 8), dtype=np.float32) * 255)
    smooth = nn.functional.interpolate(coarse, (size, size), mode="bicubic").clamp(0, 255)
    return list(smooth.to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy())


def _shrink_branches(network: nn.Module) -> None:
    for block in network.modules():
        if isinstance(block, Bottleneck):
            block.bn3.weight.fill_(_BRANCH_SCALE)
        elif isinstance(block, BasicBlock):
            block.bn2.weight.fill_(_BRANCH_SCALE)


def _normalised(architecture: str, images: Sequence[NDArray[np.uint8]]) -> Tensor:
    preprocessing = preprocessing_of(find_preset(architecture, None))
    pixels = torch.from_numpy(np.stack(images)).float() / 255
    normalised = (pixels - torch.tensor(preprocessing.mean)) / torch.tensor(preprocessing.std)
    return normalised.permute(0, 3, 1, 2)


def _features(network: nn.Module, last: nn.Linear, batch: Tensor) -> Tensor:
    """What reaches the last layer, after batch norm has taken this batch's statistics."""
    network.eval().to(memory_format=torch.channels_last)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.train()
            layer.momentum = None  # the average over all batches seen, which is this one
    found: list[Tensor] = []
    hook = last.register_forward_pre_hook(lambda _, inputs: found.append(inputs[0]))
    network(batch)
    hook.remove()
    return found[0]


def _fit(last: nn.Linear, features: Tensor) -> None:
    """Ridge regression of centred features on one class for each row."""
    count, classes = len(features), last.out_features
    mean = features.mean(dim=0)
    centred = (features - mean).double()
    targets = torch.zeros(count, classes, dtype=torch.double)
    for row in range(count):
        targets[row, fitted_class(row, count, classes)] = _CONFIDENT_LOGIT
    gram = centred @ centred.T
    ridge = 1e-3 * gram.diagonal().mean() * torch.eye(count, dtype=torch.double)
    weight = (centred.T @ torch.linalg.solve(gram + ridge, targets)).T.float()
    last.weight.copy_(weight)
    last.bias.copy_(-weight @ mean)
