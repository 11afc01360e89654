"""Plain PyTorch in a loop: the ceiling that a server of ResNet-152 is measured against.

A process of its own, so that torch's memory and threads are gone when a server is measured. Each
command prints one line of JSON:

    make WEIGHTS       makes the weights; gives the class of each picture, in eager float32
    search WEIGHTS     images/s of the bare model at every batch size and precision
    run WEIGHTS        one batch size and precision: the bare model, and with decoding
"""

import argparse
import contextlib
import itertools
import json
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torchvision.models import ResNet152_Weights, resnet152

from deployments.image.decoding import Preprocessing, decode

ARCHITECTURE = "resnet152"
BATCH_SIZES = (1, 4, 8, 16)
PRECISIONS = (
    "float32",
    "channels-last float32",
    "channels-last bfloat16 autocast",
    "channels-last bfloat16",
)


def preprocessing() -> Preprocessing:
    """The architecture's first preset, as the application takes it for unknown weights."""
    preset = ResNet152_Weights.IMAGENET1K_V1.transforms()
    return Preprocessing(
        resize_size=preset.resize_size[0],
        crop_size=preset.crop_size[0],
        interpolation="bilinear",
        mean=tuple(preset.mean),
        std=tuple(preset.std),
    )


class Model:
    """ResNet-152 in one precision, eager, as torchvision builds it."""

    def __init__(self, weights: Path, precision: str) -> None:
        network: nn.Module = resnet152()
        network.load_state_dict(torch.load(weights, weights_only=True))
        self._layout = torch.channels_last if "channels" in precision else torch.contiguous_format
        self._dtype = torch.bfloat16 if precision.endswith("bfloat16") else torch.float32
        self._autocast = "autocast" in precision
        self._network = network.eval().to(self._dtype).to(memory_format=self._layout)

    def tensor(self, pictures: Sequence[NDArray[np.uint8]]) -> Tensor:
        """Normalised pictures in the model's precision and layout."""
        wanted = preprocessing()
        pixels = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 255
        mean, std = (torch.tensor(each).view(3, 1, 1) for each in (wanted.mean, wanted.std))
        return ((pixels - mean) / std).to(dtype=self._dtype, memory_format=self._layout)

    def __call__(self, batch: Tensor) -> Tensor:
        """The class of each picture."""
        autocast = torch.autocast("cpu", torch.bfloat16) if self._autocast else None
        with torch.inference_mode(), autocast or contextlib.nullcontext():
            classes: Tensor = self._network(batch).argmax(1)
        return classes


def make(weights: Path, files: Sequence[Path]) -> dict[str, Any]:
    """Makes the weights and gives the class that they assign to each picture."""
    from tests.deployments.image.resnet152 import make_weights

    pictures = _decoded(files)
    make_weights(ARCHITECTURE, weights, pictures)
    model = Model(weights, "float32")
    return {"classes": [int(model(model.tensor([picture]))[0]) for picture in pictures]}


def search(weights: Path, files: Sequence[Path], seconds: float) -> dict[str, Any]:
    """Images/s of the bare model at every batch size and precision, fastest first."""
    pictures = _decoded(files)
    found = []
    for precision in PRECISIONS:
        model = Model(weights, precision)
        for size in BATCH_SIZES:
            batch = model.tensor(list(itertools.islice(itertools.cycle(pictures), size)))
            speed = _speed(partial(model, batch), size, seconds)
            found.append({"batch": size, "precision": precision, **speed})
    return {"found": sorted(found, key=lambda each: -each["images_per_s"])}


def run(
    weights: Path, files: Sequence[Path], seconds: float, size: int, precision: str
) -> dict[str, Any]:
    """The bare model on decoded pictures, and the same loop decoding each picture first."""
    model = Model(weights, precision)
    batches = [model.tensor(each) for each in _batches(_decoded(files), size)]
    contents = _batches([file.read_bytes() for file in files], size)
    wanted = preprocessing()
    bare, encoded = itertools.cycle(batches), itertools.cycle(contents)

    def with_decoding() -> Tensor:
        return model(model.tensor([decode(content, wanted) for content in next(encoded)]))

    return {
        "bare": _speed(lambda: model(next(bare)), size, seconds),
        "decoding": _speed(with_decoding, size, seconds),
    }


def _batches(items: Sequence[Any], size: int) -> list[list[Any]]:
    """Full batches only, going round as often as it takes to end evenly."""
    endless = itertools.cycle(items)
    return [list(itertools.islice(endless, size)) for _ in items]


def _decoded(files: Sequence[Path]) -> list[NDArray[np.uint8]]:
    wanted = preprocessing()
    return [decode(file.read_bytes(), wanted) for file in files]


def _speed(step: Callable[[], Any], size: int, seconds: float) -> dict[str, float]:
    """Images/s, and the time of a batch, after two batches of warm-up."""
    step()
    step()
    times: list[float] = []
    started = time.perf_counter()
    while time.perf_counter() - started < seconds:
        before = time.perf_counter()
        step()
        times.append(time.perf_counter() - before)
    p50, p99 = np.percentile(times, [50, 99]) * 1000
    rate = size * len(times) / (time.perf_counter() - started)
    return {"images_per_s": rate, "p50_ms": float(p50), "p99_ms": float(p99)}


def main() -> None:
    """Runs one command."""
    parser = argparse.ArgumentParser()
    parser.add_argument("command", choices=["make", "search", "run"])
    parser.add_argument("weights", type=Path)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--precision", choices=PRECISIONS, default=PRECISIONS[0])
    parser.add_argument("--pictures", type=Path, nargs="+", required=True)
    given = parser.parse_args()
    if given.command == "make":
        answer = make(given.weights, given.pictures)
    elif given.command == "search":
        answer = search(given.weights, given.pictures, given.seconds)
    else:
        answer = run(given.weights, given.pictures, given.seconds, given.batch, given.precision)
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
