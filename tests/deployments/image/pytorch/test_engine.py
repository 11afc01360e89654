"""Real weights on the devices that are here, and what a model's folder must hold."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import models

from deployments.image.classifier import ImageClassifier, Prediction
from deployments.image.config import CONFIG_FILE, WEIGHTS_FILE, ImageModelConfig, WeightsError
from deployments.image.decoding import decode
from deployments.image.pytorch.engine import (
    CPU_EXECUTIONS,
    choose_device,
    load_engine,
    possible_precisions,
)
from tests.deployments.image.conftest import Photograph

CPU = torch.device("cpu")
BFLOAT16_HERE = "bfloat16" in possible_precisions("auto", CPU)
needs_bfloat16 = pytest.mark.skipif(not BFLOAT16_HERE, reason="this processor has no bfloat16")


@pytest.fixture(scope="module")
def classifier(mobilenet: Path) -> ImageClassifier:
    return ImageClassifier.load(mobilenet, device="cpu", max_batch_size=16)


@pytest.fixture(scope="module")
def in_float32(mobilenet: Path) -> ImageClassifier:
    return ImageClassifier.load(mobilenet, device="cpu", precision="float32", max_batch_size=1)


@pytest.fixture
def threads_restored() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def answers(
    classifier: ImageClassifier, photographs: list[Photograph], top_k: int, batch_size: int = 10
) -> list[tuple[Prediction, ...]]:
    found: list[tuple[Prediction, ...]] = []
    for start in range(0, len(photographs), batch_size):
        batch = photographs[start : start + batch_size]
        images = [photograph.pixels(classifier.config) for photograph in batch]
        for answer in classifier.classify(images, [top_k] * len(images)):
            assert isinstance(answer, tuple)
            found.append(answer)
    return found


def right(
    classifier: ImageClassifier, photographs: list[Photograph], batch_size: int = 10
) -> tuple[int, int]:
    """How many are right at top-1 and at top-5."""
    first = fifth = 0
    found = answers(classifier, photographs, 5, batch_size)
    for photograph, predictions in zip(photographs, found, strict=True):
        indices = [prediction.class_index for prediction in predictions]
        first += indices[0] == photograph.class_index
        fifth += photograph.class_index in indices
    return first, fifth


class TestRealWeights:
    @pytest.mark.parametrize("batch_size", [1, 8, 50])
    def test_accuracy(
        self, classifier: ImageClassifier, photographs: list[Photograph], batch_size: int
    ) -> None:
        assert right(classifier, photographs, batch_size) == (41, 47)

    def test_accuracy_in_float32(
        self, in_float32: ImageClassifier, photographs: list[Photograph]
    ) -> None:
        assert in_float32.status.precision == "float32"
        assert right(in_float32, photographs) == (41, 47)

    @needs_bfloat16
    def test_bfloat16_agrees_with_float32(
        self, mobilenet: Path, in_float32: ImageClassifier, photographs: list[Photograph]
    ) -> None:
        """Top-1 in at least 99.5 %; the top probability by 0.01 in the median, 0.1 at most."""
        rounded = ImageClassifier.load(
            mobilenet, device="cpu", precision="bfloat16", max_batch_size=1
        )
        pairs = list(
            zip(
                answers(rounded, photographs, 1),
                answers(in_float32, photographs, 1),
                strict=True,
            )
        )
        same = [ours[0].class_index == exact[0].class_index for ours, exact in pairs]
        assert np.mean(same) >= 0.995
        differences = [abs(ours[0].probability - exact[0].probability) for ours, exact in pairs]
        assert np.median(differences) <= 0.01
        assert max(differences) <= 0.1

    def test_logits_equal_torchvision(
        self, in_float32: ImageClassifier, shared_data: Path, photographs: list[Photograph]
    ) -> None:
        """Preprocessing included, on every photograph."""
        file = shared_data / "weights" / "mobilenet_v2.pth"
        network = models.mobilenet_v2(weights=None).eval()
        network.load_state_dict(torch.load(file, weights_only=True))
        transforms = models.MobileNet_V2_Weights.IMAGENET1K_V1.transforms()
        opened = [Image.open(photograph.path).convert("RGB") for photograph in photographs]
        with torch.inference_mode():
            expected = network(torch.stack([transforms(image) for image in opened])).numpy()
        images = [photograph.pixels(in_float32.config) for photograph in photographs]
        assert np.abs(in_float32.logits(images) - expected).max() < 1e-3

    def test_neighbours_do_not_matter(
        self, classifier: ImageClassifier, photographs: list[Photograph]
    ) -> None:
        together = answers(classifier, photographs[:8], 3, 8)
        for predictions, alone in zip(
            together, answers(classifier, photographs[:8], 3, 1), strict=True
        ):
            assert alone[0].class_index == predictions[0].class_index
            assert alone[0].probability == pytest.approx(predictions[0].probability, abs=0.02)

    @pytest.mark.parametrize("execution", CPU_EXECUTIONS)
    def test_every_execution_gives_the_same_logits(
        self,
        mobilenet: Path,
        in_float32: ImageClassifier,
        photographs: list[Photograph],
        execution: str,
    ) -> None:
        engine = load_engine(
            mobilenet, in_float32.config, device="cpu", precision="float32", execution=execution
        )
        engine.prepare(4)
        images = [photograph.pixels(in_float32.config) for photograph in photographs[:3]]
        np.testing.assert_allclose(engine.logits(images), in_float32.logits(images), atol=1e-3)
        assert engine.execution == execution
        assert engine.pads == (execution == "compiled")

    def test_passes_that_share_the_threads_give_the_same_logits(
        self, in_float32: ImageClassifier, mobilenet: Path, photographs: list[Photograph]
    ) -> None:
        engine = load_engine(mobilenet, in_float32.config, device="cpu", precision="float32")
        engine.concurrency = max(engine.concurrencies)
        images = [photograph.pixels(in_float32.config) for photograph in photographs[:8]]
        expected = in_float32.logits(images)
        with ThreadPoolExecutor(4) as threads:
            starts = [start % 5 for start in range(40)]
            found = list(threads.map(lambda start: engine.logits(images[start:]), starts))
        for start, logits in zip(starts, found, strict=True):
            np.testing.assert_allclose(logits, expected[start:], atol=1e-3)

    def test_read_only_pixels_are_left_alone(self, classifier: ImageClassifier) -> None:
        image = np.full((224, 224, 3), 7, np.uint8)
        image.setflags(write=False)
        classifier.classify([image], [1])
        assert (image == 7).all()


class TestMemory:
    def test_a_cpu_without_memory_for_a_batch_halves_it(self, mobilenet: Path) -> None:
        """In a process of its own whose address space is bounded."""
        program = """
