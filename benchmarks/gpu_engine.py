"""The application's engine without Ray and HTTP, and the decoding of JPEG, on one device."""

import asyncio
import io
import itertools
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from benchmarks.gpu_bare import wait_for
from deployments.batching import Batcher
from deployments.image.classifier import ImageClassifier, Prediction
from deployments.image.config import WEIGHTS_FILE, ImageModelConfig
from deployments.image.decoding import Preprocessing, decode
from deployments.image.pytorch.architectures import find_preset, preprocessing_of

TOP_K = 5
PICTURE_SIZE = (500, 375)
"""Width and height of most photographs of ImageNet."""
DECODE_BATCH = 64

Pixels = NDArray[np.uint8]


def synthetic_pictures(count: int, seed: int = 0) -> list[bytes]:
    """JPEGs of soft shapes with noise, all different, of the size of a usual photograph."""
    random = np.random.default_rng(seed)
    width, height = PICTURE_SIZE
    files = []
    for _ in range(count):
        coarse = Image.fromarray(random.integers(0, 256, (9, 12, 3), dtype=np.uint8))
        smooth = np.asarray(coarse.resize(PICTURE_SIZE, Image.Resampling.BICUBIC), dtype=np.int16)
        noisy = smooth + random.integers(-12, 13, (height, width, 3), dtype=np.int16)
        content = io.BytesIO()
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(content, "JPEG", quality=90)
        files.append(content.getvalue())
    return files


def preprocessing(architecture: str) -> Preprocessing:
    """What the architecture's first preset wants."""
    return preprocessing_of(find_preset(architecture, None))


def store(network: nn.Module, architecture: str, folder: Path) -> None:
    """Makes the folder of a model, as the application registers it, without its registry."""
    preset = find_preset(architecture, None)
    config = ImageModelConfig(
        architecture, preset.name, preprocessing_of(preset), tuple(preset.meta["categories"])
    )
    config.save(folder)
    state = {key: value.contiguous() for key, value in network.state_dict().items()}
    save_file(state, folder / WEIGHTS_FILE)


def engine_speed(classifier: ImageClassifier, files: Sequence[bytes], seconds: float) -> float:
    """Images/s of decoded pictures in host memory, batched as a replica of the service does.

    Raises:
        RuntimeError: the classifier gave an error for a picture
    """
    wanted = classifier.config.preprocessing
    pictures = [decode(file, wanted) for file in files]
    return asyncio.run(_batched(classifier, pictures, seconds))


def decode_speeds(
    files: Sequence[bytes], device: torch.device, seconds: float
) -> Iterator[tuple[str, float]]:
    """Images/s of decoding JPEG to RGB: Pillow in threads, then torchvision on the device."""
    threads = len(os.sched_getaffinity(0))
    contents = list(itertools.islice(itertools.cycle(files), DECODE_BATCH))
    with ThreadPoolExecutor(threads) as pool:
        step = _counted(lambda: list(pool.map(_pillow, contents)), device)
        yield f"JPEG by Pillow in {threads} threads", _rate(step, seconds)
    yield from _torchvision(contents, device, seconds)


async def _batched(
    classifier: ImageClassifier, pictures: Sequence[Pixels], seconds: float
) -> float:
    loop = asyncio.get_running_loop()
    endless = itertools.cycle(pictures)
    answered = 0
    until = loop.time() + seconds

    def forward(images: list[Pixels]) -> list[tuple[Prediction, ...] | Exception]:
        return classifier.classify(images, [TOP_K] * len(images))

    with ThreadPoolExecutor(classifier.concurrency) as threads:

        async def run(images: list[Pixels]) -> list[tuple[Prediction, ...] | Exception]:
            return await loop.run_in_executor(threads, forward, images)

        largest = classifier.sizes.largest
        in_flight = largest * (classifier.concurrency + 1)
        batcher: Batcher[Pixels, tuple[Prediction, ...]] = Batcher(
            run,
            max_batch_size=largest,
            take=classifier.sizes.take,
            max_queue=in_flight,
            concurrency=classifier.concurrency,
        )

        async def client() -> None:
            nonlocal answered
            while loop.time() < until:
                await batcher.submit(next(endless))
                answered += 1

        started = loop.time()
        async with asyncio.TaskGroup() as group:
            for _ in range(in_flight):
                group.create_task(client())
        return answered / (loop.time() - started)


def _torchvision(
    contents: Sequence[bytes], device: torch.device, seconds: float
) -> Iterator[tuple[str, float]]:
    from torchvision.io import ImageReadMode, decode_jpeg

    tensors = [torch.from_numpy(np.frombuffer(content, np.uint8).copy()) for content in contents]
    step = _counted(lambda: decode_jpeg(tensors, ImageReadMode.RGB, device=device), device)
    name = "nvJPEG by torchvision" if device.type == "cuda" else "libjpeg by torchvision, 1 thread"
    yield f"JPEG by {name}", _rate(step, seconds)


def _pillow(content: bytes) -> Pixels:
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


def _counted(decode_all: Callable[[], object], device: torch.device) -> Callable[[], int]:
    def step() -> int:
        decode_all()
        wait_for(device)
        return DECODE_BATCH

    return step


def _rate(step: Callable[[], int], seconds: float) -> float:
    step()
    done, started = 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        done += step()
    return done / (time.perf_counter() - started)
