"""`scoring logs`: the request log on standard output, for whoever collects it there."""

import argparse

from serve_app.cli.follow import follow
from serve_app.cli.stop import StopSignal
from serve_app.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """None of its own."""


def run(_options: argparse.Namespace, settings: Settings) -> int:
    """From the beginning of the file on, across rotations, until a signal asks it to stop."""
    stop = StopSignal()
    stop.listen()
    follow(settings.log_file, stop, start=0)
    return 0
