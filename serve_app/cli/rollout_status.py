"""`scoring rollout status`: the clusters of the service, their pods, applications and events."""

import argparse
import json
from typing import TYPE_CHECKING

from serve_app.cli.rollout_arguments import add_cluster, on_service
from serve_app.cli.rollout_view import full
from serve_app.settings import Settings

if TYPE_CHECKING:
    from kuberay.rollout import Rollout


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    add_cluster(parser)
    parser.add_argument("--json", action="store_true", dest="as_json", help="for programs")


def run(options: argparse.Namespace, _settings: Settings) -> int:
    """Prints the status."""

    def show(rollout: "Rollout") -> int:
        view = rollout.status()
        print(json.dumps(view.as_dict(), indent=2) if options.as_json else "\n".join(full(view)))
        return 0

    return on_service(options, show)
