"""The HTTP face around fakes, and a client that talks to it in process."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.serve_app.fakes import Application


@pytest.fixture
def application(tmp_path: Path) -> Application:
    return Application(tmp_path)


@pytest.fixture
async def client(application: Application) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(application) as client:
        yield client


def client_of(application: Application) -> httpx.AsyncClient:
    """A client whose requests go straight into the application."""
    transport = httpx.ASGITransport(application.face)
    return httpx.AsyncClient(transport=transport, base_url="http://scoring")
