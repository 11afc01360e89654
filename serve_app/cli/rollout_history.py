"""`scoring rollout history`: what was rolled out, by whom, and how it ended."""

import argparse
import json
from typing import TYPE_CHECKING

from serve_app.cli import tables
from serve_app.cli.rollout_arguments import add_cluster, on_service
from serve_app.settings import Settings

if TYPE_CHECKING:
    from kuberay.rollout import Rollout

HEAD = ("REVISION", "TIME", "OUTCOME", "WHO", "MESSAGE")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    add_cluster(parser)
    parser.add_argument(
        "--json", action="store_true", dest="as_json", help="for programs, with each spec"
    )


def run(options: argparse.Namespace, _settings: Settings) -> int:
    """Prints the revisions, newest first."""

    def show(rollout: "Rollout") -> int:
        revisions = rollout.history()
        if options.as_json:
            print(json.dumps([each.as_dict() for each in revisions], indent=2))
            return 0
        rows = [
            (str(each.number), each.time, each.outcome, each.who, each.message)
            for each in revisions
        ]
        print(tables.render([HEAD, *rows]))
        return 0

    return on_service(options, show)
