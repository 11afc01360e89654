"""What `scoring rollout suspend` and `resume` share: they are agreed to, then waited for."""

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING

from serve_app.cli import EXIT_USAGE
from serve_app.cli.durations import duration
from serve_app.cli.messages import fail, say
from serve_app.cli.rollout_arguments import add_cluster, on_service
from serve_app.cli.rollout_view import Display, full

if TYPE_CHECKING:
    from kuberay.rollout import Rollout, View


def add_agreement(parser: argparse.ArgumentParser, timeout: str) -> None:
    """The options of both."""
    add_cluster(parser)
    parser.add_argument("--yes", action="store_true", help="do it: without, it is only explained")
    parser.add_argument(
        "--timeout",
        type=duration,
        default=timeout,
        metavar="TIME",
        help=f"how long to wait for it ({timeout})",
    )


def carry_out(
    options: argparse.Namespace, meaning: str, change: "Callable[[Rollout, float], View]"
) -> int:
    """Says what it does to the traffic, and does it where that was agreed to."""
    say(meaning)
    if not options.yes:
        fail("nothing was done; --yes does it")
        return EXIT_USAGE
    display = Display()

    def changed(rollout: "Rollout") -> int:
        try:
            view = change(rollout, options.timeout.total_seconds())
        finally:
            display.end()
        print("\n".join(full(view)))
        return 0

    return on_service(options, changed, display)
