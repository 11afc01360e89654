"""`scoring keys rotate`: a new key in the place of an old one, which stays valid for a while."""

import argparse
from datetime import UTC, datetime, timedelta

from serve_app.access.key_changes import NoSuchKey, replace, successor
from serve_app.access.key_file import KeyFile, KeysUnreadable, change
from serve_app.cli.durations import duration
from serve_app.cli.messages import fail, say
from serve_app.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("id", metavar="ID", help="id of the key to replace")
    parser.add_argument(
        "--keep",
        type=duration,
        default=timedelta(hours=24),
        metavar="TIME",
        help="how long the old key stays valid (24h); 0s ends it now",
    )
    parser.add_argument(
        "--expires",
        type=duration,
        metavar="TIME",
        help="how long the new key is valid; without it, as long as the old one was made to",
    )


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Adds the new key to the file and lets the old one expire."""
    now = datetime.now(UTC).replace(microsecond=0)
    made: list[str] = []

    def rotate(file: KeyFile) -> KeyFile:
        key, text = successor(file, options.id, now=now, lifetime=options.expires)
        made[:] = [key.id, text]
        return replace(file, options.id, key, until=now + options.keep)

    try:
        change(settings.keys_file, rotate)
    except (KeysUnreadable, NoSuchKey, OSError) as error:
        return fail(error)
    key_id, text = made
    say(f"key {key_id} takes the place of {options.id}, which is valid until {now + options.keep}")
    say("or until it would have expired anyway; the new one is shown this once:")
    print(text)
    return 0
