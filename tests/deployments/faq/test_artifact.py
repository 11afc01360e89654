import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_array

from deployments.faq.artifact import Artifact
from deployments.faq.index import IndexedScores
from deployments.faq.ranker import FaqRanker, RankerFormatError
from deployments.faq.scores import DenseScores
from tests.deployments.faq.test_ranker import tiny_ranker

Change = Callable[[dict[str, Any]], object]

COMMON = [
    "characters.npy",
    "characters_idf.npy",
    "faq_starts.npy",
    "faqs.npy",
    "model.json",
    "pairs.npy",
    "pairs_idf.npy",
    "words.npy",
    "words_idf.npy",
]
DENSE = ["bias.npy", "weights.npy"]
INDEXED = [
    "by_faq_places.npy",
    "by_faq_starts.npy",
    "by_faq_values.npy",
    "by_ngram_places.npy",
    "by_ngram_starts.npy",
    "by_ngram_values.npy",
    "means.npy",
]
OF_KIND = {False: COMMON + DENSE, True: COMMON + INDEXED}
EVERY_FILE = [(indexed, name) for indexed, names in OF_KIND.items() for name in names]


@pytest.fixture
def indexed() -> bool:
    return False


@pytest.fixture
def model(tmp_path: Path, indexed: bool) -> Path:
    tiny_ranker(indexed=indexed).save(tmp_path)
    return tmp_path


@pytest.mark.parametrize("indexed", [False, True])
def test_holds_plain_files_and_the_same_model_gives_the_same_bytes(
    model: Path, tmp_path: Path, indexed: bool
) -> None:
    names = sorted(path.name for path in model.iterdir())
    assert names == sorted(OF_KIND[indexed])
    for name in names:
        if name != "model.json":
            np.load(model / name, allow_pickle=False)
    tiny_ranker(indexed=indexed).save(tmp_path / "again")
    FaqRanker.load(model).save(tmp_path / "copied")
    for name in names:
        assert (model / name).read_bytes() == (tmp_path / "again" / name).read_bytes()
        assert (model / name).read_bytes() == (tmp_path / "copied" / name).read_bytes()


def is_mapped(array: Any) -> bool:
    while array is not None and not isinstance(array, np.memmap):
        array = array.base
    return array is not None


def test_large_arrays_are_memory_mapped(ranker: FaqRanker, tmp_path: Path) -> None:
    ranker.save(tmp_path)
    read = Artifact.load(tmp_path)
    for block in (read.words, read.characters):
        assert is_mapped(block.codes)
        assert is_mapped(block.idf)
    match read.scores:
        case DenseScores():
            assert is_mapped(read.scores.weights)
        case IndexedScores():
            for matrix in (read.scores.weights.by_faq, read.scores.weights.by_ngram):
                assert isinstance(matrix, csr_array)
                assert is_mapped(matrix.data)
                assert is_mapped(matrix.indices)
                assert is_mapped(matrix.indptr)


@pytest.mark.parametrize(("indexed", "name"), EVERY_FILE)
def test_refuses_a_missing_file(model: Path, name: str) -> None:
    (model / name).unlink()
    with pytest.raises(RankerFormatError, match=rf"{name}: cannot be read"):
        FaqRanker.load(model)


@pytest.mark.parametrize(("indexed", "name"), EVERY_FILE)
@pytest.mark.parametrize("kept", [0, 0.3, 0.9])
def test_refuses_a_truncated_file(model: Path, name: str, kept: float) -> None:
    data = (model / name).read_bytes()
    (model / name).write_bytes(data[: int(kept * len(data))])
    with pytest.raises(RankerFormatError, match=name):
        FaqRanker.load(model)


def rewrite(model: Path, change: Change) -> None:
    path = model / "model.json"
    description = json.loads(path.read_text())
    change(description)
    path.write_text(json.dumps(description))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.update(version=1), "format version 1, this release reads 2"),
        (lambda d: d.update(format="other"), "does not describe a model"),
        (lambda d: d.update(extra=1), "missing or unknown keys: extra"),
        (lambda d: d.pop("threshold"), "missing or unknown keys: threshold"),
        (lambda d: d.update(threshold="high"), "threshold is not a number"),
        (lambda d: d.update(threshold=True), "threshold is not a number"),
        (lambda d: d.update(threshold=float("nan")), "threshold is not a finite number"),
        (lambda d: d.update(threshold=10**400), "threshold is not a finite number"),
        (lambda d: d["calibration"].update(slope=1.0), "missing or unknown keys: slope"),
        (lambda d: d["calibration"].update(odds=None), "odds is not a number"),
        (lambda d: d.update(calibration=[1, 2, 3]), "calibration is not an object"),
        (lambda d: d.update(parameters=["seed"]), "parameters is not an object of texts"),
        (lambda d: d.update(parameters={"seed": 0}), "parameters is not an object of texts"),
        (lambda d: d.update(scores="other"), "unknown scores and step"),
        (lambda d: d.update(scores=["dense"]), "unknown scores and step"),
        (lambda d: d.update(step=1.0), "unknown scores and step"),
        (lambda d: d.update(scores="index"), "unknown scores and step"),
        (lambda d: d.update(scores="index", step=0.1), r"means\.npy"),
    ],
)
def test_refuses_another_description(model: Path, change: Change, message: str) -> None:
    rewrite(model, change)
    with pytest.raises(RankerFormatError, match=message):
        FaqRanker.load(model)


