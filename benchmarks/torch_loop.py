"""Plain PyTorch in a loop: the ceiling that a server of pictures is measured against.

A process of its own, so that torch's memory and threads are gone when a server is measured. Each
command prints one line of JSON:

    make       makes the weights; gives the class of each picture, in eager float32
    search     images/s of the bare model at every batch size and precision
    run        one batch size and precision: the bare model, and with decoding
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
from torchvision import models

from deployments.image.decoding import Preprocessing, decode
from deployments.image.pytorch.architectures import find_preset, preprocessing_of

BATCH_SIZES = (1, 4, 8, 16)
PRECISIONS = (
    "float32",
    "channels-last float32",
    "channels-last bfloat16 autocast",
    "channels-last bfloat16",
)


def preprocessing(architecture: str) -> Preprocessing:
    """The architecture's first preset, as the application takes it for unknown weights."""
    return preprocessing_of(find_preset(architecture, None))


class Model:
    """A network in one precision, eager, as torchvision builds it."""

    def __init__(self, architecture: str, weights: Path, precision: str) -> None:
        network: nn.Module = models.get_model(architecture, weights=None)
        network.load_state_dict(torch.load(weights, weights_only=True))
        self._layout = torch.channels_last if "channels" in precision else torch.contiguous_format
        self._dtype = torch.bfloat16 if precision.endswith("bfloat16") else torch.float32
        self._autocast = "autocast" in precision
        self._wanted = preprocessing(architecture)
        self._network = network.eval().to(self._dtype).to(memory_format=self._layout)

    def tensor(self, pictures: Sequence[NDArray[np.uint8]]) -> Tensor:
        """Normalised pictures in the model's precision and layout."""
        wanted = self._wanted
        pixels = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 255
        mean, std = (torch.tensor(each).view(3, 1, 1) for each in (wanted.mean, wanted.std))
        return ((pixels - mean) / std).to(dtype=self._dtype, memory_format=self._layout)

    def __call__(self, batch: Tensor) -> Tensor:
        """The class of each picture."""
        autocast = torch.autocast("cpu", torch.bfloat16) if self._autocast else None
        with torch.inference_mode(), autocast or contextlib.nullcontext():
            classes: Tensor = self._network(batch).argmax(1)
        return classes


def make(architecture: str, weights: Path, files: Sequence[Path]) -> dict[str, Any]:
    """Makes the weights and gives the class that they assign to each picture."""
    from tests.deployments.image.resnet152 import make_weights

    pictures = decoded(files, preprocessing(architecture))
    make_weights(architecture, weights, pictures)
    model = Model(architecture, weights, "float32")
    return {"classes": [int(model(model.tensor([picture]))[0]) for picture in pictures]}


def search(
    architecture: str, weights: Path, files: Sequence[Path], seconds: float
) -> dict[str, Any]:
    """Images/s of the bare model at every batch size and precision, fastest first."""
    pictures = decoded(files, preprocessing(architecture))
    found = []
    for precision in PRECISIONS:
        model = Model(architecture, weights, precision)
        for size in BATCH_SIZES:
            batch = model.tensor(list(itertools.islice(itertools.cycle(pictures), size)))
            measured = speed(partial(model, batch), size, seconds)
            found.append({"batch": size, "precision": precision, **measured})
    return {"found": sorted(found, key=lambda each: -each["images_per_s"])}


def run(
    architecture: str,
    weights: Path,
    files: Sequence[Path],
    seconds: float,
    size: int,
    precision: str,
) -> dict[str, Any]:
    """The bare model on decoded pictures, and the same loop decoding each picture first."""
    model = Model(architecture, weights, precision)
    wanted = preprocessing(architecture)
    batches = [model.tensor(each) for each in in_batches(decoded(files, wanted), size)]
    contents = in_batches([file.read_bytes() for file in files], size)
    bare, encoded = itertools.cycle(batches), itertools.cycle(contents)

    def with_decoding() -> Tensor:
        return model(model.tensor([decode(content, wanted) for content in next(encoded)]))

    return {
        "bare": speed(lambda: model(next(bare)), size, seconds),
        "decoding": speed(with_decoding, size, seconds),
    }


def in_batches(items: Sequence[Any], size: int) -> list[list[Any]]:
    """Full batches only, going round as often as it takes to end evenly."""
    endless = itertools.cycle(items)
    return [list(itertools.islice(endless, size)) for _ in items]


def decoded(files: Sequence[Path], wanted: Preprocessing) -> list[NDArray[np.uint8]]:
    """The pixels of each file, as the application decodes them."""
    return [decode(file.read_bytes(), wanted) for file in files]


def speed(step: Callable[[], Any], size: int, seconds: float) -> dict[str, float]:
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
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--architecture", default="resnet152")
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--precision", choices=PRECISIONS, default=PRECISIONS[0])
    parser.add_argument("--pictures", type=Path, nargs="+", required=True)
    given = parser.parse_args()
    common = (given.architecture, given.weights, given.pictures)
    if given.command == "make":
        answer = make(*common)
    elif given.command == "search":
        answer = search(*common, given.seconds)
    else:
        answer = run(*common, given.seconds, given.batch, given.precision)
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
