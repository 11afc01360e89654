"""The application's own counts of its batches of pictures, read from `/metrics`."""

import http.client
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from benchmarks.servers import ServerError

MODEL = "image"
SCRAPE_LIMIT_S = 30.0


@dataclass(frozen=True)
class Inference:
    """Forward passes since the start, and the seconds that they took together."""

    batches: float = 0.0
    seconds: float = 0.0

    def mean_s_since(self, before: "Inference") -> float:
        """Mean time of a batch since an earlier look, 0 where there was none."""
        batches = self.batches - before.batches
        return (self.seconds - before.seconds) / batches if batches else 0.0


def batch_sizes(port: int) -> dict[str, int]:
    """Batches since the start, by size: "2" counts those of 2 items and of fewer than "1" holds.

    Raises:
        ServerError: nothing answers, or something else than metrics
    """
    cumulative: Counter[str] = Counter()
    for sample in _samples(port, "scoring_batch_size", "_bucket"):
        cumulative[sample.labels["le"]] += int(sample.value)
    sizes: dict[str, int] = {}
    below = 0
    for bound in sorted(cumulative, key=float):
        sizes[_label(bound)] = cumulative[bound] - below
        below = cumulative[bound]
    return sizes


def since(before: Mapping[str, int], after: Mapping[str, int]) -> dict[str, int]:
    """What came between two looks; sizes that no batch had are left out."""
    counts = {size: count - before.get(size, 0) for size, count in after.items()}
    return {size: count for size, count in counts.items() if count}


def inference(port: int) -> Inference:
    """The forward passes of every replica together.

    Raises:
        ServerError: nothing answers, or something else than metrics
    """
    name = "scoring_inference_seconds"
    return Inference(
        sum(sample.value for sample in _samples(port, name, "_count")),
        sum(sample.value for sample in _samples(port, name, "_sum")),
    )


def _samples(port: int, metric: str, suffix: str) -> Iterator[Sample]:
    for family in text_string_to_metric_families(_get(port)):
        if family.name == metric:
            for sample in family.samples:
                if sample.name == metric + suffix and sample.labels["model"] == MODEL:
                    yield sample


def _get(port: int) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SCRAPE_LIMIT_S)
    try:
        connection.request("GET", "/metrics")
        answer = connection.getresponse()
        text = answer.read().decode()
    except (OSError, http.client.HTTPException) as error:
        raise ServerError(f"/metrics: {type(error).__name__}") from error
    finally:
        connection.close()
    if answer.status != http.client.OK:
        raise ServerError(f"/metrics answered {answer.status}")
    return text


def _label(bound: str) -> str:
    return "more" if bound == "+Inf" else f"{float(bound):g}"
