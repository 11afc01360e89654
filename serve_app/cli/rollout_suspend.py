"""`scoring rollout suspend`: ends all clusters of the service, until it is resumed."""

import argparse

from serve_app.cli.rollout_suspension import add_agreement, carry_out
from serve_app.settings import Settings

TIMEOUT = "10m"
MEANING = (
    "KubeRay ends all clusters of the service and its Services: no request is answered, from now "
    "until `scoring rollout resume` has a new cluster ready."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    add_agreement(parser, TIMEOUT)


def run(options: argparse.Namespace, _settings: Settings) -> int:
    """Suspends the service where that was agreed to."""
    return carry_out(options, MEANING, lambda rollout, timeout_s: rollout.suspend(timeout_s))
