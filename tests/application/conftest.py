"""One application for many tests: starting it is what takes the time."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.application.service import Service, scoring, serving

PORT = 8123


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> None:
    """Tests end what they start with SIGINT, which a shell's background jobs would ignore."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with real input; tests that need it skip where it is absent."""
    default = Path(__file__).parents[3] / "shared"
    folder = Path(os.environ.get("SCORING_SHARED_DATA", default)) / "data"
    if not folder.is_dir():
        pytest.skip(f"real input is absent: {folder} (SCORING_SHARED_DATA names another folder)")
    return folder


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One data folder for all applications, so that the FAQ model is trained once."""
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def service(data_dir: Path, shared: Path) -> Iterator[Service]:
    """`scoring serve` with the embedded questions and MobileNet V2."""
    command = scoring(
        "serve",
        f"data_dir={data_dir}",
        f"http.port={PORT}",
        "image.architecture=mobilenet_v2",
        f"image.weights={shared / 'weights' / 'mobilenet_v2.pth'}",
        "image.max_queue=64",  # tests send several pictures at a time
    )
    with serving(command, port=PORT, folder=data_dir) as service:
        yield service
