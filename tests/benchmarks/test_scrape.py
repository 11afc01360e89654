"""Batches as the application counts them, read back over HTTP."""

import pytest

from benchmarks.scrape import Inference, batch_sizes, inference, since
from benchmarks.servers import ServerError
from deployments.telemetry import Metrics, exposition
from tests.benchmarks.test_load import Conversation, serving


def exposing(*replicas: Metrics) -> Conversation:
    """Answers a GET with what the replicas counted."""
    text = exposition([each.report("x", str(n)) for n, each in enumerate(replicas)])

    async def conversation(reader, writer) -> None:  # type: ignore[no-untyped-def]
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(text), text))

    return conversation


def replica(*sizes: int) -> Metrics:
    metrics = Metrics()
    for size in sizes:
        metrics.model("image").observe_batch(size, 0.1, 0.5)
    metrics.model("faq").observe_batch(64, 0.1, 9.0)
    return metrics


def test_batches_of_all_replicas_are_counted_by_size() -> None:
    with serving(exposing(replica(1, 1, 8), replica(8, 1000))) as port:
        found = batch_sizes(port)
    assert {size: count for size, count in found.items() if count} == {"1": 2, "8": 2, "more": 1}


def test_what_came_between_two_looks() -> None:
    assert since({"1": 2, "2": 0}, {"1": 2, "2": 3, "8": 1}) == {"2": 3, "8": 1}


def test_the_mean_time_of_a_batch_since_an_earlier_look() -> None:
    with serving(exposing(replica(1, 8), replica(8))) as port:
        found = inference(port)
    assert found == Inference(3, 1.5)
    assert found.mean_s_since(Inference(1, 1.1)) == pytest.approx(0.2)
    assert found.mean_s_since(found) == 0


def test_a_server_without_metrics_is_an_error() -> None:
    async def absent(reader, writer) -> None:  # type: ignore[no-untyped-def]
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")

    with serving(absent) as port, pytest.raises(ServerError, match="404"):
        batch_sizes(port)
