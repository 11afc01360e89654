import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deployments.faq.ranker import FaqRanker, RankerFormatError
from tests.deployments.faq.test_ranker import tiny_ranker

Change = Callable[[dict[str, Any]], object]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    tiny_ranker().save(tmp_path)
    return tmp_path


def test_holds_plain_files_and_the_same_model_gives_the_same_bytes(
    model: Path, tmp_path: Path
) -> None:
    names = sorted(path.name for path in model.iterdir())
    arrays = ["bias.npy", "characters.npy", "idf.npy", "weights.npy", "words.npy"]
    assert names == sorted([*arrays, "model.json"])
    for name in arrays:
        np.load(model / name, allow_pickle=False)
    tiny_ranker().save(tmp_path / "again")
    for name in names:
        assert (model / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


@pytest.mark.parametrize("name", ["model.json", "words.npy", "weights.npy"])
def test_refuses_a_missing_file(model: Path, name: str) -> None:
    (model / name).unlink()
    with pytest.raises(RankerFormatError, match=rf"{name}: cannot be read"):
        FaqRanker.load(model)


@pytest.mark.parametrize("name", ["model.json", "words.npy", "weights.npy", "bias.npy"])
@pytest.mark.parametrize("kept", [0, 0.3, 0.9])
def test_refuses_a_truncated_file(model: Path, name: str, kept: float) -> None:
    data = (model / name).read_bytes()
    (model / name).write_bytes(data[: int(kept * len(data))])
    with pytest.raises(RankerFormatError, match=name):
        FaqRanker.load(model)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.update(version=2), "format version 2, this release reads 1"),
        (lambda d: d.update(format="other"), "does not describe a model"),
        (lambda d: d.update(extra=1), "missing or unknown keys: extra"),
        (lambda d: d.pop("threshold"), "missing or unknown keys: threshold"),
        (lambda d: d.update(threshold="high"), "threshold is not a number"),
        (lambda d: d.update(threshold=float("nan")), "threshold is not a number"),
        (lambda d: d["calibration"].update(slope=1.0), "missing or unknown keys: slope"),
        (lambda d: d["calibration"].update(odds=None), "odds is not a number"),
        (lambda d: d["faqs"].pop(), r"weights\.npy: shape"),
        (lambda d: d["faqs"][0].pop("answer"), "missing or unknown keys: answer"),
        (lambda d: d["faqs"][0].update(question=None), "question is not a text"),
        (lambda d: d.update(faqs={}), "faqs is not a list"),
        (lambda d: d.update(faqs=["a", "b"]), "Faq is not an object"),
    ],
)
def test_refuses_another_description(model: Path, change: Change, message: str) -> None:
    path = model / "model.json"
    description = json.loads(path.read_text())
    change(description)
    path.write_text(json.dumps(description))
    with pytest.raises(RankerFormatError, match=message):
        FaqRanker.load(model)


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000, "\x00"])
def test_refuses_what_is_no_description(model: Path, text: str) -> None:
    (model / "model.json").write_text(text)
    with pytest.raises(RankerFormatError, match=r"model\.json"):
        FaqRanker.load(model)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((2, 3), np.float64),
        np.zeros((3, 3), np.float32),
        np.zeros(6, np.float32),
        np.full((2, 3), np.nan, np.float32),
        np.array([[None] * 3] * 2, object),
    ],
    ids=["dtype", "shape", "dimensions", "not finite", "pickled"],
)
def test_refuses_another_array(model: Path, array: np.ndarray) -> None:
    np.save(model / "weights.npy", array, allow_pickle=True)
    with pytest.raises(RankerFormatError, match=r"weights\.npy"):
        FaqRanker.load(model)
