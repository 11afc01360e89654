"""A full-size ResNet-152 over HTTP under concurrency: every caller gets its own answer."""

import io
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deployments.image.decoding import ImageLimits, Preprocessing, decode
from tests.application.service import Service, scoring, serving
from tests.deployments.image.resnet152 import make_weights

pytestmark = pytest.mark.timeout(600)

PORT = 8124
PICTURES = 24
PREPROCESSING = Preprocessing(
    resize_size=256,
    crop_size=224,
    interpolation="bilinear",
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
)


def pictures() -> list[bytes]:
    """Coarse coloured noise, each picture its own."""
    random = np.random.default_rng(5)
    encoded = []
    for _ in range(PICTURES):
        coarse = random.integers(0, 256, (7, 7, 3), np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(coarse).resize((256, 256), Image.Resampling.BICUBIC).save(buffer, "PNG")
        encoded.append(buffer.getvalue())
    return encoded


def test_every_caller_gets_the_answer_to_its_own_picture(data_dir: Path, tmp_path: Path) -> None:
    files = pictures()
    decoded = [decode(file, PREPROCESSING, ImageLimits()) for file in files]
    weights = tmp_path / "seeded.pth"
    make_weights("resnet152", weights, decoded)
    command = scoring(
        "serve",
        f"data_dir={data_dir}",
        f"http.port={PORT}",
        f"image.weights={weights}",
        "http.deadline_s=120",
        "image.max_queue=32",
        "image.alias=seeded",  # the data folder is shared with tests of a machine without weights
    )
    with serving(command, port=PORT, folder=tmp_path) as service:
        alone = [_best(service, file) for file in files]
        assert len(set(alone)) == PICTURES
        order = list(np.random.default_rng(6).permutation(list(range(PICTURES)) * 3))
        with ThreadPoolExecutor(16) as pool:
            together: Sequence[int] = list(pool.map(lambda i: _best(service, files[i]), order))
        assert [int(index) for index in together] == [alone[i] for i in order]


def _best(service: Service, file: bytes) -> int:
    with service.client() as client:
        answer = client.post(
            "/v1/images/classify", content=file, headers={"content-type": "image/png"}
        )
    assert answer.status_code == 200, answer.text
    return int(answer.json()["predictions"][0]["class_index"])
