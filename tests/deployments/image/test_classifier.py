"""What is the same for every engine: predictions, and items that fail alone."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from deployments.contracts import EngineStatus
from deployments.image.classifier import ImageClassifier, NotFinite, Prediction, WrongPixels
from deployments.image.engine import OutOfDeviceMemory
from deployments.image.sizes import BatchSizes
from tests.deployments.image.fake_engine import CLASSES, CONFIG, FakeEngine, even, picture


def classifier(engine: FakeEngine, largest: int = 8) -> ImageClassifier:
    sizes = [size for size in (1, 2, 4, 8) if size <= largest]
    return ImageClassifier(engine, CONFIG, BatchSizes(even(sizes), pads=engine.pads))


def classes(answers: list[tuple[Prediction, ...] | Exception]) -> list[int | str]:
    """The best class of each answer, or the name of its error."""
    return [
        type(answer).__name__ if isinstance(answer, Exception) else answer[0].class_index
        for answer in answers
    ]


class TestPredictions:
    def test_each_picture_gets_its_own_number_of_them(self) -> None:
        answers = classifier(FakeEngine()).classify([picture(3)] * 4, [1, 2, CLASSES, 2000])
        assert [len(answer) for answer in answers if isinstance(answer, tuple)] == [1, 2, 6, 6]
        assert classes(answers) == [3] * 4

    def test_probabilities_are_the_softmax_of_the_logits(self) -> None:
        (answer,) = classifier(FakeEngine()).classify([picture(2)], [CLASSES])
        assert isinstance(answer, tuple)
        expected = np.exp([10.0] + [0.0] * 5) / (np.exp(10.0) + 5)
        assert [each.probability for each in answer] == pytest.approx(expected.tolist())
        # Equal classes keep their order.
        assert [each.class_index for each in answer] == [2, 0, 1, 3, 4, 5]
        assert answer[0].label == "class 2"

    @given(
        arrays.arrays(np.float32, st.integers(6, 6), elements=st.floats(-100, 100, width=32)),
        st.integers(1, 8),
    )
    def test_best_first_and_the_lower_class_among_equals(
        self, logits: NDArray[np.float32], count: int
    ) -> None:
        engine = FakeEngine()
        engine.logits = lambda images: logits[None]  # type: ignore[method-assign]
        (answer,) = classifier(engine).classify([picture(0)], [count])
        assert isinstance(answer, tuple)
        expected = sorted(range(6), key=lambda index: (-logits[index], index))[:count]
        assert [each.class_index for each in answer] == expected

    def test_none(self) -> None:
        engine = FakeEngine()
        assert classifier(engine).classify([], []) == []
        assert engine.passes == []

    @pytest.mark.parametrize("top_k", [[], [1, 1], [0]])
    def test_wrong_top_k(self, top_k: list[int]) -> None:
        with pytest.raises(ValueError, match="top_k"):
            classifier(FakeEngine()).classify([picture(1)], top_k)


class TestItemsThatFail:
    @pytest.mark.parametrize(
        "image",
        [
            np.zeros((5, 4, 3), np.uint8),
            np.zeros((3, 4, 4), np.uint8),
            np.zeros((4, 4, 3), np.float32),
            "no array",
        ],
    )
    def test_wrong_pixels_fail_alone(self, image: Any) -> None:
        engine = FakeEngine()
        answers = classifier(engine).classify([picture(1), image, picture(2)], [1, 1, 1])
        assert classes(answers) == [1, "WrongPixels", 2]
        assert engine.passes == [2]
        assert isinstance(answers[1], WrongPixels)

    def test_an_answer_that_is_not_finite_fails_alone(self) -> None:
        answers = classifier(FakeEngine(poisoned=[4])).classify(
            [picture(1), picture(4), picture(2)], [1, 1, 1]
        )
        assert classes(answers) == [1, "NotFinite", 2]
        assert isinstance(answers[1], NotFinite)


class TestOutOfMemory:
    def test_halves_and_remembers(self) -> None:
        engine = FakeEngine(fits=5)
        model = classifier(engine)
        answers = model.classify([picture(n % CLASSES) for n in range(8)], [1] * 8)
        assert classes(answers) == [n % CLASSES for n in range(8)]
        assert engine.passes == [8, 4, 4]
        assert model.sizes.largest == 4
        assert model.status.batch_sizes == (1, 2, 4)

    def test_what_does_not_fit_after_that_is_refused(self) -> None:
        engine = FakeEngine(fits=3)
        model = classifier(engine)
        answers = model.classify([picture(1)] * 8, [1] * 8)
        assert all(isinstance(answer, OutOfDeviceMemory) for answer in answers)
        assert engine.passes == [8, 4]
        # What comes later goes on with the smaller size, and is halved once more.
        assert classes(model.classify([picture(1)] * 4, [1] * 4)) == [1] * 4
        assert model.sizes.largest == 2

    def test_the_first_half_is_answered_where_only_the_second_does_not_fit(self) -> None:
        engine = FakeEngine(fits=5)

        def shrink(size: int) -> None:
            if engine.passes == [8, 4, 4]:
                engine.fits = 0

        engine = FakeEngine(fits=5, on_pass=shrink)
        answers = classifier(engine).classify([picture(1)] * 8, [1] * 8)
        assert classes(answers) == [1] * 4 + ["OutOfDeviceMemory"] * 4

    def test_one_picture_is_tried_once_more(self) -> None:
        engine = FakeEngine(fits=0)
        model = classifier(engine)
        assert classes(model.classify([picture(1)], [1])) == ["OutOfDeviceMemory"]
        assert engine.passes == [1, 1]
        engine.fits = 1
        assert classes(model.classify([picture(1)], [1])) == [1]


def test_status() -> None:
    status = classifier(FakeEngine()).status
    assert status == EngineStatus("cpu", "float32", "eager", 1, (1, 2, 4, 8))
