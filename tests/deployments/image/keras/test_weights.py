"""Files of keras weights: all three forms, and every refusal."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

architectures = pytest.importorskip("deployments.image.keras.architectures")

from safetensors.numpy import load_file

from deployments.image.config import WEIGHTS_FILE, ImageModelConfig, WeightsError
from deployments.image.keras.weights import export_keras
from deployments.image.pytorch.download import WeightsUnavailable

CLASSES = 4


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One network in each of the forms that keras writes."""
    folder = tmp_path_factory.mktemp("files")
    network = architectures.build("MobileNetV2", CLASSES)
    network.save_weights(folder / "net.weights.h5")
    network.save(folder / "net.keras")
    # The older form, which keras' published files have.
    program = (
        "import logging, sys; from deployments.image.keras.architectures import build;"
        "from absl import logging as absl; absl.set_verbosity(absl.ERROR);"
        "network = build('MobileNetV2', 4); network.load_weights(sys.argv[1]);"
        "network.save(sys.argv[2])"
    )
    arguments = [str(folder / "net.weights.h5"), str(folder / "net.h5")]
    root = Path(__file__).parents[4]
    subprocess.run([sys.executable, "-c", program, *arguments], check=True, cwd=root)
    return folder


@pytest.mark.parametrize("name", ["net.weights.h5", "net.h5", "net.keras"])
def test_every_form_is_stored_alike(files: Path, tmp_path: Path, name: str) -> None:
    config = export_keras("mobilenetv2", files / name, tmp_path, downloads=tmp_path)
    assert config == ImageModelConfig.load(tmp_path)
    assert (config.architecture, config.framework) == ("MobileNetV2", "keras")
    assert config.labels == ("class 0", "class 1", "class 2", "class 3")
    preprocessing = config.preprocessing
    assert (preprocessing.interpolation, preprocessing.stretch) == ("nearest", True)
    arrays = load_file(tmp_path / WEIGHTS_FILE)
    assert arrays["predictions/kernel"].shape == (1280, CLASSES)
    if name != "net.weights.h5":
        export_keras("MobileNetV2", files / "net.weights.h5", tmp_path, downloads=tmp_path)
        for key, array in load_file(tmp_path / WEIGHTS_FILE).items():
            assert (arrays[key] == array).all(), key


@pytest.mark.parametrize("name", ["net.weights.h5", "net.h5", "net.keras"])
def test_another_architecture_names_the_layers(files: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(WeightsError, match=r"missing \(conv1_conv, .*unexpected \(.*Conv1"):
        export_keras("ResNet50", files / name, tmp_path / "model", downloads=tmp_path)
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("name", ["net.weights.h5", "net.h5", "net.keras"])
@pytest.mark.parametrize("kept", [0.0, 0.5, 0.99])
def test_truncated_files_are_refused(files: Path, tmp_path: Path, name: str, kept: float) -> None:
    content = (files / name).read_bytes()
    (tmp_path / name).write_bytes(content[: int(kept * len(content))])
    with pytest.raises(WeightsError, match="is not a readable"):
        export_keras("MobileNetV2", tmp_path / name, tmp_path / "model", downloads=tmp_path)


def test_what_is_no_keras_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    with pytest.raises(WeightsError, match="does not exist"):
        export_keras("MobileNetV2", path, tmp_path / "model", downloads=tmp_path)
    path.write_bytes(b"PK")
    with pytest.raises(WeightsError, match=r"must end in \.weights\.h5"):
        export_keras("MobileNetV2", path, tmp_path / "model", downloads=tmp_path)


def test_values_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    network = architectures.build("MobileNetV2", CLASSES)
    bias = network.weights[-1]
    bias.assign([0.0, float("nan"), 0.0, 0.0])
    network.save_weights(tmp_path / "net.weights.h5")
    with pytest.raises(WeightsError, match="not finite, in predictions/bias"):
        export_keras("MobileNetV2", tmp_path / "net.weights.h5", tmp_path, downloads=tmp_path)


def test_unknown_architectures_get_a_hint() -> None:
    with pytest.raises(WeightsError, match="did you mean ResNet152"):
        architectures.canonical_name("resnet-152")
    with pytest.raises(WeightsError, match="EfficientNetV2 is supported"):
        architectures.canonical_name("EfficientNetB0")


def test_labels_come_from_a_class_index(files: Path, tmp_path: Path) -> None:
    words = ["tench", "goldfish", "great_white_shark", "tiger_shark"]
    index = tmp_path / "index.json"
    index.write_text(json.dumps({str(i): [f"n{i:08}", word] for i, word in enumerate(words)}))
    weights = files / "net.weights.h5"
    config = export_keras("MobileNetV2", weights, tmp_path, downloads=tmp_path, labels=index)
    assert config.labels == tuple(words)
    index.write_text(json.dumps({"0": ["n0", "tench"]}))
    with pytest.raises(WeightsError, match="has 1 labels, the model 4"):
        export_keras("MobileNetV2", weights, tmp_path, downloads=tmp_path, labels=index)
    index.write_text("[1, 2]")
    with pytest.raises(WeightsError, match="not a class index"):
        export_keras("MobileNetV2", weights, tmp_path, downloads=tmp_path, labels=index)


def test_without_a_network_the_message_says_which_file_to_bring(tmp_path: Path) -> None:
    # A proxy on a closed port stands for a machine without a network.
    proxy = {"https_proxy": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9"}
    program = (
        "import sys; from pathlib import Path;"
        "from deployments.image.keras.weights import export_keras; folder = Path(sys.argv[1]);"
        "export_keras('ResNet152', None, folder, downloads=folder, progress=False)"
    )
    failed = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        cwd=Path(__file__).parents[4],
        env=os.environ | proxy,
        capture_output=True,
        text=True,
    )
    assert failed.returncode == 1
    last = failed.stderr.splitlines()[-1]
    assert WeightsUnavailable.__name__ in last
    assert "resnet152_weights_tf_dim_ordering_tf_kernels.h5" in last
    assert "image.weights=" in last
    assert not list(tmp_path.glob("*.h5"))
