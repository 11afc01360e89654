"""Keys in a file, an issuer on loopback, and clocks that tests move."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from serve_app.access.caller import Scope
from serve_app.access.key_changes import add, new_key
from serve_app.access.key_file import StoredQuota, change
from tests.issuer.process import Issuer, issuing


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def store(
    path: Path,
    *scopes: Scope,
    lifetime: timedelta | None = None,
    quota: StoredQuota | None = None,
) -> bytes:
    """Adds a key to the file; returns its text."""
    key, text = new_key(
        name="test",
        scopes=scopes or (Scope.FAQ,),
        now=datetime.now(UTC),
        lifetime=lifetime,
        quota=quota,
    )
    change(path, lambda file: add(file, key))
    return text.encode()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with issuing() as issuer:
        yield issuer
