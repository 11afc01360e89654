import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torchvision import models

from deployments.image.config import CONFIG_FILE, WEIGHTS_FILE, ImageModelConfig, WeightsError
from deployments.image.pytorch.architectures import find_preset, recognise
from deployments.image.pytorch.weights import export_weights

SMALL = "shufflenet_v2_x0_5"

State = dict[str, Tensor]


def state_of(architecture: str, classes: int = 1000) -> State:
    torch.manual_seed(0)
    network = models.get_model(architecture, weights=None, num_classes=classes)
    return dict(network.state_dict())


@pytest.fixture(scope="module")
def state() -> State:
    return state_of(SMALL)


def saved(content: Any, path: Path) -> Path:
    torch.save(content, path)
    return path


class TestExport:
    @pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
    def test_stores_weights_and_config(self, state: State, tmp_path: Path, suffix: str) -> None:
        file = tmp_path / f"mine{suffix}"
        if suffix == ".pth":
            torch.save(state, file)
        else:
            save_file(state, file)
        config = export_weights(SMALL, file, tmp_path / "model")
        assert config.preset == "IMAGENET1K_V1"
        assert (config.preprocessing.resize_size, config.preprocessing.crop_size) == (256, 224)
        assert config.labels[967] == "espresso"
        assert ImageModelConfig.load(tmp_path / "model") == config
        stored = load_file(tmp_path / "model" / WEIGHTS_FILE)
        assert stored.keys() == state.keys()
        assert all(torch.equal(stored[key], state[key]) for key in state)

    def test_the_same_weights_make_the_same_bytes(self, state: State, tmp_path: Path) -> None:
        for name in ("a", "b"):
            export_weights(SMALL, saved(state, tmp_path / f"{name}.pth"), tmp_path / name)
        for file in (WEIGHTS_FILE, CONFIG_FILE):
            assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()

    def test_half_precision_stays_half(self, state: State, tmp_path: Path) -> None:
        half = {key: v.half() if v.is_floating_point() else v for key, v in state.items()}
        export_weights(SMALL, saved(half, tmp_path / "half.pth"), tmp_path / "model")
        assert load_file(tmp_path / "model" / WEIGHTS_FILE)["fc.weight"].dtype == torch.float16

    def test_what_is_stored_can_be_mapped(self, state: State, tmp_path: Path) -> None:
        odd = {key: value.t() if value.ndim == 2 else value for key, value in state.items()}
        transposed = {k: v.contiguous().t() if v.ndim == 2 else v for k, v in odd.items()}
        assert not transposed["fc.weight"].is_contiguous()
        export_weights(SMALL, saved(transposed, tmp_path / "odd.pth"), tmp_path / "model")
        path = tmp_path / "model" / WEIGHTS_FILE
        with path.open("rb") as file:
            header_bytes = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(header_bytes))
        assert header_bytes % 8 == 0
        for key, entry in header.items():
            alignment = state[key].element_size()
            assert (8 + header_bytes + entry["data_offsets"][0]) % alignment == 0
        assert torch.equal(load_file(path)["fc.weight"], state["fc.weight"])

    def test_labels_of_ones_own(self, tmp_path: Path) -> None:
        file = saved(state_of(SMALL, classes=2), tmp_path / "two.pth")
        config = export_weights(SMALL, file, tmp_path / "model", labels=["cat", "dog"])
        assert config.labels == ("cat", "dog")
        with pytest.raises(WeightsError, match="2 classes, but there are 1 labels"):
            export_weights(SMALL, file, tmp_path / "model", labels=["cat"])

    def test_other_classes_are_numbered(self, tmp_path: Path) -> None:
        file = saved(state_of(SMALL, classes=7), tmp_path / "seven.pth")
        assert export_weights(SMALL, file, tmp_path / "model").labels == tuple(
            f"class {index}" for index in range(7)
        )

    def test_preset_can_be_chosen(self, tmp_path: Path) -> None:
        file = saved(state_of("mobilenet_v2"), tmp_path / "mine.pth")
        config = export_weights("mobilenet_v2", file, tmp_path / "model", preset="IMAGENET1K_V2")
        assert (config.preset, config.preprocessing.resize_size) == ("IMAGENET1K_V2", 232)

    @pytest.mark.parametrize("architecture", ["mnasnet0_5", "googlenet", "densenet121"])
    def test_architectures_with_a_history(self, architecture: str, tmp_path: Path) -> None:
        state = state_of(architecture) if architecture == "densenet121" else ported(architecture)
        if architecture == "densenet121":
            state = {key.replace(".norm1.", ".norm.1."): value for key, value in state.items()}
        file = saved(state, tmp_path / "old.pth")
        assert export_weights(architecture, file, tmp_path / "model").architecture == architecture


def ported(architecture: str) -> State:
    network = models.get_model(
        architecture,
        weights=None,
        **({"aux_logits": True, "init_weights": False} if architecture == "googlenet" else {}),
    )
    return dict(network.state_dict())


