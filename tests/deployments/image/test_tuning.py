import logging
from pathlib import Path

import pytest

from deployments.image.classifier import ImageClassifier
from deployments.image.tuning import Circumstances, Tuning, Tunings

HERE: Circumstances = {"architecture": "resnet152", "threads": 2, "max_batch_size": None}
FOUND = Tuning("bfloat16", "fused", 2, {1: 0.06, 2: 0.12})


def test_what_was_remembered_is_recalled_by_another(tmp_path: Path) -> None:
    Tunings(tmp_path / "tuning").remember(HERE, FOUND)
    assert Tunings(tmp_path / "tuning").recall(HERE) == FOUND


@pytest.mark.parametrize("other", [{"threads": 3}, {"max_batch_size": 4}, {"version": "2"}])
def test_other_circumstances_know_nothing_of_it(
    tmp_path: Path, other: dict[str, str | int]
) -> None:
    tunings = Tunings(tmp_path)
    tunings.remember(HERE, FOUND)
    assert tunings.recall({**HERE, **other}) is None


@pytest.mark.parametrize("content", ["", "{", "[]", '{"tuning": {"seconds": {"a": 1}}}'])
def test_a_damaged_file_is_measured_anew(
    tmp_path: Path, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    tunings = Tunings(tmp_path)
    tunings.remember(HERE, FOUND)
    (file,) = tmp_path.iterdir()
    file.write_text(content)
    with caplog.at_level(logging.WARNING):
        assert tunings.recall(HERE) is None
    assert "measuring anew" in caplog.text
    tunings.remember(HERE, FOUND)
    assert tunings.recall(HERE) == FOUND


def test_a_folder_that_cannot_be_written_is_no_failure(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    Tunings(tmp_path / "file").remember(HERE, FOUND)
    assert "could not be kept" in caplog.text


def test_the_second_start_does_not_measure(mobilenet: Path, tmp_path: Path) -> None:
    def started() -> ImageClassifier:
        return ImageClassifier.load(mobilenet, device="cpu", max_batch_size=2, remembered=tmp_path)

    first = started()
    (file,) = tmp_path.iterdir()
    before = file.stat().st_mtime_ns
    second = started()
    assert second.status == first.status
    assert second.sizes.seconds == first.sizes.seconds
    assert file.stat().st_mtime_ns == before
