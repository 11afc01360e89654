"""The files of a trained FAQ model: `model.json` and plain numpy arrays, nothing that unpickles."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from types import NoneType
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from deployments.faq.calibration import Calibration
from deployments.faq.corpus import Faq
from deployments.faq.features import Block
from deployments.faq.index import IndexedScores, Weights
from deployments.faq.kernel import Kernel, KernelScores
from deployments.faq.scores import DenseScores, Scores
from deployments.faq.stored_faqs import StoredFaqs

FORMAT = "faq-ranker"
VERSION = 2

_KEYS = {
    "format",
    "version",
    "threshold",
    "calibration",
    "parameters",
    "scores",
    "step",
    "embeddings",
}
_BLOCKS = ("words", "characters", "pairs")
# So many are read at once; others stay in the file until one is asked for.
_FEW_FAQS = 10_000


class RankerFormatError(ValueError):
    """A folder that does not hold a model this version can read; the message names the file."""


@dataclass(frozen=True)
class Artifact:
    """All that a ranker consists of; see `FaqRanker` and `FeatureExtractor` for the parts.

    `embeddings` is the name of its embedder, which `KernelScores` need.
    """

    faqs: Sequence[Faq]
    words: Block
    characters: Block
    pairs: Block
    scores: Scores
    calibration: Calibration
    threshold: float
    parameters: Mapping[str, str]
    embeddings: str | None

    def save(self, folder: Path) -> None:
        """Write the files into `folder`; the same model gives the same bytes."""
        folder.mkdir(parents=True, exist_ok=True)
        stored = StoredFaqs.pack(self.faqs)
        arrays: dict[str, NDArray[Any]] = {"faqs": stored.data, "faq_starts": stored.starts}
        for name in _BLOCKS:
            block: Block = getattr(self, name)
            arrays |= {name: block.codes, f"{name}_idf": block.idf}
        kind, step = "dense", None
        match self.scores:
            case DenseScores():
                arrays |= _arrays_of_dense(self.scores)
            case KernelScores():
                kind, kernel = "kernel", self.scores.kernel
                arrays |= _arrays_of_dense(self.scores.plain)
                arrays |= {"kernel_texts": kernel.texts, "coefficients": kernel.coefficients}
            case IndexedScores():
                kind, step = "index", self.scores.weights.step
                arrays |= _arrays_of_index(self.scores.weights)
            case _:
                raise TypeError(f"{type(self.scores).__name__} has no files")
        for name, array in arrays.items():
            np.save(folder / f"{name}.npy", array)
        description = {
            "format": FORMAT,
            "version": VERSION,
            "threshold": self.threshold,
            "calibration": asdict(self.calibration),
            "parameters": dict(self.parameters),
            "scores": kind,
            "step": step,
            "embeddings": self.embeddings,
        }
        text = json.dumps(description, indent=1)
        (folder / "model.json").write_text(text + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "Artifact":
        """Read and check the files of `folder`; raises RankerFormatError."""
        place = folder / "model.json"
        description = _description(place)
        faqs = _faqs(folder)
        words, characters, pairs = (_block(folder, name) for name in _BLOCKS)
        shape = len(faqs), len(words) + len(characters) + len(pairs)
        match description["scores"], description["step"]:
            case "dense", None:
                scores: Scores = _dense(folder, *shape)
            case "kernel", None:
                scores = KernelScores(_dense(folder, *shape), _kernel(folder, len(faqs)))
            case "index", int() | float() as step:
                scores = IndexedScores(_index(folder, *shape, _number(place, "step", step)))
            case found:
                raise RankerFormatError(f"{place}: unknown scores and step: {found}")
        return cls(
            faqs=faqs,
            words=words,
            characters=characters,
            pairs=pairs,
            scores=scores,
            calibration=_calibration(place, description["calibration"]),
            threshold=_number(place, "threshold", description["threshold"]),
            parameters=_parameters(place, description["parameters"]),
            embeddings=_embeddings(place, description),
        )


def _arrays_of_dense(scores: DenseScores) -> dict[str, NDArray[Any]]:
    return {"weights": scores.weights, "bias": scores.bias}


def _arrays_of_index(weights: Weights) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {"means": weights.means}
    for name, matrix in (("by_faq", weights.by_faq), ("by_ngram", weights.by_ngram)):
        arrays |= {
            f"{name}_starts": matrix.indptr,
            f"{name}_places": matrix.indices,
            f"{name}_values": matrix.data,
        }
    return arrays


def _description(path: Path) -> dict[str, Any]:
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise RankerFormatError(f"{path}: cannot be read: {error}") from error
    if not isinstance(description, dict) or description.get("format") != FORMAT:
        raise RankerFormatError(f"{path}: does not describe a model of the format {FORMAT!r}")
    if description.get("version") != VERSION:
        found = description.get("version")
        raise RankerFormatError(f"{path}: format version {found!r}, this release reads {VERSION}")
    _check_keys(path, description, _KEYS)
    return description


def _check_keys(path: Path, found: dict[str, Any], expected: set[str]) -> None:
    if found.keys() != expected:
        wrong = ", ".join(sorted(found.keys() ^ expected))
        raise RankerFormatError(f"{path}: missing or unknown keys: {wrong}")


def _calibration(path: Path, value: object) -> Calibration:
    if not isinstance(value, dict):
        raise RankerFormatError(f"{path}: calibration is not an object")
    _check_keys(path, value, {field.name for field in fields(Calibration)})
    return Calibration(**{name: _number(path, name, entry) for name, entry in value.items()})


def _parameters(path: Path, value: object) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(entry, str) for entry in value.values()):
        raise RankerFormatError(f"{path}: parameters is not an object of texts")
    return value


def _embeddings(path: Path, description: dict[str, Any]) -> str | None:
    name = description["embeddings"]
    if not isinstance(name, str if description["scores"] == "kernel" else NoneType):
        raise RankerFormatError(f"{path}: embeddings {name!r} with other scores")
    return name


def _number(path: Path, name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise RankerFormatError(f"{path}: {name} is not a number")
    # NaN is not within; an integer may be too large for a float.
    if not -sys.float_info.max <= value <= sys.float_info.max:
        raise RankerFormatError(f"{path}: {name} is not a finite number")
    return float(value)


def _faqs(folder: Path) -> Sequence[Faq]:
    data = _array(folder / "faqs.npy", np.uint8)
    starts = _starts(folder / "faq_starts.npy", np.int64, None, len(data))
    if len(starts) < 3:
        raise RankerFormatError(f"{folder / 'faqs.npy'}: fewer than 2 FAQs")
    stored = StoredFaqs(data, starts)
    few = len(stored) <= _FEW_FAQS
    try:
        checked = stored[:] if few else stored[:1]
    except msgspec.DecodeError as error:
        message = f"{folder / 'faqs.npy'}: an FAQ that is not made of texts: {error}"
        raise RankerFormatError(message) from error
    return tuple(checked) if few else stored


def _block(folder: Path, name: str) -> Block:
    codes = _array(folder / f"{name}.npy", np.uint64)
    return Block(codes, _array(folder / f"{name}_idf.npy", np.float32, (len(codes),)))


def _dense(folder: Path, faqs: int, width: int) -> DenseScores:
    return DenseScores(
        _array(folder / "weights.npy", np.float32, (width, faqs)),
        _array(folder / "bias.npy", np.float32, (faqs,)),
    )


def _kernel(folder: Path, faqs: int) -> Kernel:
    coefficients = _array(folder / "coefficients.npy", np.float32, (None, faqs))
    texts = _array(folder / "kernel_texts.npy", np.float32, (len(coefficients), None))
    return Kernel(texts, coefficients)


def _index(folder: Path, faqs: int, width: int, step: float) -> Weights:
    def matrix(name: str, shape: tuple[int, int]) -> csr_array:
        values = _array(folder / f"{name}_values.npy", np.int16)
        places = _array(folder / f"{name}_places.npy", np.int32, values.shape)
        starts = _starts(folder / f"{name}_starts.npy", np.int32, shape[0], len(values))
        if len(places) and not 0 <= places.min() <= places.max() < shape[1]:
            raise RankerFormatError(f"{folder / name}_places.npy: a place outside of {shape[1]}")
        return csr_array((values, places, starts), shape=shape)

    means = _array(folder / "means.npy", np.float32, (width,))
    return Weights(matrix("by_faq", (faqs, width)), matrix("by_ngram", (width, faqs)), means, step)


def _starts(path: Path, dtype: type[np.generic], rows: int | None, end: int) -> NDArray[Any]:
    starts = _array(path, dtype, (None if rows is None else rows + 1,))
    if not len(starts) or starts[0] != 0 or starts[-1] != end or (np.diff(starts) < 0).any():
        raise RankerFormatError(f"{path}: not ascending from 0 to {end}")
    return starts


def _array(
    path: Path, dtype: type[np.generic], shape: tuple[int | None, ...] = (None,)
) -> NDArray[Any]:
    """Memory-mapped, so that the processes of one machine share it and read what they touch.

    A dimension of `shape` that is None may have any length.
    """
    try:
        array = np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
    except (OSError, ValueError, EOFError) as error:
        raise RankerFormatError(f"{path}: cannot be read: {error}") from error
    if array.dtype != dtype or array.ndim != len(shape):
        raise RankerFormatError(f"{path}: expected {np.dtype(dtype).name}, {len(shape)}-d")
    if any(length not in (None, found) for length, found in zip(shape, array.shape, strict=True)):
        raise RankerFormatError(f"{path}: shape {array.shape}, expected {shape}")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise RankerFormatError(f"{path}: values that are not finite")
    return array
