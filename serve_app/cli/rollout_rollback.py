"""`scoring rollout rollback`: an earlier revision again."""

import argparse

from serve_app.cli import EXIT_USAGE
from serve_app.cli.messages import fail
from serve_app.cli.rollout_apply import carried_out
from serve_app.cli.rollout_arguments import (
    UsageError,
    add_cluster,
    add_rollout,
    options_of,
    without_extra,
)
from serve_app.cli.rollout_view import Display
from serve_app.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument(
        "revision",
        nargs="?",
        type=int,
        metavar="REVISION",
        help="one of `scoring rollout history`; without it, the last good one before",
    )
    add_cluster(parser)
    add_rollout(parser)


def run(options: argparse.Namespace, _settings: Settings) -> int:
    """Rolls the revision out as `apply` would."""
    try:
        from kuberay.rollout import Rollout, RolloutError, connect
    except ImportError as error:
        return without_extra(error)
    display = Display()
    try:
        api = connect(options.kubeconfig, options.context, options.namespace)
        apply_options = options_of(options, api, api.namespace)
        rollout = Rollout(api, name=options.service, observer=display)
        return carried_out(lambda: rollout.rollback(options.revision, apply_options), display)
    except UsageError as error:
        fail(error)
        return EXIT_USAGE
    except RolloutError as error:
        return fail(error)
