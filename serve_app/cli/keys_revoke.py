"""`scoring keys revoke`: removes a key; a running service notices within about a second."""

import argparse

from serve_app.access.key_changes import NoSuchKey, remove
from serve_app.access.key_file import KeysUnreadable, change
from serve_app.cli.messages import fail, say
from serve_app.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("id", metavar="ID", help="id of the key to remove")


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Removes the key from the file."""
    try:
        file = change(settings.keys_file, lambda file: remove(file, options.id))
    except (KeysUnreadable, NoSuchKey, OSError) as error:
        return fail(error)
    say(f"revoked: {options.id}")
    if not file.keys:
        say(f"no key is left, and while {settings.keys_file} is there nobody comes in without one")
    return 0
