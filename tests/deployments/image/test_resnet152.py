"""A full-size ResNet-152 whose weights tell every picture from every other."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from deployments.image.classifier import ImageClassifier
from deployments.image.decoding import decode
from deployments.image.pytorch.architectures import find_preset, preprocessing_of
from deployments.image.pytorch.weights import export_weights
from tests.deployments.image.resnet152 import fitted_class, make_pictures, make_weights

Pixels = NDArray[np.uint8]


@pytest.fixture(scope="module")
def images(request: pytest.FixtureRequest) -> list[Pixels]:
    """The 50 photographs, or as many synthetic pictures where they are absent."""
    preprocessing = preprocessing_of(find_preset("resnet152", None))
    try:
        photographs = request.getfixturevalue("photographs")
    except pytest.skip.Exception:
        return make_pictures(50, preprocessing.crop_size)
    return [decode(photograph.path.read_bytes(), preprocessing) for photograph in photographs]


@pytest.fixture(scope="module")
def classifier(images: list[Pixels], tmp_path_factory: pytest.TempPathFactory) -> ImageClassifier:
    folder = tmp_path_factory.mktemp("resnet152")
    make_weights("resnet152", folder / "fitted.pth", images)
    export_weights("resnet152", folder / "fitted.pth", folder)
    (folder / "fitted.pth").unlink()
    return ImageClassifier.load(folder, device="cpu", max_batch_size=1)


def test_every_picture_gets_its_own_answer_in_any_batch(
    classifier: ImageClassifier, images: list[Pixels]
) -> None:
    order = np.random.default_rng(0).permutation(len(images))
    sizes = [1, 2, 16, 7, 24]
    assert sum(sizes) == len(images)
    for batch in np.split(order, np.cumsum(sizes)[:-1]):
        answers = classifier.classify([images[i] for i in batch], [2] * len(batch))
        for i, answer in zip(batch, answers, strict=True):
            assert isinstance(answer, tuple)
            best, second = answer
            assert best.class_index == fitted_class(int(i), len(images))
            assert best.probability > 0.9
            assert second.probability < 0.05


def test_weights_are_the_same_every_time(tmp_path: Path) -> None:
    pictures = make_pictures(8, 224)
    for name in ("a.safetensors", "b.safetensors"):
        make_weights("resnet18", tmp_path / name, pictures, seed=3)
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


def test_making_weights_leaves_the_random_state_alone(tmp_path: Path) -> None:
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    make_weights("resnet18", tmp_path / "a.pth", make_pictures(2, 224))
    assert torch.equal(torch.rand(1), expected)