@pytest.mark.parametrize("indexed", [True])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.update(step=None), "unknown scores and step"),
        (lambda d: d.update(step="0.1"), "unknown scores and step"),
        (lambda d: d.update(step=True), "step is not a number"),
        (lambda d: d.update(step=float("inf")), "step is not a finite number"),
        (lambda d: d.update(scores="dense", step=None), r"weights\.npy"),
    ],
)
def test_refuses_another_description_of_an_index(model: Path, change: Change, message: str) -> None:
    rewrite(model, change)
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


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("words", np.zeros(2, np.int64)),
        ("words_idf", np.ones(3, np.float32)),
        ("words_idf", np.full(2, np.inf, np.float32)),
        ("means", np.ones(3, np.float32)),
        ("by_faq_values", np.ones(3, np.float32)),
        ("by_faq_places", np.zeros(3, np.int64)),
        ("by_faq_places", np.zeros(2, np.int32)),
        ("by_faq_places", np.array([0, 1, 2], np.int32)),
        ("by_ngram_places", np.array([0, -1, 2], np.int32)),
        ("by_ngram_places", np.array([0, 3, 2], np.int32)),
        ("by_faq_starts", np.array([0, 1, 2, 3], np.int64)),
        ("by_faq_starts", np.array([0, 1, 3], np.int32)),
        ("by_faq_starts", np.array([0, 2, 1, 3], np.int32)),
        ("by_faq_starts", np.array([1, 1, 2, 3], np.int32)),
        ("by_ngram_starts", np.array([0, 1, 4], np.int32)),
        ("faqs", np.zeros((2, 3), np.uint8)),
        ("faq_starts", np.array([], np.int64)),
        ("faq_starts", np.array([0, 1], np.int64)),
    ],
)
@pytest.mark.parametrize("indexed", [True])
def test_refuses_another_array_of_an_index(model: Path, name: str, array: np.ndarray) -> None:
    np.save(model / f"{name}.npy", array)
    with pytest.raises(RankerFormatError, match=rf"{name}\.npy"):
        FaqRanker.load(model)


def test_refuses_several_arrays_in_place_of_one(model: Path) -> None:
    with (model / "bias.npy").open("wb") as file:
        np.savez(file, bias=np.zeros(3, np.float32))
    with pytest.raises(RankerFormatError, match=r"bias\.npy"):
        FaqRanker.load(model)


def save_faqs(model: Path, *faqs: bytes) -> None:
    np.save(model / "faqs.npy", np.frombuffer(b"".join(faqs), np.uint8))
    np.save(model / "faq_starts.npy", np.cumsum([0, *map(len, faqs)]))


GOOD = b'["Q1","A1","a?",null]'


@pytest.mark.parametrize(
    "bad",
    [
        b'["Q2","A2","b?"]',
        b'["Q2","A2","b?",null,null]',
        b'["Q2","A2",null,null]',
        b'["Q2",2,"b?",null]',
        b'["Q2","A2","b?",0]',
        b'{"id":1,"answer_id":2,"question":3,"answer":4}',
        b'"abcd"',
        b"5",
        b"[",
        b"",
        b"\xff",
    ],
)
def test_refuses_what_is_no_faq(model: Path, bad: bytes) -> None:
    save_faqs(model, GOOD, GOOD, bad)
    with pytest.raises(RankerFormatError, match=r"faqs\.npy: an FAQ that is not made of texts"):
        FaqRanker.load(model)


@pytest.mark.parametrize("count", [0, 1])
def test_refuses_fewer_than_two_faqs(model: Path, count: int) -> None:
    save_faqs(model, *[GOOD] * count)
    with pytest.raises(RankerFormatError, match="fewer than 2 FAQs"):
        FaqRanker.load(model)


def test_refuses_weights_for_other_faqs(model: Path) -> None:
    save_faqs(model, GOOD, GOOD)
    with pytest.raises(RankerFormatError, match=r"weights\.npy: shape \(2, 3\), expected \(2, 2\)"):
        FaqRanker.load(model)
