"""On a real GPU: the same answers as on the CPU, however the batches come."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from deployments.image.classifier import ImageClassifier, Prediction
from deployments.image.engine import OutOfDeviceMemory, Pixels
from deployments.image.pytorch.engine import GPU_EXECUTIONS, load_engine
from deployments.image.pytorch.weights import export_weights
from tests.deployments.image.resnet152 import fitted_class, make_pictures, make_weights

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")

PICTURES = 24


@pytest.fixture(scope="module")
def images() -> list[Pixels]:
    return make_pictures(PICTURES, 224)


@pytest.fixture(scope="module")
def folder(images: list[Pixels], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network that assigns each picture to a class of its own."""
    folder = tmp_path_factory.mktemp("resnet50")
    make_weights("resnet50", folder / "fitted.pth", images)
    export_weights("resnet50", folder / "fitted.pth", folder)
    return folder


@pytest.fixture(scope="module")
def expected(folder: Path, images: list[Pixels]) -> NDArray[np.float32]:
    """The logits on the CPU in float32."""
    return ImageClassifier.load(folder, device="cpu", precision="float32", max_batch_size=1).logits(
        images
    )


@pytest.mark.parametrize("execution", GPU_EXECUTIONS)
def test_float32_equals_the_cpu(
    folder: Path, images: list[Pixels], expected: NDArray[np.float32], execution: str
) -> None:
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    model = ImageClassifier.load(
        folder, device="cuda", precision="float32", execution=execution, max_batch_size=PICTURES
    )
    for size in (1, 3, 7, PICTURES):  # padded and full
        np.testing.assert_allclose(model.logits(images[:size]), expected[:size], atol=1e-2)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_every_picture_gets_its_own_answer_from_two_threads(
    folder: Path, images: list[Pixels], precision: str
) -> None:
    model = ImageClassifier.load(
        folder, device="cuda", precision=precision, execution="graphs", max_batch_size=8
    )

    def classified(start: int) -> list[tuple[Prediction, ...] | Exception]:
        size = 1 + start % 8
        order = [(start + offset) % PICTURES for offset in range(size)]
        answers = model.classify([images[index] for index in order], [1] * size)
        for index, answer in zip(order, answers, strict=True):
            assert isinstance(answer, tuple)
            assert answer[0].class_index == fitted_class(index, PICTURES)
        return answers

    with ThreadPoolExecutor(model.concurrency) as threads:
        assert all(threads.map(classified, range(200)))


def test_the_choice_is_measured(folder: Path) -> None:
    status = ImageClassifier.load(folder, device="cuda").status
    assert status.device == "cuda:0"
    assert status.precision in ("bfloat16", "float16")
    assert status.execution in GPU_EXECUTIONS[:2]
    assert status.batch_sizes[0] == 1


def test_out_of_memory_leaves_a_working_engine(folder: Path, images: list[Pixels]) -> None:
    model = ImageClassifier.load(folder, device="cuda", execution="eager", max_batch_size=16)
    reference = model.logits(images[:4])
    engine = load_engine(folder, model.config, device="cuda", execution="eager")
    engine.prepare(4096)
    total = torch.cuda.get_device_properties(0).total_memory
    bound = torch.cuda.memory_reserved() + 64 * 2**20
    torch.cuda.set_per_process_memory_fraction(bound / total)
    try:
        with pytest.raises(OutOfDeviceMemory):
            engine.logits(images[:1] * 4096)
        np.testing.assert_allclose(model.logits(images[:4]), reference, atol=1e-2)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
