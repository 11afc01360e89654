"""keras as an engine, on TensorFlow: a network of keras.applications on a CPU or a GPU."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file

from deployments.image import processor
from deployments.image.config import WEIGHTS_FILE, ImageModelConfig, WeightsError
from deployments.image.engine import OutOfDeviceMemory, Pixels
from deployments.image.keras.architectures import build, check_fit, fill, preprocess, tf
from deployments.image.keras.fusion import fold_batch_norm

_DEVICE = re.compile(r"cpu|cuda(?::(\d+))?")


class KerasEngine:
    """A compiled network on one device. Not to be called from two threads at a time."""

    execution = "compiled"
    concurrency = 1
    concurrencies = (1,)
    pads = False

    def __init__(self, forward: Callable[[Any], Any], device: str, precision: str) -> None:
        """`forward` takes uint8 of shape (n, size, size, 3) and gives a tensor of logits."""
        self.device = device
        self.precision = precision
        self._forward = forward

    @classmethod
    def load(
        cls,
        folder: Path,
        config: ImageModelConfig,
        *,
        device: str = "auto",
        precision: str = "auto",
        execution: str = "auto",
        threads: int | None = None,
    ) -> "KerasEngine":
        """The engine for a model that `export_keras` stored.

        device: auto, cpu, cuda or cuda:N. precision: "auto" is bfloat16 where the device multiplies
        it natively, else float32. threads: of one operation on the CPU, which TensorFlow takes once
        in a process.

        Raises:
            WeightsError: the folder's files are missing, damaged or do not belong together
            ValueError: no such device, precision or execution here, or threads set before
            OutOfDeviceMemory: the device cannot hold the model
        """
        if execution not in ("auto", cls.execution):
            raise ValueError(f"keras runs compiled alone, not {execution!r}")
        device = choose_device(device)
        precision = choose_precision(precision, device)
        if threads is not None:
            _set_threads(threads)
        try:
            with _placed(device):
                forward = _compile(folder, config, precision)
        except tf.errors.ResourceExhaustedError as error:
            raise OutOfDeviceMemory(f"{device} cannot hold {config.architecture}") from error
        return cls(forward, device, precision)

    def prepare(self, size: int) -> None:
        """Nothing to set up: one compiled function takes every size."""

    def logits(self, images: Sequence[Pixels]) -> NDArray[np.float32]:
        """See `Engine.logits`."""
        try:
            with _placed(self.device):
                logits: NDArray[np.float32] = self._forward(tf.constant(np.stack(images))).numpy()
        except tf.errors.ResourceExhaustedError as error:
            raise OutOfDeviceMemory(f"no memory for {len(images)} pictures") from error
        return logits


load_engine = KerasEngine.load


def _placed(device: str) -> Any:
    return tf.device(f"/{device.replace('cuda', 'gpu').upper()}")


def choose_device(name: str) -> str:
    """ "cpu" or "cuda:N"; "auto" is a GPU where TensorFlow sees one.

    Raises:
        ValueError: no such device here
    """
    gpus = tf.config.list_physical_devices("GPU")
    if name == "auto":
        name = "cuda" if gpus else "cpu"
    match = _DEVICE.fullmatch(name)
    if match is None:
        raise ValueError(f"device must be auto, cpu, cuda or cuda:N, not {name!r}")
    if name == "cpu":
        return name
    index = int(match[1] or 0)
    if index >= len(gpus):
        raise ValueError(f"TensorFlow sees no CUDA device {name!r} here")
    if not tf.config.experimental.get_memory_growth(gpus[index]):
        # Otherwise TensorFlow takes all of a GPU's memory, also what is not its share.
        for gpu in gpus:
            tf.config.experimental.set_memory_growth(gpu, True)
    return f"cuda:{index}"


def choose_precision(name: str, device: str) -> str:
    """bfloat16 is for GPUs since Ampere and for processors with AVX512-BF16 or AMX.

    Raises:
        ValueError: no such precision on this device
    """
    native = _has_bfloat16(device)
    possible = ("bfloat16", "float32") if native else ("float32",)
    if name == "auto":
        return possible[0]
    if name not in possible:
        raise ValueError(
            f"precision {name!r} is not possible with keras on this device:"
            f" choose auto or {' or '.join(possible)}"
        )
    return name


def _has_bfloat16(device: str) -> bool:
    if device != "cpu":
        gpu = tf.config.list_physical_devices("GPU")[int(device.partition(":")[2])]
        details = tf.config.experimental.get_device_details(gpu)
        return bool(details.get("compute_capability", (0, 0)) >= (8, 0))
    return processor.multiplies_bfloat16()


def _set_threads(threads: int) -> None:
    if tf.config.threading.get_intra_op_parallelism_threads() == threads:
        return
    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
    except RuntimeError as error:
        raise ValueError(
            "threads cannot be changed after TensorFlow has begun to compute in this process"
        ) from error


def _compile(folder: Path, config: ImageModelConfig, precision: str) -> Any:
    path = folder / WEIGHTS_FILE
    try:
        arrays = load_file(path)
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path} is not readable: {error}") from error
    structure = build(config.architecture, len(config.labels), empty=True)
    check_fit(structure, arrays)
    network, folded = fold_batch_norm(structure, arrays, precision)
    fill(network, folded)
    size = config.preprocessing.crop_size

    def compute(pixels: Any) -> Any:
        values = preprocess(config.architecture, tf.cast(pixels, tf.float32))
        return tf.cast(network(values, training=False), tf.float32)

    # XLA (jit_compile) was slower on CPUs and compiles anew for each size of a batch.
    signature = [tf.TensorSpec((None, size, size, 3), tf.uint8)]
    forward: Any = tf.function(compute, input_signature=signature, autograph=False)
    forward.get_concrete_function()  # builds the graph now rather than for the first picture
    return forward
