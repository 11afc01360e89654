"""torch as an engine: chooses device, precision and execution; computes on CPUs.

`deployments.image.pytorch.cuda_engine` computes on GPUs.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
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
RACE_S = 0.3
"""Passes of each form are repeated for as long: other replicas start on the machine meanwhile."""

MUCH_SLOWER = 1.1
"""Fused operations do less; that they seem a little slower is most likely somebody else's doing."""

_NO_MEMORY = ("can't allocate memory", "not enough memory", "could not create a memory")
"""What torch's and oneDNN's allocators say on a CPU, in plain RuntimeErrors."""


class CpuEngine:
    """A network on the CPU threads that torch had when it was made.

    A pass that is alone takes all of them. Passes that overlap share them: they need fewer threads
    to wait for each other at every layer, and none stands still when another process takes a core.
    """

    device = "cpu"

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
        self._threads = torch.get_num_threads()
        # A compiled network is compiled for its number of threads.
        most = 1 if self.pads else self._threads
        self.concurrencies = tuple(2**n for n in range(most.bit_length()))
        self.concurrency = 1
        self._under_way = 0
        self._counting = threading.Lock()
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
            with self._share_of_threads(), torch.inference_mode():
                pixels = torch.from_numpy(np.stack([*images, *[images[0]] * padding]))
                logits = self._network(pixels)
        except (MemoryError, RuntimeError) as error:
            if isinstance(error, MemoryError) or any(text in str(error) for text in _NO_MEMORY):
                raise OutOfDeviceMemory(f"no memory for {len(images)} pictures") from error
            raise
        return logits.numpy()[: len(images)]

    @contextmanager
    def _share_of_threads(self) -> Iterator[None]:
        with self._counting:
            alone = self._under_way == 0
            self._under_way += 1
        # The first call in a thread sets it to what the process has; then it can be set apart.
        torch.get_num_threads()
        torch.set_num_threads(self._threads if alone else max(1, self._threads // self.concurrency))
        try:
            yield
        finally:
            with self._counting:
                self._under_way -= 1


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
            plain = CpuEngine(form, size, name, "eager")
            seconds[name] = pass_s(plain, size, enough_s=RACE_S)
    precision = min(precisions, key=lambda name: seconds.get(name, 0))
    if precision != precisions[0]:
        network = load_network(folder, config)
    pixels = PixelNetwork(network, config.preprocessing, precision, CPU)
    if len(executions) == 1:
        form = _fuse(pixels, size, precision) if executions == ("fused",) else pixels
        return CpuEngine(form, size, precision, executions[0])
    plain = CpuEngine(pixels, size, precision, "eager")
    plain_s = seconds.get(precision) or pass_s(plain, size, enough_s=RACE_S)
    fused = CpuEngine(_fuse(pixels, size, precision), size, precision, "fused")
    if pass_s(fused, size, enough_s=RACE_S) < MUCH_SLOWER * plain_s:
        return fused
    return _fastest_on_cpu(folder, config, (precision,), ("eager",))


def _fuse(pixels: PixelNetwork, size: int, precision: str) -> PixelNetwork:
    with torch.inference_mode():
        example = torch.zeros(1, 3, size, size, dtype=DTYPES[precision])
        pixels.network = fuse_convolutions(
            pixels.network, example.contiguous(memory_format=torch.channels_last)
        )
    return pixels
