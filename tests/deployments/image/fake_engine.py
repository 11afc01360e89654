"""An engine without a network: its passes take the time and have the memory that a test wants."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from deployments.image.config import ImageModelConfig
from deployments.image.decoding import Preprocessing
from deployments.image.engine import OutOfDeviceMemory, Pixels

CROP = 4
CLASSES = 6
CONFIG = ImageModelConfig(
    architecture="fake",
    preset="NONE",
    preprocessing=Preprocessing(CROP, CROP, "bilinear", (0.0,) * 3, (1.0,) * 3),
    labels=tuple(f"class {index}" for index in range(CLASSES)),
)


def picture(class_index: int) -> Pixels:
    """A picture that the engine assigns to this class."""
    return np.full((CROP, CROP, 3), class_index, dtype=np.uint8)


class FakeEngine:
    """Assigns each picture to the class that its first value names.

    `fits` is the largest batch that memory holds; `poisoned` classes answer NaN.
    """

    device = "cpu"
    precision = "float32"
    execution = "eager"
    concurrency = 1
    concurrencies: Sequence[int] = (1,)

    def __init__(
        self,
        *,
        fits: int = 1000,
        pads: bool = False,
        poisoned: Sequence[int] = (),
        on_pass: Callable[[int], None] = lambda _: None,
    ) -> None:
        self.fits = fits
        self.pads = pads
        self.poisoned = poisoned
        self.passes: list[int] = []
        self.prepared: list[int] = []
        self._on_pass = on_pass

    def prepare(self, size: int) -> None:
        self.prepared.append(size)

    def logits(self, images: Sequence[Pixels]) -> NDArray[np.float32]:
        self.passes.append(len(images))
        self._on_pass(len(images))
        if len(images) > self.fits:
            raise OutOfDeviceMemory(f"no memory for {len(images)} pictures")
        logits = np.zeros((len(images), CLASSES), dtype=np.float32)
        for row, image in zip(logits, images, strict=True):
            row[int(image[0, 0, 0])] = 10
            if int(image[0, 0, 0]) in self.poisoned:
                row[:] = np.nan
        return logits


def even(sizes: Sequence[int], seconds: float = 0.01) -> Mapping[int, float]:
    """The same time for every size: larger batches are always better."""
    return dict.fromkeys(sizes, seconds)
