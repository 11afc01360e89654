"""`scoring rollout status`: the clusters of the service, their pods, applications and events."""

import argparse
import json

from serve_app.cli.messages import fail
from serve_app.cli.rollout_arguments import add_cluster, without_extra
from serve_app.cli.rollout_view import full
from serve_app.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    add_cluster(parser)
    parser.add_argument("--json", action="store_true", dest="as_json", help="for programs")


def run(options: argparse.Namespace, _settings: Settings) -> int:
    """Prints the status."""
    try:
        from kuberay.rollout import Rollout, RolloutError, connect
    except ImportError as error:
        return without_extra(error)
    try:
        api = connect(options.kubeconfig, options.context, options.namespace)
        view = Rollout(api, name=options.service).status()
    except RolloutError as error:
        return fail(error)
    print(json.dumps(view.as_dict(), indent=2) if options.as_json else "\n".join(full(view)))
    return 0
