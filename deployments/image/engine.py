"""What computes: a network on one device, in one precision and one manner of execution.

`ImageClassifier` is the same for every framework; an engine is what differs.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
"""One decoded picture: RGB of shape (crop_size, crop_size, 3)."""


class OutOfDeviceMemory(RuntimeError):
    """The device has no memory for a forward pass of this size."""


class Engine(Protocol):
    """A loaded network.

    device: "cpu", "cuda:0", ...; precision: "float32", "bfloat16" or "float16"; execution: "eager",
    "fused", "compiled" or "graphs". concurrency: calls of `logits` that may be under way at a time,
    each in a thread of its own.
    """

    device: str
    precision: str
    execution: str
    concurrency: int

    @property
    def concurrencies(self) -> Sequence[int]:
        """What `concurrency` can be set to, ascending.

        A GPU overlaps the copying of a batch with the pass of another. A CPU can share its threads
        among passes, which then need not wait for each other's threads at every layer.
        """

    @property
    def pads(self) -> bool:
        """Whether passes have the prepared sizes only, so that other batches are padded."""

    def prepare(self, size: int) -> None:
        """Sets up for passes of this size; called before the first one of it.

        Raises:
            OutOfDeviceMemory: not enough memory on the device
        """

    def logits(self, images: Sequence[Pixels]) -> NDArray[np.float32]:
        """What the network says before softmax: shape (pictures, classes).

        Raises:
            OutOfDeviceMemory: not enough memory on the device; a smaller batch may fit
        """
