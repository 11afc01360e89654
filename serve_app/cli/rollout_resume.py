"""`scoring rollout resume`: starts a suspended service again."""

import argparse

from serve_app.cli.rollout_suspension import add_agreement, carry_out
from serve_app.settings import Settings

TIMEOUT = "30m"
MEANING = (
    "KubeRay starts a new cluster and makes the Services again: requests are answered once its "
    "applications run."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    add_agreement(parser, TIMEOUT)


def run(options: argparse.Namespace, _settings: Settings) -> int:
    """Resumes the service where that was agreed to."""
    return carry_out(options, MEANING, lambda rollout, timeout_s: rollout.resume(timeout_s))
