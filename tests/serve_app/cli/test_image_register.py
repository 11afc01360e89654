"""`scoring image register`: what is printed, what is stored, what is refused."""

from pathlib import Path

import pytest

from deployments.image.config import ImageModelConfig
from deployments.image.pytorch.architectures import hash_in_name, presets
from deployments.image.pytorch.weights import export_weights
from deployments.registry import ModelNotFound
from serve_app.cli import EXIT_USAGE, main
from serve_app.models import SOURCE_TAG, Missing, find_image, image_model_name, registry_of
from serve_app.settings import ImageSettings, Settings
from tests.serve_app.cli.image_models import ARCHITECTURE, register, save_weights


def test_prints_what_it_registered(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = save_weights(tmp_path / "mine.pth")
    assert register(tmp_path / "data", "--weights", str(weights)) == 0
    output, progress = capsys.readouterr()
    settings = Settings.model_validate(
        {
            "data_dir": tmp_path / "data",
            "image.architecture": ARCHITECTURE,
            "image.weights": weights,
        }
    )
    version = find_image(settings, registry_of(settings))
    assert not isinstance(version, Missing)
    assert output.splitlines() == [
        f"registered {ARCHITECTURE} version 1 ({version.digest[:19]})",
        "1000 classes: tench ... toilet tissue",
        "preset IMAGENET1K_V1: resized to 256, cropped to 224, bilinear",
    ]
    assert "no preset is known to belong to mine.pth" in progress


def test_a_named_preset_is_not_questioned(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = str(save_weights(tmp_path / "mine.pth"))
    options = ["--weights", weights, "--preset", "IMAGENET1K_V1", "image.alias=candidate"]
    assert register(tmp_path / "data", *options) == 0
    assert "no preset" not in capsys.readouterr().err
    registry = registry_of(Settings(data_dir=tmp_path / "data"))
    assert registry.resolve(ARCHITECTURE, "candidate").parameters["preset"] == "IMAGENET1K_V1"
    with pytest.raises(ModelNotFound):
        registry.resolve(ARCHITECTURE)


def test_labels_of_ones_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = str(save_weights(tmp_path / "mine.pth", classes=2))
    labels = tmp_path / "labels.txt"
    labels.write_text("cat\nKäfer\n", encoding="utf-8")
    assert register(tmp_path / "data", "--weights", weights, "--labels", str(labels)) == 0
    assert "2 classes: cat ... Käfer" in capsys.readouterr().out
    for content, reason in ((b"cat\n\n", "line 2: a label is blank"), (b"\xff", "cannot be read")):
        labels.write_bytes(content)
        assert register(tmp_path / "data", "--weights", weights, "--labels", str(labels)) == 1
        assert reason in capsys.readouterr().err


@pytest.mark.parametrize("options", [["--weights", "OFFICIAL"], []])
def test_published_weights_are_not_downloaded_twice(
    options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    registry = registry_of(Settings(data_dir=tmp_path / "data"))
    model = tmp_path / "model"
    export_weights(ARCHITECTURE, save_weights(tmp_path / "mine.pth"), model)
    url = presets(ARCHITECTURE)["IMAGENET1K_V1"].url
    tags = {SOURCE_TAG: f"{hash_in_name(url)}{'0' * 56}:auto"}
    registry.register(ARCHITECTURE, model, metrics={}, parameters={}, tags=tags, alias="other")
    assert register(tmp_path / "data", *options) == 0
    assert f"registered already: {ARCHITECTURE} version 1" in capsys.readouterr().out
    assert registry.resolve(ARCHITECTURE).version == "1"
    assert ImageModelConfig.load(registry.fetch(registry.resolve(ARCHITECTURE))).labels
    assert not (tmp_path / "data" / "downloads").exists()


def test_official_beside_a_file_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert register(tmp_path, "--weights", "OFFICIAL", "image.weights=a.pth") == EXIT_USAGE
    assert "image.weights is given twice" in capsys.readouterr().err


def test_what_is_refused_leaves_no_version(
    shared_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = shared_data / "weights" / "bad" / "resnet18-f37072fd.pth"
    data = f"data_dir={tmp_path}"
    for arguments, reason in (
        (["--architecture", "resnet18", "--weights", str(bad)], "not downloaded completely"),
        (["--architecture", "resnet18", "--weights", "none.pth"], "none.pth does not exist"),
        (["--architecture", "resnet"], "did you mean"),
        (["--architecture", "resnet18", "--preset", "V9"], "no preset 'V9'"),
    ):
        assert main(["image", "register", *arguments, data]) == 1
        assert reason in capsys.readouterr().err
    assert registry_of(Settings(data_dir=tmp_path)).versions("resnet18") == []


def test_weights_of_another_architecture(
    shared_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = str(shared_data / "weights" / "mobilenet_v2.pth")
    assert register(tmp_path, "--weights", weights) == 1
    error = capsys.readouterr().err
    assert "missing keys (conv1.0.weight, " in error
    assert "unexpected keys (features.0.0.weight, " in error
    assert "image.architecture=mobilenet_v2" in error


def test_each_framework_has_a_model_of_its_own() -> None:
    names = {image_model_name(ImageSettings(framework=name)) for name in ("torch", "keras")}
    assert names == {"resnet152", "keras-resnet152"}