import resource, sys
from pathlib import Path
import numpy as np
from deployments.image.classifier import ImageClassifier
model = ImageClassifier.load(Path(sys.argv[1]), device="cpu", precision="float32",
                             execution="eager", threads=1, max_batch_size=2)
image = np.zeros((224, 224, 3), np.uint8)
pages = int(Path("/proc/self/statm").read_text().split()[0])
bound = pages * resource.getpagesize() + 600 * 2**20
resource.setrlimit(resource.RLIMIT_AS, (bound, bound))
answers = model.classify([image] * 256, [1] * 256)
print(*{type(answer).__name__ for answer in answers}, model.sizes.largest)
print(type(model.classify([image], [1])[0]).__name__)
"""
        done = subprocess.run(
            [sys.executable, "-c", program, str(mobilenet)],
            capture_output=True,
            text=True,
            check=False,
            cwd=Path(__file__).parents[4],
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[-1] == "tuple"
        assert "no memory for 256 pictures" in done.stderr


class TestLoad:
    @pytest.mark.usefixtures("threads_restored")
    def test_threads(self, mobilenet: Path) -> None:
        ImageClassifier.load(mobilenet, device="cpu", threads=1, max_batch_size=1)
        assert torch.get_num_threads() == 1

    def test_the_choice_is_named(self, classifier: ImageClassifier) -> None:
        status = classifier.status
        assert status.device == "cpu"
        assert status.precision in possible_precisions("auto", CPU)
        assert status.execution in ("eager", "fused")
        assert status.batch_sizes == (1, 2, 4, 8, 16)

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
            ("architecture", "resnet18", "do not fit"),
            ("architecture", "resnet_18", "did you mean resnet18"),
            ("labels", ["a", "b"], "do not fit"),
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

    @pytest.mark.parametrize("execution", ["graphs", "fast"])
    def test_impossible_executions_are_refused(self, mobilenet: Path, execution: str) -> None:
        config = ImageModelConfig.load(mobilenet)
        with pytest.raises(ValueError, match="choose auto or eager"):
            load_engine(mobilenet, config, device="cpu", execution=execution)


@pytest.mark.parametrize("name", ["cuda:99", "tpu", "meta"])
def test_impossible_devices_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="device"):
        choose_device(name)


@pytest.mark.parametrize("name", ["float16", "int8"])
def test_impossible_precisions_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="choose auto or"):
        possible_precisions(name, CPU)


def test_the_espresso(classifier: ImageClassifier, awkward: Path) -> None:
    """In every encoding: see test_encodings."""
    image = decode((awkward / "00_original.png").read_bytes(), classifier.config.preprocessing)
    (answer,) = classifier.classify([image], [1])
    assert isinstance(answer, tuple)
    assert (answer[0].class_index, answer[0].label) == (967, "espresso")
