import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torchvision import models

from deployments.image.classifier import ImageClassifier, choose_device, choose_precision
from deployments.image.config import CONFIG_FILE, WEIGHTS_FILE, WeightsError
from deployments.image.decoding import decode
from tests.deployments.image.conftest import Photograph

CPU = torch.device("cpu")
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")

ENCODINGS_OF_THE_ESPRESSO = (
    "00_original.png",
    "gif_animated_first_frame.gif",
    "jpeg_cmyk.jpg",
    "jpeg_exif_orientation_6.jpg",
    "jpeg_progressive.jpg",
    "png_gray16.png",
    "png_palette.png",
    "png_rgba_hole.png",
    "webp_lossy.webp",
)


@pytest.fixture(scope="module")
def classifier(mobilenet: Path) -> ImageClassifier:
    return ImageClassifier.load(mobilenet, device="cpu")


@pytest.fixture
def threads_restored() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def right(
    classifier: ImageClassifier, photographs: list[Photograph], batch_size: int
) -> tuple[int, int]:
    """How many are right at top-1 and at top-5."""
    first = fifth = 0
    for start in range(0, len(photographs), batch_size):
        batch = photographs[start : start + batch_size]
        images = [photograph.pixels(classifier.config) for photograph in batch]
        answers = classifier.classify(images, [5] * len(images))
        for photograph, predictions in zip(batch, answers, strict=True):
            found = [prediction.class_index for prediction in predictions]
            first += found[0] == photograph.class_index
            fifth += photograph.class_index in found
    return first, fifth


class TestRealWeights:
    @pytest.mark.parametrize("batch_size", [1, 8, 50])
    def test_accuracy(
        self, classifier: ImageClassifier, photographs: list[Photograph], batch_size: int
    ) -> None:
        assert right(classifier, photographs, batch_size) == (41, 47)

    def test_accuracy_in_float32(self, mobilenet: Path, photographs: list[Photograph]) -> None:
        classifier = ImageClassifier.load(mobilenet, device="cpu", precision="float32")
        assert classifier.precision == "float32"
        assert right(classifier, photographs, 10) == (41, 47)

    @needs_cuda
    @pytest.mark.parametrize("precision", ["auto", "float32", "float16"])
    def test_accuracy_on_cuda(
        self, mobilenet: Path, photographs: list[Photograph], precision: str
    ) -> None:
        classifier = ImageClassifier.load(mobilenet, device="cuda", precision=precision)
        assert right(classifier, photographs, 16) == (41, 47)

    def test_logits_equal_torchvision(
        self, mobilenet: Path, shared_data: Path, photographs: list[Photograph]
    ) -> None:
        """Preprocessing included, in float32."""
        file = shared_data / "weights" / "mobilenet_v2.pth"
        network = models.mobilenet_v2(weights=None).eval()
        network.load_state_dict(torch.load(file, weights_only=True))
        transforms = models.MobileNet_V2_Weights.IMAGENET1K_V1.transforms()
        opened = [Image.open(photograph.path).convert("RGB") for photograph in photographs[:16]]
        with torch.inference_mode():
            expected = network(torch.stack([transforms(image) for image in opened])).numpy()
        classifier = ImageClassifier.load(mobilenet, device="cpu", precision="float32")
        images = [photograph.pixels(classifier.config) for photograph in photographs[:16]]
        assert np.abs(classifier.logits(images) - expected).max() < 1e-3

    @pytest.mark.parametrize("name", ENCODINGS_OF_THE_ESPRESSO)
    def test_the_espresso_in_every_encoding(
        self, classifier: ImageClassifier, awkward: Path, name: str
    ) -> None:
        image = decode((awkward / name).read_bytes(), classifier.config.preprocessing)
        ((best,),) = classifier.classify([image], [1])
        assert (best.class_index, best.label) == (967, "espresso")


