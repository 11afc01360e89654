"""`scoring drain`: takes this node out of the service; a pod runs it before it ends (preStop)."""

import argparse

from serve_app.cli.messages import fail, say
from serve_app.draining import Drain
from serve_app.ray_node import RayNode
from serve_app.settings import Settings

TIMEOUT_S = 270.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The deadline."""
    parser.add_argument(
        "--timeout-s",
        type=float,
        default=TIMEOUT_S,
        metavar="N",
        help="seconds that replicas elsewhere, and the requests here, are waited for; more than "
        f"the 60 that replicas take to stop (default {TIMEOUT_S:g})",
    )


def run(options: argparse.Namespace, _settings: Settings) -> int:
    """0 once the node is empty; 1 at the deadline, or where no Ray runs."""
    node = RayNode.find()
    if node is None:
        return fail("no Ray node runs here")
    return 0 if Drain(node, say).run(options.timeout_s) else 1
