"""torch as an engine: chooses device, precision and execution; computes on CPUs.

`deployments.image.pytorch.cuda_engine` computes on GPUs.
"""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from deployments.image import processor
from deployments.image.config import ImageModelConfig
from deployments.image.engine import Engine, OutOfDeviceMemory, Pixels
from deployments.image.pytorch.fusion import fuse_convolutions
from deployments.image.pytorch.pixel_network import DTYPES, PixelNetwork, load_network
from deployments.image.sizes import pass_s

CPU = torch.device("cpu")
CPU_EXECUTIONS = ("eager", "fused", "compiled")
GPU_EXECUTIONS = ("eager", "graphs", "compiled")
_NO_MEMORY = ("can't allocate memory", "not enough memory", "could not create a memory")
"""What torch's and oneDNN's allocators say on a CPU, in plain RuntimeErrors."""


class CpuEngine:
    """A network on this process's CPU threads. Not to be called from two threads at a time."""

    device = "cpu"
    concurrency = 1

    def __init__(
        self, network: PixelNetwork, crop_size: int, precision: str, execution: str
    ) -> None:
        self.precision = precision
        self.execution = execution
        self.pads = execution == "compiled"
        self._network: Callable[[Tensor], Tensor] = network
        if self.pads:
            # Freezing lets the compiler fold constants into weights, as `fuse_convolutions` does.
            self._network = torch.compile(network, dynamic=False, options={"freezing": True})
        self._prepared: list[int] = []
        self._black = np.zeros((crop_size, crop_size, 3), dtype=np.uint8)

    def prepare(self, size: int) -> None:
        """Compiles a network that is to be compiled, for this size."""
        self._prepared = sorted({*self._prepared, size})
        if self.pads:
            self.logits([self._black] * size)

    def logits(self, images: Sequence[Pixels]) -> NDArray[np.float32]:
        """See `Engine.logits`."""
        padding = padded(len(images), self._prepared) - len(images) if self.pads else 0
        try:
            with torch.inference_mode():
                pixels = torch.from_numpy(np.stack([*images, *[images[0]] * padding]))
                logits = self._network(pixels)
        except (MemoryError, RuntimeError) as error:
            if isinstance(error, MemoryError) or any(text in str(error) for text in _NO_MEMORY):
                raise OutOfDeviceMemory(f"no memory for {len(images)} pictures") from error
            raise
        return logits.numpy()[: len(images)]


def padded(size: int, prepared: Iterable[int]) -> int:
    """The smallest prepared size that holds `size` pictures, or `size` where none does."""
    return min((each for each in prepared if each >= size), default=size)


def load_engine(
    folder: Path,
    config: ImageModelConfig,
    *,
    device: str = "auto",
    precision: str = "auto",
    execution: str = "auto",
    threads: int | None = None,
) -> Engine:
    """The engine for a stored torchvision model; see `ImageClassifier.load` for the arguments.

    Raises:
        WeightsError: the folder's files are missing, damaged or do not belong together
        ValueError: no such device, precision or execution here
        OutOfDeviceMemory: the device cannot hold the model
    """
    if threads is not None:
        torch.set_num_threads(threads)
    target = choose_device(device)
    executions = _executions(execution, target)
    precisions = possible_precisions(precision, target)
    if target.type == "cuda":
        from deployments.image.pytorch.cuda_engine import CudaEngine

        network = load_network(folder, config)
        return CudaEngine.load(network, config, target, precisions[0], executions)
    return _fastest_on_cpu(folder, config, precisions, executions)


def choose_device(name: str) -> torch.device:
    """Raises ValueError for a device that torch does not see here."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ValueError(f"device must be auto, cpu, cuda or cuda:N, not {name!r}") from error
    if device.type not in ("cpu", "cuda"):
        raise ValueError(f"device must be auto, cpu, cuda or cuda:N, not {name!r}")
    if device.type == "cuda":
        device = torch.device("cuda", device.index or 0)
        if device.index >= torch.cuda.device_count():
            raise ValueError(f"torch sees no CUDA device {name!r} here")
    return device


def possible_precisions(name: str, device: torch.device) -> tuple[str, ...]:
    """The precisions to choose from, the one that should be fastest first.

    "auto" are those that keep the answers: bfloat16 where the device multiplies it natively (GPUs
    since Ampere, processors with AVX512-BF16 or AMX), else float16 on a GPU; and float32 on a CPU.

    Raises:
        ValueError: no such precision, or the CPU does not have it
    """
    automatic: tuple[str, ...]
    if device.type == "cuda":
        native = torch.cuda.get_device_capability(device) >= (8, 0)
        automatic, possible = ("bfloat16" if native else "float16",), tuple(DTYPES)
    elif processor.multiplies_bfloat16():
        automatic = possible = ("bfloat16", "float32")
    else:
        automatic = possible = ("float32",)
    if name == "auto":
        return automatic
    if name not in possible:
        raise ValueError(
            f"precision {name!r} is not possible on this {device.type}:"
            f" choose auto or {' or '.join(possible)}"
        )
    return (name,)


def _executions(name: str, device: torch.device) -> tuple[str, ...]:
    possible = GPU_EXECUTIONS if device.type == "cuda" else CPU_EXECUTIONS
    if name == "auto":
        return possible[:2]  # compiling takes minutes
    if name not in possible:
        raise ValueError(
            f"execution {name!r} is not possible on this {device.type}:"
            f" choose auto or {' or '.join(possible)}"
        )
    return (name,)


def _fastest_on_cpu(
    folder: Path, config: ImageModelConfig, precisions: Sequence[str], executions: Sequence[str]
) -> CpuEngine:
    """Compares the precisions as they are, then plain and fused execution in the faster one."""
    network = load_network(folder, config)
    size = config.preprocessing.crop_size
    seconds: dict[str, float] = {}
    if len(precisions) > 1:
        # From more to fewer bits, because the network is converted in place.
        for name in reversed(precisions):
            form = PixelNetwork(network, config.preprocessing, name, CPU)
            seconds[name] = pass_s(CpuEngine(form, size, name, "eager"), size)
    precision = min(precisions, key=lambda name: seconds.get(name, 0))
    if precision != precisions[0]:
        network = load_network(folder, config)
    pixels = PixelNetwork(network, config.preprocessing, precision, CPU)
    if executions == ("eager",) or executions == ("compiled",):
        return CpuEngine(pixels, size, precision, executions[0])
    plain_s = pass_s(CpuEngine(pixels, size, precision, "eager"), size)
    fused = CpuEngine(_fuse(pixels, size, precision), size, precision, "fused")
    if executions == ("fused",) or pass_s(fused, size) < plain_s:
        return fused
    return _fastest_on_cpu(folder, config, (precision,), ("eager",))


def _fuse(pixels: PixelNetwork, size: int, precision: str) -> PixelNetwork:
    with torch.inference_mode():
        example = torch.zeros(1, 3, size, size, dtype=DTYPES[precision])
        pixels.network = fuse_convolutions(
            pixels.network, example.contiguous(memory_format=torch.channels_last)
        )
    return pixels
