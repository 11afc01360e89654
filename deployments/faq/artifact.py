"""The files of a trained FAQ model: `model.json` and plain numpy arrays, nothing that unpickles."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from deployments.faq.calibration import Calibration
from deployments.faq.corpus import Faq

FORMAT = "faq-ranker"
VERSION = 1

_Record = TypeVar("_Record", Faq, Calibration)
_KEYS = {"format", "version", "threshold", "calibration", "faqs"}


class RankerFormatError(ValueError):
    """A folder that does not hold a model this version can read; the message names the file."""


@dataclass(frozen=True)
class Artifact:
    """All that a ranker consists of; see `FaqRanker` and `FeatureExtractor` for the parts."""

    faqs: Sequence[Faq]
    words: Sequence[str]
    characters: Sequence[str]
    idf: NDArray[np.float32]
    weights: NDArray[np.float32]
    bias: NDArray[np.float32]
    calibration: Calibration
    threshold: float

    def save(self, folder: Path) -> None:
        """Write the files into `folder`; the same model gives the same bytes."""
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("words", "characters"):
            # No n-gram holds a line feed: it is made of words, and a line feed ends a word.
            encoded = "\n".join(getattr(self, name)).encode("utf-8", "surrogatepass")
            np.save(folder / f"{name}.npy", np.frombuffer(encoded, np.uint8))
        for name in ("idf", "weights", "bias"):
            np.save(folder / f"{name}.npy", getattr(self, name))
        description = {
            "format": FORMAT,
            "version": VERSION,
            "threshold": self.threshold,
            "calibration": asdict(self.calibration),
            "faqs": [asdict(faq) for faq in self.faqs],
        }
        text = json.dumps(description, indent=1)
        (folder / "model.json").write_text(text + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "Artifact":
        """Read and check the files of `folder`; raises RankerFormatError."""
        place = folder / "model.json"
        description = _description(place)
        artifact = cls(
            faqs=[_record(place, Faq, entry) for entry in _list(place, description["faqs"])],
            words=_ngrams(folder / "words.npy"),
            characters=_ngrams(folder / "characters.npy"),
            idf=_array(folder / "idf.npy", np.float32, 1),
            weights=_array(folder / "weights.npy", np.float32, 2),
            bias=_array(folder / "bias.npy", np.float32, 1),
            calibration=_record(place, Calibration, description["calibration"]),
            threshold=_number(place, "threshold", description["threshold"]),
        )
        artifact._check_shapes(folder)
        return artifact

    def _check_shapes(self, folder: Path) -> None:
        width, count = len(self.words) + len(self.characters), len(self.faqs)
        expected = {"idf": (width,), "weights": (width, count), "bias": (count,)}
        for name, shape in expected.items():
            found = getattr(self, name).shape
            if found != shape:
                raise RankerFormatError(f"{folder / name}.npy: shape {found}, expected {shape}")


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


def _list(path: Path, value: object) -> list[object]:
    if not isinstance(value, list) or len(value) < 2:
        raise RankerFormatError(f"{path}: faqs is not a list of at least 2")
    return value


def _record(path: Path, kind: type[_Record], value: object) -> _Record:
    if not isinstance(value, dict):
        raise RankerFormatError(f"{path}: {kind.__name__} is not an object")
    _check_keys(path, value, {field.name for field in fields(kind)})
    for name, entry in value.items():
        if kind is Calibration:
            _number(path, name, entry)
        elif not (isinstance(entry, str) or (name == "answer" and entry is None)):
            raise RankerFormatError(f"{path}: {name} is not a text")
    return kind(**value)


def _number(path: Path, name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise RankerFormatError(f"{path}: {name} is not a number")
    return float(value)


def _array(path: Path, dtype: type[np.generic], dimensions: int) -> NDArray[Any]:
    """Memory-mapped, so that the processes of one machine share it and read what they touch."""
    try:
        array = np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
    except (OSError, ValueError, EOFError) as error:
        raise RankerFormatError(f"{path}: cannot be read: {error}") from error
    if array.dtype != dtype or array.ndim != dimensions or not np.isfinite(array).all():
        raise RankerFormatError(
            f"{path}: expected {dimensions} dimensions of finite {np.dtype(dtype).name}"
        )
    return array


def _ngrams(path: Path) -> list[str]:
    data = _array(path, np.uint8, 1).tobytes()
    try:
        text = data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError as error:
        raise RankerFormatError(f"{path}: not UTF-8: {error.reason}") from error
    return text.split("\n") if text else []
