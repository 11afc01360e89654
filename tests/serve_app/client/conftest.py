"""The application around fakes, behind a real server on this machine."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serve_app.client.server import Served, serving


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with serving(tmp_path) as served:
        yield served
