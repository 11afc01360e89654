"""`scoring classify`: `scoring image classify` by the service that runs on this machine."""

import argparse

from serve_app.cli import image_classify
from serve_app.client.endpoint import DEFAULT_URL
from serve_app.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Those of `scoring image classify`; `--url` has a default."""
    image_classify.add_arguments(parser)
    parser.set_defaults(url=DEFAULT_URL)


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Outcomes on standard output, in the order of the files; 1 where a file has a problem."""
    return image_classify.run(options, settings)
