"""The whole application on one device, over HTTP. Needs everything that the application needs."""

from collections.abc import Sequence
from pathlib import Path

from benchmarks.load import Load, LoadResult, measure, request_bytes
from benchmarks.servers import application, forget_application, running

WARM_UP_S = 5.0


def application_speed(
    architecture: str,
    weights: Path,
    files: Sequence[bytes],
    device: str,
    connections: int,
    seconds: float,
) -> LoadResult:
    """A closed loop of pictures as files against a service of its own.

    Raises:
        ServerError: it ended or was not ready in time
    """
    forget_application()
    server = application(
        f"image.architecture={architecture}",
        f"image.weights={weights}",
        f"image.device={device}",
        path="/v1/images/classify",
        ready_path="/readyz/image",
        form="picture",
    )
    requests = [request_bytes(server.path, file, "image/jpeg") for file in files]
    with running(server) as run:
        return measure(Load(run.port, requests, connections, seconds, warm_up_s=WARM_UP_S))
