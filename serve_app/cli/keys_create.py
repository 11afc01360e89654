"""`scoring keys create`: makes a key and prints it, alone on standard output."""

import argparse
from datetime import UTC, datetime

from serve_app.access.caller import Scope
from serve_app.access.key_changes import add, new_key
from serve_app.access.key_file import KeysUnreadable, StoredQuota, change
from serve_app.cli.durations import duration
from serve_app.cli.messages import fail, say
from serve_app.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument(
        "--scope",
        dest="scopes",
        action="append",
        required=True,
        choices=[scope.value for scope in Scope],
        help="what the key allows; may be given several times",
    )
    parser.add_argument("--name", default="", help="whose key it is, or what it is for")
    parser.add_argument(
        "--expires",
        type=duration,
        metavar="TIME",
        help="how long it is valid, such as 90d or 12h; without it, until it is revoked",
    )
    parser.add_argument(
        "--requests-per-s", type=rate, metavar="N", help="quota of its own: requests a second"
    )
    parser.add_argument(
        "--images-per-s", type=rate, metavar="N", help="quota of its own: pictures a second"
    )


def rate(text: str) -> float:
    """A positive number. An argparse type."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number")
    return number


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Adds the key to the file."""
    quota = StoredQuota(requests_per_s=options.requests_per_s, images_per_s=options.images_per_s)
    key, text = new_key(
        name=options.name,
        scopes=[Scope(scope) for scope in options.scopes],
        now=datetime.now(UTC).replace(microsecond=0),
        lifetime=options.expires,
        quota=None if quota == StoredQuota() else quota,
    )
    try:
        change(settings.keys_file, lambda file: add(file, key))
    except (KeysUnreadable, OSError) as error:
        return fail(error)
    say(f"key {key.id} is in {settings.keys_file}; it is shown this once:")
    print(text)
    return 0
