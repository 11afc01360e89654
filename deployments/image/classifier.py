"""The image model as a plain object: pixels in, labels with probabilities out. No Ray."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from itertools import compress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deployments.contracts import EngineStatus
from deployments.image import processor
from deployments.image.config import ImageModelConfig
from deployments.image.engine import Engine, OutOfDeviceMemory, Pixels
from deployments.image.sizes import BatchSizes, measure, warm_up
from deployments.image.tuning import Circumstances, Tuning, Tunings

logger = logging.getLogger(__name__)

ENGINES = {"torch": "deployments.image.pytorch.engine", "keras": "deployments.image.keras.engine"}
"""The module of each framework, which has `choose_device` and `load_engine`."""

LIBRARIES = {"torch": "torch", "keras": "tensorflow"}
"""The package whose version a pass's time depends on."""


class WrongPixels(ValueError):
    """A picture of another shape or type than the model takes."""


class NotFinite(ValueError):
    """The network's answer for this picture holds NaN or infinity."""


@dataclass(frozen=True)
class Prediction:
    class_index: int
    label: str
    probability: float


class ImageClassifier:
    """A classifier on one device; `classify` may be called from `concurrency` threads at a time."""

    def __init__(self, engine: Engine, config: ImageModelConfig, sizes: BatchSizes) -> None:
        self.config = config
        self.sizes = sizes
        self._engine = engine

    @classmethod
    def load(
        cls,
        folder: Path,
        *,
        device: str = "auto",
        precision: str = "auto",
        execution: str = "auto",
        threads: int | None = None,
        max_batch_size: int | None = None,
        remembered: Path | None = None,
    ) -> "ImageClassifier":
        """The registered model in `folder`, warm: the sizes of its batches are measured.

        device: "auto" is a GPU where there is one, else the CPU. precision, execution: "auto" is
        the fastest of those measured. threads: of the CPU, which holds for the whole process;
        None leaves them alone. max_batch_size: None measures it. remembered: the folder where what
        was measured on a CPU is kept for the next time.

        Raises:
            WeightsError: the folder's files are missing, damaged or do not belong together
            ValueError: no such device, precision or execution here
            OutOfDeviceMemory: the device cannot hold the model and one picture
        """
        config = ImageModelConfig.load(folder)
        # Only one of the frameworks is installed in a replica's container.
        framework = import_module(ENGINES[config.framework])
        place = str(framework.choose_device(device))
        circumstances: Circumstances = {
            "framework": config.framework,
            "version": version(LIBRARIES[config.framework]),
            "architecture": config.architecture,
            "classes": len(config.labels),
            "crop_size": config.preprocessing.crop_size,
            "processor": processor.name(),
            "threads": threads,
            "precision": precision,
            "execution": execution,
            "max_batch_size": max_batch_size,
        }
        # A GPU is measured in a second, and its graphs must be captured at every start anyway.
        tunings = Tunings(remembered) if remembered and place == "cpu" else None
        known = tunings.recall(circumstances) if tunings else None
        engine: Engine = framework.load_engine(
            folder,
            config,
            device=place,
            precision=known.precision if known else precision,
            execution=known.execution if known else execution,
            threads=threads,
        )
        if known:
            engine.concurrency = known.concurrency
            sizes = BatchSizes(known.seconds, pads=engine.pads)
            warm_up(engine, config.preprocessing.crop_size, sizes)
        else:
            sizes = measure(engine, config.preprocessing.crop_size, max_batch_size)
            if tunings:
                found = Tuning(
                    engine.precision, engine.execution, engine.concurrency, sizes.seconds
                )
                tunings.remember(circumstances, found)
        return cls(engine, config, sizes)

    @property
    def concurrency(self) -> int:
        """Batches that may be under way at a time."""
        return self._engine.concurrency

    @property
    def status(self) -> EngineStatus:
        """How this classifier computes."""
        engine = self._engine
        return EngineStatus(
            engine.device,
            engine.precision,
            engine.execution,
            engine.concurrency,
            self.sizes.all,
        )

    def classify(
        self, images: Sequence[Pixels], top_k: Sequence[int]
    ) -> list[tuple[Prediction, ...] | Exception]:
        """For each picture its `top_k` most probable classes, best first, or why there are none.

        images: RGB arrays of shape (crop_size, crop_size, 3), as `decode` makes them; top_k: one
        number for each picture, of at least 1; where it exceeds the classes, all are returned.

        A slot holds WrongPixels, NotFinite, or OutOfDeviceMemory where the device had no memory for
        half of the batch either; from then on no batch is larger than that half.

        Raises:
            ValueError: a wrong top_k
        """
        if len(images) != len(top_k) or (top_k and min(top_k) < 1):
            raise ValueError("top_k must hold one number of at least 1 for each picture")
        size = self.config.preprocessing.crop_size
        right = [_is_picture(image, size) for image in images]
        scored = iter(self._score(list(compress(images, right))))
        return [
            self._predictions(next(scored), count)
            if good
            else WrongPixels(f"a picture must be uint8 of shape ({size}, {size}, 3)")
            for good, count in zip(right, top_k, strict=True)
        ]

    def logits(self, images: Sequence[Pixels]) -> NDArray[np.float32]:
        """What the network says before softmax: shape (pictures, classes)."""
        return self._engine.logits(images)

    def _score(self, images: Sequence[Pixels]) -> list[NDArray[np.float32] | OutOfDeviceMemory]:
        if not images:
            return []
        try:
            return list(self._engine.logits(images))
        except OutOfDeviceMemory as error:
            half = max(1, len(images) // 2)
            logger.warning("%s; batches have at most %d from now on", error, half)
            self.sizes.limit(half)
        scored: list[NDArray[np.float32] | OutOfDeviceMemory] = []
        for start in range(0, len(images), half):
            try:
                scored.extend(self._engine.logits(images[start : start + half]))
            except OutOfDeviceMemory as error:
                return scored + [error] * (len(images) - start)
        return scored

    def _predictions(
        self, logits: NDArray[np.float32] | OutOfDeviceMemory, count: int
    ) -> tuple[Prediction, ...] | Exception:
        if isinstance(logits, OutOfDeviceMemory):
            return logits
        if not np.isfinite(logits).all():
            return NotFinite("the network's answer is not finite")
        exponentials = np.exp(logits - logits.max())
        probabilities = exponentials / exponentials.sum()
        return tuple(
            Prediction(index, self.config.labels[index], float(probabilities[index]))
            for index in _largest(logits, count)
        )


def _is_picture(image: Any, size: int) -> bool:
    return (
        isinstance(image, np.ndarray) and image.shape == (size, size, 3) and image.dtype == np.uint8
    )


def _largest(values: NDArray[np.float32], count: int) -> list[int]:
    """The indices of the largest values, in their order; the lower index first among equals."""
    if count < len(values):
        bound = np.partition(values, -count)[-count]
        candidates = np.flatnonzero(values >= bound)
    else:
        candidates = np.arange(len(values))
    order = candidates[np.argsort(-values[candidates], kind="stable")]
    return [int(index) for index in order[:count]]