class TestClassify:
    def test_each_picture_gets_its_own_number_of_predictions(
        self, classifier: ImageClassifier, photographs: list[Photograph]
    ) -> None:
        images = [photograph.pixels(classifier.config) for photograph in photographs[:4]]
        answers = classifier.classify(images, [1, 5, 1000, 2000])
        assert [len(predictions) for predictions in answers] == [1, 5, 1000, 1000]
        for predictions in answers:
            probabilities = [prediction.probability for prediction in predictions]
            assert probabilities == sorted(probabilities, reverse=True)
        assert sum(prediction.probability for prediction in answers[2]) == pytest.approx(1)

    def test_neighbours_do_not_matter(
        self, classifier: ImageClassifier, photographs: list[Photograph]
    ) -> None:
        images = [photograph.pixels(classifier.config) for photograph in photographs[:8]]
        together = classifier.classify(images, [3] * 8)
        for image, predictions in zip(images, together, strict=True):
            (alone,) = classifier.classify([image], [3])
            assert alone[0].class_index == predictions[0].class_index
            assert alone[0].probability == pytest.approx(predictions[0].probability, abs=0.02)

    def test_none(self, classifier: ImageClassifier) -> None:
        assert classifier.classify([], []) == []

    @pytest.mark.parametrize("top_k", [[], [1, 1], [0]])
    def test_wrong_top_k(self, classifier: ImageClassifier, top_k: list[int]) -> None:
        with pytest.raises(ValueError, match="top_k"):
            classifier.classify([np.zeros((224, 224, 3), np.uint8)], top_k)

    @pytest.mark.parametrize(
        "image",
        [
            np.zeros((225, 224, 3), np.uint8),
            np.zeros((3, 224, 224), np.uint8),
            np.zeros((224, 224, 3), np.float32),
        ],
    )
    def test_wrong_pixels(self, classifier: ImageClassifier, image: NDArray[Any]) -> None:
        good = np.zeros((224, 224, 3), np.uint8)
        with pytest.raises(ValueError, match="uint8 of shape"):
            classifier.classify([good, image], [1, 1])

    def test_read_only_pixels_are_left_alone(self, classifier: ImageClassifier) -> None:
        image = np.full((224, 224, 3), 7, np.uint8)
        image.setflags(write=False)
        classifier.warm_up([1, 2])
        classifier.classify([image], [1])
        assert (image == 7).all()


class TestLoad:
    @pytest.mark.usefixtures("threads_restored")
    def test_threads(self, mobilenet: Path) -> None:
        ImageClassifier.load(mobilenet, device="cpu", threads=1)
        assert torch.get_num_threads() == 1

    @pytest.mark.parametrize(
        ("name", "content"),
        [
            (WEIGHTS_FILE, None),
            (WEIGHTS_FILE, b""),
            (WEIGHTS_FILE, b"\xff" * 100),
            (CONFIG_FILE, None),
            (CONFIG_FILE, b"{"),
            (CONFIG_FILE, b"[]"),
        ],
    )
    def test_damaged_folder(
        self, mobilenet: Path, tmp_path: Path, name: str, content: bytes | None
    ) -> None:
        folder = shutil.copytree(mobilenet, tmp_path / "model")
        if content is None:
            (folder / name).unlink()
        else:
            (folder / name).write_bytes(content)
        with pytest.raises(WeightsError, match=name):
            ImageClassifier.load(folder)

    @pytest.mark.parametrize(
        ("field", "value", "message"),
        [
            ("architecture", "resnet18", "do not fit: .* missing keys"),
            ("architecture", "resnet_18", "did you mean resnet18"),
            ("labels", ["a", "b"], "do not fit: size mismatch"),
        ],
    )
    def test_config_of_other_weights(
        self, mobilenet: Path, tmp_path: Path, field: str, value: object, message: str
    ) -> None:
        folder = shutil.copytree(mobilenet, tmp_path / "model")
        fields = json.loads((folder / CONFIG_FILE).read_text())
        (folder / CONFIG_FILE).write_text(json.dumps(fields | {field: value}))
        with pytest.raises(WeightsError, match=message):
            ImageClassifier.load(folder)


@pytest.mark.parametrize("name", ["cuda:99", "tpu", "meta"])
def test_impossible_devices_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="device"):
        choose_device(name)


@pytest.mark.parametrize("name", ["float16", "int8"])
def test_impossible_precisions_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="choose auto or"):
        choose_precision(name, CPU)


def test_automatic_precision_is_one_that_can_be_chosen() -> None:
    automatic = choose_precision("auto", CPU)
    assert choose_precision(automatic, CPU) == automatic
