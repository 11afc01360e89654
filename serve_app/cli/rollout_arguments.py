"""What the commands of `scoring rollout` have in common: the cluster, the service, the options."""

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from serve_app.cli.durations import duration
from serve_app.cli.messages import fail
from serve_app.configuration import API_KEY

if TYPE_CHECKING:
    from kuberay.rollout import Api, ApplyOptions, Rollout
    from kuberay.rollout.live import Observer

INTERRUPTED = 130
NEEDS_EXTRA = (
    "`scoring rollout` needs the kubernetes package: pip install 'realtime-scoring[kubernetes]'"
)
DEFAULT_SERVICE = "scoring"
DEFAULT_FIELD = "key"


class UsageError(Exception):
    """Arguments that cannot be followed."""


def add_cluster(parser: argparse.ArgumentParser, *, with_name: bool = True) -> None:
    """Which cluster, and which RayService on it."""
    parser.add_argument("--kubeconfig", metavar="FILE", help="instead of the one of KUBECONFIG")
    parser.add_argument("--context", metavar="NAME", help="a context of the kubeconfig")
    parser.add_argument(
        "--namespace", "-n", metavar="NAME", help="instead of the context's own namespace"
    )
    if with_name:
        parser.add_argument(
            "--service",
            default=DEFAULT_SERVICE,
            metavar="NAME",
            help=f"the RayService ({DEFAULT_SERVICE})",
        )


def add_rollout(parser: argparse.ArgumentParser) -> None:
    """How a rollout is carried out."""
    parser.add_argument("--message", "-m", default="", metavar="TEXT", help="for the history")
    parser.add_argument(
        "--timeout", type=duration, default="30m", metavar="TIME", help="for the whole (30m)"
    )
    parser.add_argument(
        "--patience",
        type=duration,
        default="2m",
        metavar="TIME",
        help="how long pods may fail or an application be unhealthy (2m)",
    )
    parser.add_argument(
        "--node-patience",
        type=duration,
        default="10m",
        metavar="TIME",
        help="how long a pod may wait for a node (10m)",
    )
    parser.add_argument(
        "--wait-old", action="store_true", help="wait for the end of the old cluster too"
    )
    parser.add_argument("--no-smoke", action="store_true", help="ask the new cluster nothing")
    parser.add_argument(
        "--expect",
        action="append",
        default=[],
        metavar="ROLE=VERSION",
        help="a model version that must serve: faq=3 or image=2; may be repeated",
    )
    parser.add_argument(
        "--key-file",
        type=Path,
        metavar="FILE",
        help=f"the API key for the smoke test, else the one in {API_KEY}",
    )
    parser.add_argument(
        "--key-secret",
        metavar="NAME[/FIELD]",
        help=f"or a secret of the cluster that holds it (field {DEFAULT_FIELD})",
    )


def options_of(
    options: argparse.Namespace, api: "Api", namespace: str, *, force: bool = False
) -> "ApplyOptions":
    """The library's options. Raises UsageError."""
    from kuberay.rollout import ApplyOptions, Smoke

    smoke = None
    if not options.no_smoke:
        smoke = Smoke(key=_key(options, api, namespace), expected=_expected(options.expect))
    return ApplyOptions(
        message=options.message,
        timeout_s=options.timeout.total_seconds(),
        force_conflicts=force,
        wait_old=options.wait_old,
        smoke=smoke,
        patience_s=options.patience.total_seconds(),
        unschedulable_s=options.node_patience.total_seconds(),
    )


def _expected(pairs: list[str]) -> dict[str, str]:
    from kuberay.rollout.smoke import ROLES

    found = {}
    for pair in pairs:
        role, equals, version = pair.partition("=")
        if role not in ROLES or not equals or not version:
            raise UsageError(f"--expect {pair}: not {' or '.join(f'{each}=3' for each in ROLES)}")
        found[role] = version
    return found


def _key(options: argparse.Namespace, api: "Api", namespace: str) -> str | None:
    if options.key_file is not None:
        try:
            text: str = options.key_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"the key cannot be read: {error}") from error
        return text
    if options.key_secret is not None:
        from kuberay.rollout.api import SECRET
        from kuberay.rollout.dashboard import secret_value

        name, _, field = options.key_secret.partition("/")
        key = secret_value(api.get(SECRET, name, namespace), field or DEFAULT_FIELD)
        if key is None:
            raise UsageError(f"the secret {name} has no field {field or DEFAULT_FIELD}")
        return key
    return os.environ.get(API_KEY) or None


def on_service(
    options: argparse.Namespace,
    action: "Callable[[Rollout], int]",
    observer: "Observer | None" = None,
) -> int:
    """What `action` returns for the service that the options name; says why where it cannot."""
    try:
        from kuberay.rollout import Rollout, RolloutError, connect
    except ImportError as error:
        return without_extra(error)
    try:
        api = connect(options.kubeconfig, options.context, options.namespace)
        return action(Rollout(api, name=options.service, observer=observer))
    except RolloutError as error:
        return fail(error)


def without_extra(error: ImportError) -> int:
    """What to say where the kubernetes package is absent."""
    if error.name is None or error.name.partition(".")[0] not in ("kubernetes", "urllib3"):
        raise error
    return fail(NEEDS_EXTRA)
