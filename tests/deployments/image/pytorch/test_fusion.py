import operator
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, fx, nn
from torchvision import models

from deployments.image.pytorch.fusion import fold_batch_norm, fuse_convolutions


def with_statistics(network: nn.Module) -> nn.Module:
    """Batch norms that do something: random affine parameters and statistics."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean = torch.randn_like(module.bias) * 0.1
            module.running_var = torch.rand_like(module.bias) + 0.5
            nn.init.uniform_(module.weight, 0.5, 1.0)
            nn.init.normal_(module.bias, std=0.1)
    return network.eval()


def channels_last(*shape: int) -> Tensor:
    return torch.randn(*shape).contiguous(memory_format=torch.channels_last)


def fused(network: nn.Module, example: Tensor) -> nn.Module:
    network = fold_batch_norm(network).to(memory_format=torch.channels_last)
    return fuse_convolutions(network, example)


@pytest.mark.parametrize(
    "architecture",
    [
        "resnet18",
        "mobilenet_v2",
        "densenet121",
        "regnet_x_400mf",
        "shufflenet_v2_x0_5",
        "squeezenet1_1",
    ],
)
def test_fused_networks_answer_as_before(architecture: str) -> None:
    torch.manual_seed(0)
    network = with_statistics(models.get_model(architecture, weights=None, num_classes=10))
    images = channels_last(3, 3, 64, 64)
    with torch.inference_mode():
        expected = network(images)
        network = fused(network, images[:1])
        for batch in (1, 2, 3):
            answer = network(images[:batch])
            torch.testing.assert_close(answer, expected[:batch], rtol=1e-4, atol=1e-4)


def test_resnet_becomes_one_operation_a_convolution() -> None:
    network = fused(models.resnet50(weights=None).eval(), channels_last(1, 3, 64, 64))
    assert isinstance(network, fx.GraphModule)
    kinds = [type(module).__name__ for module in network.children()]
    assert kinds.count("_ResidualConvolution") == 16
    assert kinds.count("_Convolution") == 53 - 16
    assert {"Conv2d", "BatchNorm2d", "ReLU"}.isdisjoint(kinds)
    assert operator.add not in [node.target for node in network.graph.nodes]


LOOKALIKES: dict[str, Callable[[Any, Tensor], Any]] = {
    "read later": lambda n, y: (n.second(y) + y) * y,
    "read later by a convolution": lambda n, y: (n.second(y) + y) * n.narrow(y),
    "an alias": lambda n, y: (n.second(y) + y.detach()) * y,
    "read through a view": lambda n, y: y.flatten(2) * (n.second(y) + y).flatten(2),
    "broadcast": lambda n, y: n.second(y) + n.narrow(y),
    "the result is broadcast": lambda n, y: n.narrow(y) + y,
    "twice the same": lambda n, y: operator.add(*[n.second(y)] * 2),
    "a number": lambda n, y: n.second(y) + 1,
    "not from a convolution": lambda n, y: n.second(y) + y.abs(),
    "another activation": lambda n, y: n.relu6(n.second(y) + y),
}
"""Additions that look like a residual's, of which only the last may overwrite a term."""


class _Lookalike(nn.Module):
    def __init__(self, end: Callable[[Any, Tensor], Any]) -> None:
        super().__init__()
        self.end = end
        self.first = nn.Conv2d(3, 4, 1)
        self.norm = nn.BatchNorm2d(4)
        self.second = nn.Conv2d(4, 4, 1)
        self.narrow = nn.Conv2d(4, 1, 1)
        self.relu6 = nn.ReLU6()

    def forward(self, x: Tensor) -> Any:
        return self.end(self, self.norm(self.first(x)))


@pytest.mark.parametrize("kind", LOOKALIKES)
def test_nothing_is_overwritten_that_is_still_read(kind: str) -> None:
    torch.manual_seed(0)
    network = with_statistics(_Lookalike(LOOKALIKES[kind]))
    images = channels_last(2, 3, 8, 8)
    before = images.clone()
    with torch.inference_mode():
        expected = network(images)
        network = fused(network, images)
        torch.testing.assert_close(network(images), expected)
        torch.testing.assert_close(network(images), expected)
    assert torch.equal(images, before)


class _Branching(nn.Module):
    """Cannot be traced: what it does depends on the data."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)
        self.norm = nn.BatchNorm2d(3)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.norm(self.conv(x))
        return -y if y.sum() > 0 else y


def test_what_cannot_be_traced_stays_as_it_is() -> None:
    network = with_statistics(_Branching())
    assert fused(network, channels_last(1, 3, 8, 8)) is network
