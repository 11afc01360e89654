"""The image model as a plain object: pixels in, labels with probabilities out. No Ray."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from deployments.image.architectures import build, fill
from deployments.image.config import WEIGHTS_FILE, ImageModelConfig, WeightsError
from deployments.image.fusion import fold_batch_norm, fuse_convolutions

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class Prediction:
    class_index: int
    label: str
    probability: float


class ImageClassifier:
    """A torchvision classifier on one device. Not to be called from two threads at a time."""

    def __init__(
        self, network: nn.Module, config: ImageModelConfig, device: torch.device, dtype: torch.dtype
    ) -> None:
        """`network` must already be on the device, in that precision and in eval mode."""
        self.config = config
        self.device = device
        self.precision = str(dtype).removeprefix("torch.")
        self._network = network
        self._dtype = dtype
        self._mean = 255 * torch.tensor(config.preprocessing.mean, device=device)
        self._std = 255 * torch.tensor(config.preprocessing.std, device=device)

    @classmethod
    def load(
        cls,
        folder: Path,
        *,
        device: str = "auto",
        precision: str = "auto",
        threads: int | None = None,
    ) -> "ImageClassifier":
        """The model that `export_weights` stored in `folder`.

        device: "auto" is CUDA where there is one, else the CPU. precision: see `choose_precision`.
        threads: CPU threads for torch, which holds for the whole process; None leaves them alone.

        Raises:
            WeightsError: the folder's files are missing, damaged or do not belong together
            ValueError: no such device or precision here
        """
        if threads is not None:
            torch.set_num_threads(threads)
        target = choose_device(device)
        dtype = _DTYPES[choose_precision(precision, target)]
        config = ImageModelConfig.load(folder)
        with torch.inference_mode():
            network = _load_network(folder, config)
            network = fold_batch_norm(network.float())
            network = network.to(target, dtype).to(memory_format=torch.channels_last)
            if target.type == "cpu":
                size = config.preprocessing.crop_size
                example = torch.zeros(1, 3, size, size, dtype=dtype)
                network = fuse_convolutions(
                    network, example.contiguous(memory_format=torch.channels_last)
                )
        return cls(network, config, target, dtype)

    def classify(
        self, images: Sequence[NDArray[np.uint8]], top_k: Sequence[int]
    ) -> list[tuple[Prediction, ...]]:
        """For each picture its `top_k` most probable classes, best first, in one forward pass.

        images: RGB arrays of shape (crop_size, crop_size, 3), as `decode` makes them; top_k: one
        number for each picture, of at least 1; where it exceeds the classes, all are returned.

        Raises:
            ValueError: a picture of another shape or type, or a wrong top_k
        """
        if len(images) != len(top_k) or (top_k and min(top_k) < 1):
            raise ValueError("top_k must hold one number of at least 1 for each picture")
        if not images:
            return []
        with torch.inference_mode():
            probabilities = self._forward(images).softmax(dim=1)
            most = min(max(top_k), probabilities.shape[1])
            best, classes = (found.tolist() for found in probabilities.topk(most, dim=1))
        return [
            tuple(
                Prediction(index, self.config.labels[index], probability)
                for index, probability in zip(indices[:count], row[:count], strict=True)
            )
            for indices, row, count in zip(classes, best, top_k, strict=True)
        ]

    def logits(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """What the network says before softmax: shape (pictures, classes)."""
        with torch.inference_mode():
            return self._forward(images).cpu().numpy()

    def warm_up(self, batch_sizes: Iterable[int]) -> None:
        """Runs each size once, so that no caller pays for what a first forward pass sets up."""
        size = self.config.preprocessing.crop_size
        black = np.zeros((size, size, 3), dtype=np.uint8)
        for batch_size in batch_sizes:
            self.logits([black] * batch_size)

    def _forward(self, images: Sequence[NDArray[np.uint8]]) -> Tensor:
        size = self.config.preprocessing.crop_size
        if any(image.shape != (size, size, 3) or image.dtype != np.uint8 for image in images):
            raise ValueError(f"every picture must be uint8 of shape ({size}, {size}, 3)")
        pixels = torch.from_numpy(np.stack(images))
        if self.device.type == "cuda":
            pixels = pixels.pin_memory().to(self.device, non_blocking=True)
        normalised = (pixels.float() - self._mean) / self._std
        # A permuted (batch, height, width, channels) tensor is one in channels-last format.
        batch = normalised.to(self._dtype).permute(0, 3, 1, 2)
        logits: Tensor = self._network(batch)
        return logits.float()


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
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ValueError(f"torch sees no CUDA device {name!r} here")
    return device


def choose_precision(name: str, device: torch.device) -> str:
    """The precision to compute in; "auto" is the fastest that keeps the answers.

    That is bfloat16 where the device multiplies it natively (GPUs since Ampere, processors with
    AVX512-BF16 or AMX), else float16 on a GPU and float32 on a CPU.

    Raises:
        ValueError: no such precision, or the CPU does not have it
    """
    if device.type == "cuda":
        native = torch.cuda.get_device_capability(device) >= (8, 0)
        fastest, possible = "bfloat16" if native else "float16", set(_DTYPES)
    elif _cpu_flags() & {"avx512_bf16", "amx_bf16"}:
        fastest, possible = "bfloat16", {"float32", "bfloat16"}
    else:
        fastest, possible = "float32", {"float32"}
    if name != "auto" and name not in possible:
        raise ValueError(
            f"precision {name!r} is not possible on this {device.type}:"
            f" choose auto or {' or '.join(sorted(possible))}"
        )
    return fastest if name == "auto" else name


def _cpu_flags() -> set[str]:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:  # not Linux
        return set()
    return next((set(line.split()) for line in lines if line.startswith("flags")), set())


def _load_network(folder: Path, config: ImageModelConfig) -> nn.Module:
    path = folder / WEIGHTS_FILE
    try:
        state = load_file(path)
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path} is not readable: {error}") from error
    network = build(config.architecture, len(config.labels), config.preprocessing)
    fill(network, state)
    return network
