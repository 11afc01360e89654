"""keras.applications' classifiers by name: their empty networks and their own preprocessing.

The one module that sets TensorFlow up: the others take `keras` and `tensorflow` from here.
"""

import difflib
import importlib.util
import inspect
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import Any

# Read once, when TensorFlow and keras are imported.
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

# Torch's compiler and TensorFlow bring LLVM along: loaded second, triton's ends the process.
if importlib.util.find_spec("triton"):
    importlib.import_module("triton")

import keras
import tensorflow as tf
from numpy.typing import NDArray

from deployments.image.config import WeightsError
from deployments.image.decoding import Preprocessing

__all__ = [
    "build",
    "canonical_name",
    "check_fit",
    "fill",
    "keras",
    "preprocess",
    "preprocessing_of",
    "tf",
]

# For their published weights keras rescales the input once more than for a file of weights; the
# weights do not say which of the two they were made with.
_AMBIGUOUS = frozenset(f"EfficientNetB{number}" for number in range(8))
_USUAL_SIZE = 224  # of the architectures that take any size


def canonical_name(architecture: str) -> str:
    """keras.applications' own spelling: "ResNet152" of "resnet152".

    Raises:
        WeightsError: keras.applications has no such classifier, or it is not supported
    """
    known = {name.lower(): name for name in dir(keras.applications) if name[:1].isupper()}
    name = known.get(architecture.lower())
    if name is None:
        near = difflib.get_close_matches(architecture.lower(), known, n=5, cutoff=0.5)
        hint = "did you mean" if near else "known are"
        names = ", ".join(known[key] for key in near or sorted(known))
        raise WeightsError(f"keras.applications has no {architecture!r}; {hint} {names}")
    if name in _AMBIGUOUS:
        raise WeightsError(
            f"{name} is not supported: its weights do not say how keras scaled their input;"
            " EfficientNetV2 is supported"
        )
    return name


def build(architecture: str, classes: int, *, empty: bool = False) -> Any:
    """The network without softmax, as a keras model; its variables have the same names each time.

    empty: the variables get no values, which is faster; only the structure can be used.

    Raises:
        WeightsError: keras.applications has no such classifier
    """
    constructor = getattr(keras.applications, canonical_name(architecture))

    def construct() -> Any:
        with keras.StatelessScope(initialize_variables=False) if empty else nullcontext():
            return constructor(weights=None, classes=classes, classifier_activation=None)

    # Keras numbers layers without a name, and remembers empty variables, a thread.
    with ThreadPoolExecutor(1) as fresh:
        return fresh.submit(construct).result()


def check_fit(network: Any, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Raises WeightsError, with the first names that differ, unless there is an array of the right
    shape for each variable, by its path, and no other."""
    expected = {variable.path: tuple(variable.shape) for variable in network.weights}
    if complaint := difference(expected, {name: array.shape for name, array in arrays.items()}):
        raise WeightsError(f"the weights do not fit: {complaint}")


def difference(expected: Mapping[str, object], found: Mapping[str, object]) -> str:
    """In words, which names are missing, unexpected or stand for another shape; "" if none."""
    kinds = {
        "missing": [name for name in expected if name not in found],
        "unexpected": [name for name in found if name not in expected],
        "of another shape": [
            f"{name} is {found[name]}, not {shape}"
            for name, shape in expected.items()
            if name in found and found[name] != shape
        ],
    }
    return "; ".join(
        f"{len(names)} {kind} ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})"
        for kind, names in kinds.items()
        if names
    )


def fill(network: Any, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Gives each variable of a network its value by its path."""
    for variable in network.weights:
        variable.assign(arrays[variable.path])


def preprocessing_of(network: Any) -> Preprocessing:
    """What keras' documentation does before `preprocess_input`: `load_img(target_size=...)`.

    That stretches a picture to the network's size and takes the nearest pixels. Values stay in
    0..255, so mean and std say nothing here. https://keras.io/api/applications/
    """
    size = network.input_shape[1] or _USUAL_SIZE
    return Preprocessing(size, size, "nearest", (0.0,) * 3, (1.0,) * 3, stretch=True)


def preprocess(architecture: str, pixels: Any) -> Any:
    """The architecture's own `preprocess_input`, for a float32 tensor of values in 0..255."""
    constructor = getattr(keras.applications, canonical_name(architecture))
    module: Any = inspect.getmodule(constructor)
    return module.preprocess_input(pixels, data_format="channels_last")
