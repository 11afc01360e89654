"""What reaches the device on a real Ray: the forward passes are counted, not the answers."""

import asyncio
import io
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image
from prometheus_client.parser import text_string_to_metric_families

from deployments.image.decoding import decode
from deployments.image.pytorch.architectures import find_preset, preprocessing_of
from serve_app.http.deadlines import TIMEOUT_HEADER
from serve_app.http.schemas import Readiness
from tests.application.service import Service, scoring, serving
from tests.deployments.image.resnet152 import make_weights

pytestmark = pytest.mark.timeout(600)

PORT = 8125
ARCHITECTURE = "resnet50"
FILES = 64
LEAVING, LATE = 8, 4
CLASSIFY, JPEG = "/v1/images/classify", {"content-type": "image/jpeg"}


def photograph(seed: int) -> bytes:
    """A small JPEG of coarse coloured noise."""
    coarse = np.random.default_rng(seed).integers(0, 256, (7, 7, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(coarse).resize((232, 232), Image.Resampling.BICUBIC).save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def service(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A classifier that takes one picture at a time, and lets many wait."""
    folder = tmp_path_factory.mktemp("weights")
    preprocessing = preprocessing_of(find_preset(ARCHITECTURE, None))
    decoded = [decode(photograph(seed), preprocessing) for seed in range(4)]
    make_weights(ARCHITECTURE, folder / "seeded.pth", decoded)
    command = scoring(
        "serve",
        f"data_dir={data_dir}",
        f"http.port={PORT}",
        f"image.architecture={ARCHITECTURE}",
        f"image.weights={folder / 'seeded.pth'}",
        # As slow as it gets: all must still wait when those leave who are not to be computed.
        "image.device=cpu",
        "image.precision=float32",
        "image.execution=eager",
        "image.threads=1",
        "image.max_batch_size=1",
        "image.max_queue=100",
        "http.deadline_s=120",
    )
    with serving(command, port=PORT, folder=data_dir) as service:
        yield service


class Watched:
    """One client, and what the service has counted."""

    def __init__(self, client: httpx.AsyncClient):
        self.client = client

    async def counted(self, name: str, **labels: str) -> float:
        """The sum of a metric's samples over all replicas."""
        text = (await self.client.get("/metrics")).text
        return sum(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    async def until(self, condition: Callable[[float], bool], name: str, **labels: str) -> None:
        """Returns when the metric is as wanted."""
        async with asyncio.timeout(60):
            while not condition(await self.counted(name, **labels)):
                await asyncio.sleep(0.02)

    def post(self, seed: int, timeout_ms: int | None = None) -> "asyncio.Task[httpx.Response]":
        """Sends one picture; cancelling the task closes its connection."""
        headers = {**JPEG, **({TIMEOUT_HEADER: str(timeout_ms)} if timeout_ms else {})}
        post = self.client.post(CLASSIFY, content=photograph(seed), headers=headers)
        return asyncio.create_task(post)

    def post_many(self) -> "asyncio.Task[httpx.Response]":
        """Sends as many pictures as one request may have, which keeps the device busy."""
        files = [("f", (f"{seed}.jpg", photograph(seed), "image/jpeg")) for seed in range(FILES)]
        return asyncio.create_task(self.client.post(CLASSIFY, files=files))


def test_only_answered_pictures_reach_the_device(service: Service) -> None:
    async def check() -> None:
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(
            base_url=service.url, timeout=120, trust_env=False, limits=limits
        ) as client:
            watched = Watched(client)
            forwards = await watched.counted("scoring_batch_size_sum", model="image")
            decoded = await watched.counted("scoring_decode_seconds_count")
            busy = watched.post_many()
            await watched.until(
                lambda count: count == decoded + FILES, "scoring_decode_seconds_count"
            )
            # Behind all of those: callers who leave, callers with too little time, a patient one.
            leaving = [watched.post(seed) for seed in range(LEAVING)]
            await watched.until(
                lambda count: count == decoded + FILES + LEAVING, "scoring_decode_seconds_count"
            )
            late = [watched.post(seed, timeout_ms=300) for seed in range(LATE)]
            hurried = [watched.post(seed, timeout_ms=1) for seed in range(LATE)]
            answers = await asyncio.gather(*late, *hurried)
            assert [answer.json()["code"] for answer in answers] == ["deadline_passed"] * 2 * LATE
            for task in leaving:
                task.cancel()
            await watched.until(
                lambda count: count == LEAVING,
                "scoring_requests_total",
                route=CLASSIFY,
                status="499",
            )
            await asyncio.gather(*leaving, return_exceptions=True)
            patient = watched.post(0)
            assert not busy.done()
            assert (await patient).status_code == 200
            results = (await busy).json()["results"]
            assert [len(result["predictions"]) for result in results] == [5] * FILES
            for name in ("scoring_batch_size_sum", "scoring_batch_size_count"):
                assert await watched.counted(name, model="image") == forwards + FILES + 1

    asyncio.run(check())


def test_the_engine_is_named(service: Service) -> None:
    with service.client() as client:
        ready = Readiness.model_validate_json(client.get("/readyz/image").content)
        text = client.get("/metrics").text
    engine = ready.models[0].engine
    assert engine is not None
    assert engine.batch_sizes == [1]
    infos = [
        sample
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name in ("scoring_engine_info", "scoring_largest_batch")
        and sample.labels["deployment"] == "ImageClassifier"
    ]
    assert [sample.value for sample in infos] == [1, 1]
    named = next(sample.labels for sample in infos if sample.name == "scoring_engine_info")
    assert engine.device == named["device"]
    assert (engine.precision, engine.execution) == (named["precision"], named["execution"])
