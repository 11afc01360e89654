"""What the scorer promises, with a classifier that counts its forward passes and can be held up."""

import asyncio
import os
import threading
from collections.abc import Callable, Sequence

import numpy as np
import orjson
import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import CollectorRegistry

from deployments.contracts import EncodedPrediction, EngineStatus, ModelIdentity, Picture, Refusal
from deployments.image.classifier import NotFinite, Prediction
from deployments.image.engine import OutOfDeviceMemory, Pixels
from deployments.image.scorer import MOST_FAILED_PASSES, NICENESS, DeviceBroken, ImageScorer
from deployments.spans import Spans
from deployments.tracing import TracingOptions

IDENTITY = ModelIdentity("resnet152", "1", "sha256:" + "b" * 64)
LONG_S, SOON_S = 30.0, 0.05


class FakeSizes:
    """Powers of two up to the largest, as a device with fixed shapes has them."""

    def __init__(self, largest: int) -> None:
        self.largest = largest

    def take(self, waiting: int) -> int:
        return min(self.largest, 1 << (waiting.bit_length() - 1))


class FakeClassifier:
    """Names each picture's class after its first value; remembers every forward pass."""

    def __init__(self, largest: int = 4, concurrency: int = 1, device: str = "cpu") -> None:
        self.device = device
        self.sizes = FakeSizes(largest)
        self.concurrency = concurrency
        self.forwards: list[list[int]] = []
        self.poison: dict[int, Exception] = {}
        self.shrinks_to: int | None = None
        self.broken: Exception | None = None
        self.overlapping = 0
        self.most_overlapping = 0
        self.gate = threading.Event()
        self.gate.set()

    @property
    def status(self) -> EngineStatus:
        return EngineStatus(
            self.device, "bfloat16", "fused", self.concurrency, (1, 2, self.sizes.largest)
        )

    def classify(
        self, images: Sequence[Pixels], top_k: Sequence[int]
    ) -> list[tuple[Prediction, ...] | Exception]:
        numbers = [int(image[0, 0, 0]) for image in images]
        self.forwards.append(numbers)
        self.overlapping += 1
        self.most_overlapping = max(self.overlapping, self.most_overlapping)
        assert self.gate.wait(LONG_S)
        self.overlapping -= 1
        if self.broken is not None:
            raise self.broken
        if self.shrinks_to is not None:
            self.sizes.largest = self.shrinks_to
        return [
            self.poison.get(number) or tuple(Prediction(number, "", 0.5) for _ in range(count))
            for number, count in zip(numbers, top_k, strict=True)
        ]


def picture(number: int) -> Picture:
    return Picture(np.full((2, 2, 3), number, np.uint8), top_k=1)


def ask(
    scorer: ImageScorer, *numbers: int, within_s: float = LONG_S
) -> "asyncio.Task[list[int | str]]":
    """The class of each picture, or the reason of its refusal."""

    async def classify() -> list[int | str]:
        batch = await scorer.classify([picture(number) for number in numbers], within_s)
        assert batch.model == IDENTITY
        return [
            result.reason
            if isinstance(result, Refusal)
            else orjson.loads(result.predictions)[0]["class_index"]
            for result in batch.results
        ]

    return asyncio.create_task(classify())


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(LONG_S):
        while not condition():
            await asyncio.sleep(0.001)


def value(registry: CollectorRegistry, name: str, **labels: str) -> float | None:
    return registry.get_sample_value(name, {"model": "image", **labels})


class FakeTeam(FakeClassifier):
    """Computes with a thread of its own beside the caller's; remembers their niceness."""

    def classify(
        self, images: Sequence[Pixels], top_k: Sequence[int]
    ) -> list[tuple[Prediction, ...] | Exception]:
        self.niceness: list[int] = []
        helper = threading.Thread(target=self._note)
        helper.start()
        helper.join()
        self._note()
        return super().classify(images, top_k)

    def _note(self) -> None:
        self.niceness.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))


@pytest.mark.parametrize(("device", "nicer"), [("cpu", NICENESS), ("cuda:0", 0)])
async def test_passes_on_a_cpu_give_way(device: str, nicer: int) -> None:
    classifier = FakeTeam(device=device)
    mine = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    assert await ask(ImageScorer(classifier, IDENTITY), 1) == [1]
    assert classifier.niceness == [min(mine + nicer, 19)] * 2
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == mine


async def test_a_device_that_fails_again_and_again_is_reported() -> None:
    classifier = FakeClassifier()
    classifier.broken = RuntimeError("an illegal memory access was encountered")
    scorer = ImageScorer(classifier, IDENTITY)
    for _ in range(MOST_FAILED_PASSES):
        scorer.check_health()
        assert await ask(scorer, 1) == ["failed"]
    with pytest.raises(DeviceBroken):
        scorer.check_health()
    classifier.broken = None
    assert await ask(scorer, 1) == [1]
    scorer.check_health()


async def test_batches_have_the_sizes_that_the_device_likes() -> None:
    classifier = FakeClassifier(largest=4)
    scorer = ImageScorer(classifier, IDENTITY)
    classifier.gate.clear()
    first = ask(scorer, 0)
    await until(lambda: classifier.forwards == [[0]])
    others = ask(scorer, *range(1, 8))
    await asyncio.sleep(0.01)
    classifier.gate.set()
    assert await first + await others == list(range(8))
    assert classifier.forwards == [[0], [1, 2, 3, 4], [5, 6], [7]]


@pytest.mark.parametrize("concurrency", [1, 2])
async def test_as_many_passes_overlap_as_the_engine_says(concurrency: int) -> None:
    classifier = FakeClassifier(largest=1, concurrency=concurrency)
    scorer = ImageScorer(classifier, IDENTITY, max_queue=10)
    classifier.gate.clear()
    asked = ask(scorer, *range(5))
    await until(lambda: len(classifier.forwards) == concurrency)
    classifier.gate.set()
    assert await asked == list(range(5))
    assert classifier.most_overlapping == concurrency