class TestRefusals:
    def refuse(self, file: Path, message: str, architecture: str = SMALL) -> None:
        folder = file.parent / "model"
        with pytest.raises(WeightsError, match=message):
            export_weights(architecture, file, folder)
        assert not folder.exists()

    def test_no_file(self, tmp_path: Path) -> None:
        self.refuse(tmp_path / "none.pth", "does not exist")
        (tmp_path / "folder.pth").mkdir()
        self.refuse(tmp_path / "folder.pth", "a folder")
        os.mkfifo(tmp_path / "pipe.pth")
        self.refuse(tmp_path / "pipe.pth", "not a file")

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
    def test_no_permission(self, tmp_path: Path) -> None:
        (tmp_path / "closed.pth").touch(mode=0)
        self.refuse(tmp_path / "closed.pth", "cannot be read: Permission denied")

    @pytest.mark.parametrize(
        ("architecture", "message"),
        [
            ("resnet15", "resnet152"),
            ("xyzzy", "known are alexnet"),
            ("fcn_resnet50", "not a classification architecture"),
            ("r3d_18", "not a classification architecture"),
        ],
    )
    def test_architecture(
        self, state: State, tmp_path: Path, architecture: str, message: str
    ) -> None:
        self.refuse(saved(state, tmp_path / "a.pth"), message, architecture)

    def test_preset(self, state: State, tmp_path: Path) -> None:
        with pytest.raises(WeightsError, match="has no preset 'V9'; it has IMAGENET1K_V1"):
            export_weights(SMALL, saved(state, tmp_path / "a.pth"), tmp_path, preset="V9")

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda s: s.pop("conv1.0.weight"), r"1 missing keys \(conv1.0.weight\)"),
            (lambda s: s.update(extra=torch.ones(1)), r"1 unexpected keys \(extra\)"),
            (lambda s: s.pop("fc.bias"), r"1 missing keys \(fc.bias\)"),
            (
                lambda s: s.update({"conv5.0.weight": torch.ones(3)}),
                r"1 wrong shapes \(conv5.0.weight 3 instead of 1024 x 192 x 1 x 1\)",
            ),
            (lambda s: s["fc.bias"].fill_(float("nan")), "not finite, in fc.bias"),
            (lambda s: s["conv5.1.running_var"].fill_(float("inf")), "not finite, in conv5.1"),
            (lambda s: s.clear(), "not a state dict"),
            (lambda s: s.update(epoch=3), "not a state dict"),
            (lambda s: s.update({3: torch.ones(1)}), "not a state dict"),
            (lambda s: s.update({"fc.bias": torch.ones(9, device="meta")}), "not a state dict"),
            (lambda s: s.update({"fc.bias": torch.ones(1000) * 1j}), "not a state dict"),
            (lambda s: s.update({"fc.bias": torch.ones(1000).int()}), "do not fit: .*fc.bias"),
        ],
    )
    def test_content(
        self, state: State, tmp_path: Path, change: Callable[[Any], Any], message: str
    ) -> None:
        changed = {key: value.clone() for key, value in state.items()}
        change(changed)
        self.refuse(saved(changed, tmp_path / "changed.pth"), message)

    def test_weights_of_another_architecture(self, state: State, tmp_path: Path) -> None:
        file = saved(state, tmp_path / "shufflenet.pth")
        self.refuse(
            file, rf"missing keys \(features.*unexpected keys \(.*like those of {SMALL}:", "alexnet"
        )

    @pytest.mark.parametrize(("given", "asked"), [("resnet18", "resnet34"), ("vgg11", "vgg11_bn")])
    def test_a_smaller_sister_is_recognised(self, given: str, asked: str) -> None:
        with torch.device("meta"):
            state = models.get_model(given, weights=None, num_classes=7).state_dict()
        assert recognise(state, asked) == given

    def test_weights_of_no_architecture(self, state: State, tmp_path: Path) -> None:
        file = saved({f"my.{key}": value for key, value in state.items()}, tmp_path / "a.pth")
        with pytest.raises(WeightsError, match="unexpected keys") as caught:
            export_weights(SMALL, file, tmp_path / "model")
        assert "look like" not in str(caught.value)

    def test_hash_in_the_name(self, state: State, tmp_path: Path) -> None:
        file = saved(state, tmp_path / f"{SMALL}-01234567.pth")
        self.refuse(file, "01234567.pth is damaged or was not downloaded completely")

    def test_real_truncated_download(self, shared_data: Path, tmp_path: Path) -> None:
        file = tmp_path / "resnet18-f37072fd.pth"
        shutil.copyfile(shared_data / "weights" / "bad" / file.name, file)
        self.refuse(file, "not downloaded completely", "resnet18")


def test_a_published_file_is_recognised_by_its_hash() -> None:
    assert find_preset("resnet152", None, "f82ba261" + "0" * 56).name == "IMAGENET1K_V2"
    assert find_preset("resnet152", None, "394f9c45" + "0" * 56).name == "IMAGENET1K_V1"
    assert find_preset("resnet152", None, "0" * 64).name == "IMAGENET1K_V1"


@pytest.mark.parametrize(
    "change",
    [
        lambda fields: fields.pop("labels"),
        lambda fields: fields["preprocessing"].update(mean=[1]),
        lambda fields: fields["preprocessing"].update(crop_size=999),
        lambda fields: fields.update(preprocessing=None),
    ],
)
def test_config_that_is_not_ours(
    state: State, tmp_path: Path, change: Callable[[dict[str, Any]], Any]
) -> None:
    export_weights(SMALL, saved(state, tmp_path / "a.pth"), tmp_path)
    fields = json.loads((tmp_path / CONFIG_FILE).read_text())
    change(fields)
    (tmp_path / CONFIG_FILE).write_text(json.dumps(fields))
    with pytest.raises(WeightsError, match="not a readable image model config"):
        ImageModelConfig.load(tmp_path)
