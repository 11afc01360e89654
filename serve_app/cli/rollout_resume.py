"""`scoring rollout resume`: starts a suspended service again."""

import argparse

from serve_app.cli import EXIT_USAGE
from serve_app.cli.durations import duration
from serve_app.cli.messages import fail, say
from serve_app.cli.rollout_arguments import add_cluster, without_extra
from serve_app.cli.rollout_view import Display, full
from serve_app.settings import Settings

TIMEOUT = "30m"
MEANING = (
    "KubeRay starts a new cluster and makes the Services again: requests are answered once its "
    "applications run."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    add_cluster(parser)
    parser.add_argument("--yes", action="store_true", help="do it: without, it is only explained")
    parser.add_argument(
        "--timeout",
        type=duration,
        default=TIMEOUT,
        metavar="TIME",
        help=f"how long to wait for it ({TIMEOUT})",
    )


def run(options: argparse.Namespace, _settings: Settings) -> int:
    """Says what it does to the traffic, and does it where that was agreed to."""
    say(MEANING)
    if not options.yes:
        fail("nothing was done; --yes does it")
        return EXIT_USAGE
    try:
        from kuberay.rollout import Rollout, RolloutError, connect
    except ImportError as error:
        return without_extra(error)
    display = Display()
    try:
        api = connect(options.kubeconfig, options.context, options.namespace)
        rollout = Rollout(api, name=options.service, observer=display)
        view = rollout.resume(options.timeout.total_seconds())
    except RolloutError as error:
        display.end()
        return fail(error)
    display.end()
    print("\n".join(full(view)))
    return 0
