"""torch on a GPU: CUDA graphs, and the copy of one batch beside the forward pass of another.

Two batches may be under way. Each fills pinned memory of its own and is copied on a stream for
copies; the passes follow each other on one stream for computing, which is never waited for before
the next pass is queued. So the device has no gap between batches.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from queue import SimpleQueue

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from deployments.image.config import ImageModelConfig
from deployments.image.engine import OutOfDeviceMemory, Pixels
from deployments.image.pytorch.engine import padded
from deployments.image.pytorch.pixel_network import PixelNetwork
from deployments.image.sizes import pass_s

logger = logging.getLogger(__name__)

UNDER_WAY = 2
BEFORE_CAPTURE = 3
"""Passes before a graph is captured: libraries set themselves up, cuDNN picks its algorithms."""


class CudaEngine:
    """A network on one GPU. `logits` may be called from two threads at a time."""

    concurrency = UNDER_WAY
    concurrencies = (UNDER_WAY,)

    def __init__(
        self,
        network: PixelNetwork,
        config: ImageModelConfig,
        device: torch.device,
        precision: str,
        execution: str,
    ) -> None:
        """`network` must already be on the device."""
        self.device = str(device)
        self.precision = precision
        self.execution = execution
        self.pads = execution != "eager"
        self._network: Callable[[Tensor], Tensor] = network
        if execution == "compiled":
            self._network = torch.compile(network, dynamic=False)
        self._classes = len(config.labels)
        self._crop_size = config.preprocessing.crop_size
        self._compute = torch.cuda.Stream(device)
        self._copies = torch.cuda.Stream(device)
        self._queueing = threading.Lock()
        self._pool = torch.cuda.graph_pool_handle()
        self._graphs: dict[int, _Graph] = {}
        self._largest = 0
        self._slots: SimpleQueue[_Slot] = SimpleQueue()
        for _ in range(UNDER_WAY):
            self._slots.put(_Slot(0, self._crop_size, self._classes, device))

    @classmethod
    def load(
        cls,
        network: nn.Module,
        config: ImageModelConfig,
        device: torch.device,
        precision: str,
        executions: Sequence[str],
    ) -> "CudaEngine":
        """Takes `network` over, and the execution that answers one picture soonest."""
        torch.backends.cudnn.benchmark = True  # few shapes, each used for hours
        try:
            pixels = PixelNetwork(network, config.preprocessing, precision, device)
            engines = [cls(pixels, config, device, precision, name) for name in executions]
            if len(engines) == 1:
                return engines[0]
            for engine in engines:
                engine.prepare(1)
            return min(engines, key=lambda engine: pass_s(engine, config.preprocessing.crop_size))
        except torch.OutOfMemoryError as error:
            raise OutOfDeviceMemory("the GPU has no memory for the model") from error

    def prepare(self, size: int) -> None:
        """Makes room for batches of this size, captures their graph; no call may be under way."""
        device = torch.device(self.device)
        try:
            if size > self._largest:
                for _ in range(UNDER_WAY):
                    self._slots.get()
                for _ in range(UNDER_WAY):
                    self._slots.put(_Slot(size, self._crop_size, self._classes, device))
                self._largest = size
            if self.pads and size not in self._graphs:
                self._graphs[size] = self._capture(size)
        except torch.OutOfMemoryError as error:
            torch.cuda.empty_cache()
            raise OutOfDeviceMemory(f"no memory for {size} pictures") from error

    def logits(self, images: Sequence[Pixels]) -> NDArray[np.float32]:
        """See `Engine.logits`."""
        slot = self._slots.get()
        try:
            with torch.inference_mode(), torch.cuda.device(self.device):
                return self._pass(slot, images)
        except torch.OutOfMemoryError as error:
            # What was queued may still write to the slot.
            torch.cuda.synchronize(self.device)
            torch.cuda.empty_cache()
            raise OutOfDeviceMemory(f"no memory for {len(images)} pictures") from error
        finally:
            self._slots.put(slot)

    def _pass(self, slot: "_Slot", images: Sequence[Pixels]) -> NDArray[np.float32]:
        count = len(images)
        np.stack(images, out=slot.host.numpy()[:count])
        with torch.cuda.stream(self._copies):
            slot.pixels[:count].copy_(slot.host[:count], non_blocking=True)
            slot.arrived.record(self._copies)
        with self._queueing, torch.cuda.stream(self._compute):
            self._compute.wait_event(slot.arrived)
            logits = self._queue(slot.pixels[:count])
            slot.answer[:count].copy_(logits, non_blocking=True)
            slot.done.record(self._compute)
        slot.done.synchronize()
        return slot.answer[:count].numpy().copy()

    def _queue(self, pixels: Tensor) -> Tensor:
        """Queues one forward pass; the caller holds the lock."""
        if not self.pads:
            return self._network(pixels)
        graph = self._graphs[padded(len(pixels), self._graphs)]
        graph.pixels[: len(pixels)].copy_(pixels)
        graph.graph.replay()
        return graph.logits[: len(pixels)]

    def _capture(self, size: int) -> "_Graph":
        """All graphs share one pool of memory: they run one after another, on one stream."""
        logger.info("capturing a graph for %d pictures", size)
        shape = (size, self._crop_size, self._crop_size, 3)
        with torch.inference_mode(), torch.cuda.device(self.device):
            with torch.cuda.stream(self._compute):
                pixels = torch.zeros(shape, dtype=torch.uint8, device=self.device)
                for _ in range(BEFORE_CAPTURE):
                    self._network(pixels)
            self._compute.synchronize()
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, pool=self._pool, stream=self._compute):
                logits = self._network(pixels)
            return _Graph(graph, pixels, logits)


class _Graph:
    """A captured forward pass, what it reads and what it writes."""

    def __init__(self, graph: torch.cuda.CUDAGraph, pixels: Tensor, logits: Tensor) -> None:
        self.graph = graph
        self.pixels = pixels
        self.logits = logits


class _Slot:
    """The memory of one batch under way, on both sides, and its two moments."""

    def __init__(self, size: int, crop_size: int, classes: int, device: torch.device) -> None:
        shape = (size, crop_size, crop_size, 3)
        self.host = torch.empty(shape, dtype=torch.uint8, pin_memory=size > 0)
        self.pixels = torch.empty(shape, dtype=torch.uint8, device=device)
        self.answer = torch.empty((size, classes), dtype=torch.float32, pin_memory=size > 0)
        self.arrived = torch.cuda.Event()
        # Blocking: the thread sleeps until the pass has ended, and leaves its core to others.
        self.done = torch.cuda.Event(blocking=True)
