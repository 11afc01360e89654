"""`scoring rollout apply`: manifests onto the cluster, tested before they have the traffic."""

import argparse
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from serve_app.cli import EXIT_USAGE
from serve_app.cli.messages import fail, say
from serve_app.cli.rollout_arguments import (
    INTERRUPTED,
    UsageError,
    add_cluster,
    add_rollout,
    options_of,
    without_extra,
)
from serve_app.cli.rollout_view import Display
from serve_app.settings import Settings

if TYPE_CHECKING:
    from kuberay.rollout import Outcome


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument(
        "path",
        metavar="PATH",
        help="a folder that Kustomize renders, a YAML file, or - for standard input",
    )
    add_cluster(parser, with_name=False)
    add_rollout(parser)
    parser.add_argument(
        "--force-conflicts", action="store_true", help="take fields that others have set"
    )


def run(options: argparse.Namespace, _settings: Settings) -> int:
    """Rolls out; 1 where it failed, whether it was rolled back or not."""
    try:
        from kuberay.rollout import Rollout, RolloutError, connect, read_objects, the_service
    except ImportError as error:
        return without_extra(error)
    display = Display()
    try:
        objects = read_objects(options.path)
        metadata = the_service(objects)["metadata"]
        api = connect(options.kubeconfig, options.context, options.namespace)
        namespace = metadata.get("namespace") or api.namespace
        apply_options = options_of(options, api, namespace, force=options.force_conflicts)
        rollout = Rollout(api, namespace=namespace, name=metadata["name"], observer=display)
        return carried_out(lambda: rollout.apply(objects, apply_options), display)
    except UsageError as error:
        fail(error)
        return EXIT_USAGE
    except RolloutError as error:
        return fail(error)


def carried_out(work: "Callable[[], Outcome]", display: Display) -> int:
    """Runs a rollout and says how it ended."""
    from kuberay.rollout import RolloutError

    try:
        outcome = work()
    except KeyboardInterrupt:
        display.end()
        return INTERRUPTED
    except RolloutError as error:
        display.end()
        return fail(error)
    display.end()
    revision = "" if outcome.revision is None else f", revision {outcome.revision}"
    say(f"done: {outcome.plan.summary}{revision}")
    if outcome.cluster is not None:
        print(outcome.cluster)
        sys.stdout.flush()
    return 0
