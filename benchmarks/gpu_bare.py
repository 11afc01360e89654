"""The bare model on one device: torchvision's network as PyTorch runs it fastest.

Nothing of the application's engine is used here; it is what the engine is measured against. The
batch lies on the device, normalised, before the clock starts.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torchvision import models

STEPS_PER_LOOK = 10
"""Forward passes between two waits for the device, so that the next one is queued in time."""
CALIBRATION = 8
SEED = 0

Forward = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Speed:
    """One form of the bare model at one batch size."""

    form: str
    batch: int
    images_per_s: float
    batch_ms: float


def seeded_network(architecture: str, crop_size: int) -> nn.Module:
    """A float32 network in eval mode whose activations have the range of trained ones.

    Fresh weights grow from block to block beyond what float16 holds, so batch norm takes the
    statistics of random pictures first.
    """
    torch.manual_seed(SEED)
    network: nn.Module = models.get_model(architecture, weights=None)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = None  # the average over all batches seen, which is this one
    with torch.no_grad():
        network.train()(torch.randn(CALIBRATION, 3, crop_size, crop_size))
    return network.eval()


def measure_forms(
    network: nn.Module,
    crop_size: int,
    device: torch.device,
    batch_sizes: Sequence[int],
    seconds: float,
    *,
    compiles: bool,
) -> Iterator[Speed]:
    """Images/s in bfloat16 and channels last: eager, as a CUDA graph, and compiled.

    Compiling takes minutes for each size, so it is tried at the fastest size of the others alone.
    """
    torch.backends.cudnn.benchmark = True
    network = network.to(device, torch.bfloat16).to(memory_format=torch.channels_last)
    fastest: Speed | None = None
    for size in batch_sizes:
        batch = _batch(size, crop_size, device)
        try:
            speeds = list(_uncompiled(network, batch, seconds))
        except torch.cuda.OutOfMemoryError:
            return
        yield from speeds
        fastest = max(
            [*speeds, *([fastest] if fastest else [])], key=lambda each: each.images_per_s
        )
    if compiles and fastest is not None:
        batch = _batch(fastest.batch, crop_size, device)
        compiled: Forward = torch.compile(network)
        yield _speed("compiled", compiled, batch, seconds)
        if device.type == "cuda":
            yield _speed("compiled, graph", _graph(compiled, batch), batch, seconds)


def wait_for(device: torch.device) -> None:
    """Until everything that was queued on the device is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _uncompiled(network: nn.Module, batch: Tensor, seconds: float) -> Iterator[Speed]:
    yield _speed("eager", network, batch, seconds)
    if batch.device.type == "cuda":
        yield _speed("graph", _graph(network, batch), batch, seconds)


def _batch(size: int, crop_size: int, device: torch.device) -> Tensor:
    pixels = torch.randn(size, 3, crop_size, crop_size, device=device, dtype=torch.bfloat16)
    return pixels.contiguous(memory_format=torch.channels_last)


def _graph(network: Forward, batch: Tensor) -> Forward:
    """The forward pass recorded once, replayed without launching its kernels one by one."""
    with torch.inference_mode():
        side = torch.cuda.Stream(batch.device)
        side.wait_stream(torch.cuda.current_stream(batch.device))
        with torch.cuda.stream(side):  # recording needs warm kernels, on a stream of its own
            for _ in range(3):
                network(batch)
        torch.cuda.current_stream(batch.device).wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            answer = network(batch)

    def replay(_batch: Tensor) -> Tensor:
        graph.replay()
        return answer

    return replay


def _speed(form: str, forward: Forward, batch: Tensor, seconds: float) -> Speed:
    device = batch.device
    with torch.inference_mode():
        for _ in range(3):
            forward(batch)
        wait_for(device)
        passes, started = 0, time.perf_counter()
        while time.perf_counter() - started < seconds:
            for _ in range(STEPS_PER_LOOK if device.type == "cuda" else 1):
                forward(batch)
                passes += 1
            wait_for(device)
        elapsed_s = time.perf_counter() - started
    return Speed(form, len(batch), passes * len(batch) / elapsed_s, 1000 * elapsed_s / passes)
