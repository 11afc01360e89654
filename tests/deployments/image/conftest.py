"""Real input where it is there, and MobileNetV2's real weights exported once a session."""

import csv
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from deployments.image.config import ImageModelConfig
from deployments.image.decoding import decode
from deployments.image.pytorch.weights import export_weights

_SHARED = Path(__file__).parents[4] / "shared"


@dataclass(frozen=True)
class Photograph:
    path: Path
    class_index: int
    label: str

    def pixels(self, config: ImageModelConfig) -> NDArray[np.uint8]:
        return decode(self.path.read_bytes(), config.preprocessing)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    folder = Path(os.environ.get("SCORING_SHARED_DATA", _SHARED)) / "data"
    if not folder.is_dir():
        pytest.skip(f"{folder} is absent; SCORING_SHARED_DATA names the shared folder")
    return folder


@pytest.fixture(scope="session")
def photographs(shared_data: Path) -> list[Photograph]:
    folder = shared_data / "images" / "labelled"
    with (folder / "manifest.csv").open(encoding="utf-8") as manifest:
        return [
            Photograph(folder / row["file"], int(row["class_index"]), row["label"])
            for row in csv.DictReader(manifest)
        ]


@pytest.fixture(scope="session")
def awkward(shared_data: Path) -> Path:
    return shared_data / "images" / "awkward"


@pytest.fixture(scope="session")
def mobilenet(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mobilenet_v2")
    export_weights("mobilenet_v2", shared_data / "weights" / "mobilenet_v2.pth", folder)
    return folder
