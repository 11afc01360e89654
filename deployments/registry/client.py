"""A quiet MLflow client: no telemetry, no log lines, no file outside the registry's own folders.

This is the only module that imports MLflow, and only inside functions.
"""

from __future__ import annotations

import functools
import os
import sqlite3
import warnings
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from deployments.registry.artifacts import exclusive

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

SQLITE = "sqlite:///"
# A caller's own settings win. MLflow's defaults would report usage, and try a server that is down
# for minutes.
ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "60",
}
# MLflow answers 400 for an unknown alias; a server without the endpoint 404, 405 or 501.
ABSENCE = (400, 404, 405, 501)


def database_of(uri: str) -> Path | None:
    """The file of a SQLite registry, absolute; None for a server. ValueError for one in memory."""
    if not uri.startswith("sqlite:"):
        return None
    path = uri.removeprefix(SQLITE)
    if not uri.startswith(SQLITE) or path in ("", ":memory:"):
        raise ValueError(f"a SQLite registry is a file, as in {SQLITE}/folder/registry.db: {uri}")
    return Path(path).absolute()


@functools.lru_cache(maxsize=4)
def connect(uri: str) -> MlflowClient:
    """The client of a registry; a SQLite file that does not exist is created.

    Raises:
        mlflow.exceptions.MlflowException: the registry cannot be used.
        sqlite3.Error: the file is not an SQLite database, or cannot be opened.
    """
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    database = database_of(uri)
    if database is None:
        return _client(uri)
    # Two processes that create the tables at one time would collide.
    with exclusive(database):
        # MLflow itself would retry for a minute before it says so.
        with closing(sqlite3.connect(database)) as connection:
            connection.execute("PRAGMA schema_version")
        return _client(f"{SQLITE}{database}")


def _client(uri: str) -> MlflowClient:
    with warnings.catch_warnings():
        # MLflow uses what SQLAlchemy is about to drop; no user can do anything about it.
        warnings.simplefilter("ignore")
        from mlflow.tracking import MlflowClient

        return MlflowClient(tracking_uri=uri, registry_uri=uri)


def refusals() -> tuple[type[Exception], ...]:
    """What MLflow and its plug-ins raise when a registry will not or cannot do something."""
    from mlflow.exceptions import MlflowException

    return MlflowException, NotImplementedError


def says_absent(refusal: Exception) -> bool:
    """Whether the registry has no such record, or does not know the request at all."""
    status: Callable[[], int] = getattr(refusal, "get_http_status_code", lambda: 501)
    return status() in ABSENCE