@pytest.mark.parametrize(("max_queue", "capacity"), [(None, 8), (1, 5), (10, 14)])
async def test_takes_on_its_capacity_whatever_runs_and_refuses_the_rest_at_once(
    max_queue: int | None, capacity: int
) -> None:
    classifier = FakeClassifier(largest=4)
    scorer = ImageScorer(classifier, IDENTITY, max_queue=max_queue)
    assert scorer.status.capacity == capacity
    classifier.gate.clear()
    first = ask(scorer, 0)
    await until(lambda: classifier.forwards == [[0]])
    others = ask(scorer, *range(1, capacity))
    await asyncio.sleep(0.01)
    refused = await scorer.classify([picture(99)], LONG_S)
    assert refused.results == [Refusal("overloaded", 1)]
    classifier.gate.set()
    assert await first + await others == list(range(capacity))
    assert value(scorer.metrics.registry, "scoring_items_refused_total", reason="overloaded") == 1


async def test_bad_pictures_stay_alone() -> None:
    classifier = FakeClassifier()
    classifier.poison = {1: NotFinite("not finite"), 2: OutOfDeviceMemory("no memory")}
    scorer = ImageScorer(classifier, IDENTITY)
    batch = await scorer.classify([picture(number) for number in range(4)], LONG_S)
    assert batch.results[1:3] == [Refusal("failed"), Refusal("out_of_memory", 1)]
    assert all(isinstance(batch.results[index], EncodedPrediction) for index in (0, 3))
    for reason in ("failed", "out_of_memory"):
        counted = value(scorer.metrics.registry, "scoring_items_refused_total", reason=reason)
        assert counted == 1
    assert await ask(scorer, 5) == [5]


async def test_follows_sizes_that_shrink() -> None:
    classifier = FakeClassifier(largest=4)
    scorer = ImageScorer(classifier, IDENTITY)
    registry = scorer.metrics.registry
    assert value(registry, "scoring_largest_batch") == 4
    classifier.shrinks_to = 2
    assert await ask(scorer, *range(8)) == list(range(8))
    assert list(map(len, classifier.forwards)) == [4, 2, 2]
    assert value(registry, "scoring_largest_batch") == 2
    assert scorer.status.capacity == 4
    assert scorer.status.engine.batch_sizes == (1, 2, 2)
    classifier.gate.clear()
    answers = ask(scorer, *range(5))
    await until(lambda: len(classifier.forwards) == 4)
    classifier.gate.set()
    assert await answers == [0, 1, 2, 3, "overloaded"]


async def test_the_metrics_name_the_engine() -> None:
    scorer = ImageScorer(FakeClassifier(), IDENTITY)
    labels = {"device": "cpu", "precision": "bfloat16", "execution": "fused"}
    assert value(scorer.metrics.registry, "scoring_engine_info", **labels) == 1


async def test_work_whose_time_is_up_never_reaches_the_device() -> None:
    classifier = FakeClassifier()
    scorer = ImageScorer(classifier, IDENTITY)
    classifier.gate.clear()
    running = ask(scorer, 0)
    await until(lambda: classifier.forwards == [[0]])
    patient = ask(scorer, 1)
    assert await ask(scorer, 2, 3, within_s=SOON_S) == ["deadline_passed"] * 2
    assert await ask(scorer, 4, within_s=0) == ["deadline_passed"]
    classifier.gate.set()
    assert await running + await patient == [0, 1]
    assert classifier.forwards == [[0], [1]]


async def test_work_whose_caller_left_never_reaches_the_device() -> None:
    classifier = FakeClassifier()
    scorer = ImageScorer(classifier, IDENTITY)
    classifier.gate.clear()
    running = ask(scorer, 0)
    await until(lambda: classifier.forwards == [[0]])
    leaving, patient = ask(scorer, 1, 2), ask(scorer, 3)
    await asyncio.sleep(0.01)
    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)
    classifier.gate.set()
    assert await running + await patient == [0, 3]
    assert classifier.forwards == [[0], [3]]


def parented(number: int, span: int) -> Picture:
    return picture(number)._replace(trace=f"00-{span:032x}-{span:016x}-01")


async def test_a_batch_and_its_forward_pass_are_traced_for_every_picture() -> None:
    exporter = InMemorySpanExporter()
    options = TracingOptions("", 1.0)
    spans = Spans.processed(SimpleSpanProcessor(exporter), options, "ImageClassifier", "one")
    scorer = ImageScorer(FakeClassifier(), IDENTITY, spans=spans)
    pictures = [parented(1, 1), picture(2), parented(3, 3), parented(4, 3)]
    await scorer.classify(pictures, LONG_S)
    named = {span.name: span for span in exporter.get_finished_spans()}
    batch, forward = named["batch"], named["forward"]
    assert [link.context.span_id for link in batch.links] == [1, 3]
    assert batch.parent is not None
    assert forward.parent is not None
    assert (batch.parent.span_id, batch.context.trace_id) == (1, 1)
    assert (forward.parent.span_id, forward.context.trace_id) == (batch.context.span_id, 1)
    assert dict(batch.attributes or {}) == {"scoring.batch.size": 4}
    queues = [span for span in exporter.get_finished_spans() if span.name == "queue"]
    assert sorted(span.parent.span_id for span in queues if span.parent) == [1, 3, 3]
    assert all((span.end_time or 0) >= (span.start_time or 0) for span in queues)
    exporter.clear()
    await scorer.classify([picture(1)], LONG_S)
    assert not exporter.get_finished_spans()
