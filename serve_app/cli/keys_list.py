"""`scoring keys list`: a table of the keys, without their hashes."""

import argparse
from datetime import UTC, datetime

from serve_app.access.key_file import KeysUnreadable, StoredKey, StoredQuota, read
from serve_app.cli.messages import fail
from serve_app.cli.tables import render
from serve_app.settings import Settings

HEAD = ("id", "name", "scopes", "created", "expires", "requests/s", "images/s")


def add_arguments(_parser: argparse.ArgumentParser) -> None:
    """None beside the settings."""


def run(_options: argparse.Namespace, settings: Settings) -> int:
    """Prints one line a key, in the order of the file."""
    try:
        file = read(settings.keys_file)
    except KeysUnreadable as error:
        return fail(error)
    now = datetime.now(UTC)
    print(render([HEAD, *(_row(key, now) for key in file.keys)]))
    return 0


def _row(key: StoredKey, now: datetime) -> tuple[str, ...]:
    expires = "never" if key.expires is None else f"{key.expires:%Y-%m-%dT%H:%M:%SZ}"
    if key.expires is not None and key.expires <= now:
        expires += " (over)"
    quota = key.quota or StoredQuota()
    return (
        key.id,
        key.name or "-",
        ",".join(key.scopes),
        f"{key.created:%Y-%m-%dT%H:%M:%SZ}",
        expires,
        _rate(quota.requests_per_s),
        _rate(quota.images_per_s),
    )


def _rate(rate: float | None) -> str:
    return "-" if rate is None else f"{rate:g}"
