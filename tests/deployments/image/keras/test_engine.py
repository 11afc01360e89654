"""keras.applications behind the engine: the same answers as plain keras, for seeded weights."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

# Before TensorFlow itself: it sets TensorFlow up so that torch can be imported beside it.
architectures = pytest.importorskip("deployments.image.keras.architectures")

from deployments.image.classifier import ImageClassifier
from deployments.image.config import ImageModelConfig, WeightsError
from deployments.image.decoding import decode
from deployments.image.engine import OutOfDeviceMemory, Pixels
from deployments.image.keras.engine import KerasEngine, choose_device, choose_precision
from deployments.image.keras.weights import export_keras
from tests.deployments.image.decoding.pictures import encoded, noise

keras, tf = architectures.keras, architectures.tf
CLASSES = 10


def seeded(architecture: str, classes: int = CLASSES) -> Any:
    """The network without softmax, with weights that make batch norm do something."""
    network = architectures.build(architecture, classes)
    random = np.random.default_rng(0)
    for variable in network.weights:
        part = variable.path.rpartition("/")[2]
        if part in ("bias", "beta", "moving_mean"):
            variable.assign(random.normal(0, 0.1, variable.shape))
        elif part in ("gamma", "moving_variance"):
            # The last of a residual branch adds a little: values stay in range through 50 blocks.
            scale = 0.2 if "3_bn/gamma" in variable.path else 1.0
            variable.assign(scale * random.uniform(0.5, 1.5, variable.shape))
    return network


def stored(network: Any, architecture: str, folder: Path) -> ImageModelConfig:
    path = folder / "seeded.weights.h5"
    network.save_weights(path)
    return export_keras(architecture, path, folder, downloads=folder)


def pictures(count: int, size: int) -> list[Pixels]:
    random = np.random.default_rng(1)
    return list(random.integers(0, 256, (count, size, size, 3), np.uint8))


def plain_logits(network: Any, architecture: str, images: list[Pixels]) -> Any:
    values = architectures.preprocess(architecture, np.stack(images).astype(np.float32))
    return network.predict(values, verbose=0)


# Plain and depthwise convolutions, batch norm first, without gamma, layers without names.
@pytest.mark.parametrize("name", ["ResNet152", "MobileNetV2", "ResNet50V2", "InceptionV3"])
def test_logits_are_those_of_plain_keras(name: str, tmp_path: Path) -> None:
    network = seeded(name)
    config = stored(network, name, tmp_path)
    images = pictures(3, config.preprocessing.crop_size)
    expected = plain_logits(network, name, images)
    engine = KerasEngine.load(tmp_path, config, device="cpu", precision="float32")
    assert (engine.device, engine.precision, engine.execution) == ("cpu", "float32", "compiled")
    np.testing.assert_allclose(engine.logits(images), expected, atol=1e-3)


@pytest.fixture(scope="module")
def mobilenet(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    network, folder = seeded("MobileNetV2"), tmp_path_factory.mktemp("keras")
    stored(network, "MobileNetV2", folder)
    return network, folder


def test_a_file_is_read_as_keras_documents_it(mobilenet: tuple[Any, Path], tmp_path: Path) -> None:
    network, folder = mobilenet
    path = tmp_path / "picture.png"
    path.write_bytes(encoded(noise(301, 187)))
    loaded = keras.utils.load_img(path, target_size=(224, 224))
    expected = plain_logits(network, "MobileNetV2", [keras.utils.img_to_array(loaded)])
    config = ImageModelConfig.load(folder)
    engine = KerasEngine.load(folder, config, device="cpu", precision="float32")
    pixels = decode(path.read_bytes(), config.preprocessing)
    np.testing.assert_allclose(engine.logits([pixels]), expected, atol=1e-3)


def test_bfloat16_keeps_the_answers(mobilenet: tuple[Any, Path]) -> None:
    network, folder = mobilenet
    if choose_precision("auto", "cpu") != "bfloat16":
        pytest.skip("this processor has no bfloat16")
    images = pictures(4, 224)
    config = ImageModelConfig.load(folder)
    got = KerasEngine.load(folder, config, device="cpu", precision="bfloat16").logits(images)
    expected = plain_logits(network, "MobileNetV2", images)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, expected, atol=0.03 * np.abs(expected).max())


def test_the_classifier_serves_it(mobilenet: tuple[Any, Path]) -> None:
    _, folder = mobilenet
    classifier = ImageClassifier.load(folder, device="cpu", max_batch_size=2)
    (found,) = classifier.classify(pictures(1, 224), [3])
    assert not isinstance(found, Exception)
    best, *others = found
    assert best.label == f"class {best.class_index}"
    assert len(others) == 2


def test_weights_of_another_model_are_refused(mobilenet: tuple[Any, Path]) -> None:
    _, folder = mobilenet
    config = replace(ImageModelConfig.load(folder), architecture="ResNet50")
    with pytest.raises(WeightsError, match="missing \\(conv1_conv/kernel"):
        KerasEngine.load(folder, config, device="cpu")


def test_no_memory_is_said_so() -> None:
    def forward(pixels: Any) -> Any:
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")

    with pytest.raises(OutOfDeviceMemory, match="2 pictures"):
        KerasEngine(forward, "cpu", "float32").logits(pictures(2, 8))


def test_unknown_ways_to_compute_are_refused(mobilenet: tuple[Any, Path]) -> None:
    with pytest.raises(ValueError, match="not 'tpu'"):
        choose_device("tpu")
    with pytest.raises(ValueError, match="sees no CUDA device"):
        choose_device("cuda:99")
    with pytest.raises(ValueError, match="float16"):
        choose_precision("float16", "cpu")
    config = ImageModelConfig.load(mobilenet[1])
    with pytest.raises(ValueError, match="compiled alone"):
        KerasEngine.load(mobilenet[1], config, execution="eager")
    with pytest.raises(ValueError, match="threads cannot be changed"):
        KerasEngine.load(mobilenet[1], config, threads=97)


def test_transparent_alpha_does_not_reach_keras_as_black() -> None:
    config = architectures.preprocessing_of(architectures.build("MobileNetV2", 2, empty=True))
    pixels = decode(encoded(Image.new("RGBA", (50, 20))), config)
    assert pixels.shape == (224, 224, 3)
    assert pixels.min() == 255
