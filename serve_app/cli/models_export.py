"""`scoring models export`: registered versions as a folder that `make images` takes."""

import argparse
from pathlib import Path

from deployments.registry import Registry, RegistryError
from deployments.registry.baked import Chosen, export
from serve_app.cli.messages import fail
from serve_app.cli.registered import find_version
from serve_app.models import PREPROCESSING, registry_of
from serve_app.settings import Settings

DIGEST_SIGN = "@sha256:"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments beside the settings."""
    parser.add_argument(
        "--model",
        dest="models",
        action="append",
        required=True,
        metavar="MODEL",
        help="NAME, NAME@ALIAS or NAME@VERSION, of any of them NAME@...@sha256:DIGEST; may be "
        "given more than once",
    )
    parser.add_argument("--to", type=Path, required=True, metavar="FOLDER", help="a new folder")
    parser.add_argument(
        "--alias",
        metavar="ALIAS",
        help="alias that a version named by its number has in the folder; without it, faq.alias",
    )


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Prints each version with its digest, once all are there."""
    registry = registry_of(settings)
    alias = options.alias or settings.faq.alias
    try:
        chosen = [_choose(registry, reference, alias, settings) for reference in options.models]
        export(registry, chosen, options.to)
    except (RegistryError, OSError) as error:
        return fail(error)
    for one in chosen:
        version = one.version
        print(f"{version.name} {version.version} {version.digest} {','.join(one.aliases)}")
    return 0


def _choose(registry: Registry, reference: str, alias: str, settings: Settings) -> Chosen:
    which, _, digest = reference.partition(DIGEST_SIGN)
    version = find_version(registry, which, settings)
    if digest and version.digest != f"sha256:{digest}":
        raise RegistryError(f"{which} is not {reference}: its digest is {version.digest}")
    _, _, name = which.partition("@")
    is_alias = bool(name) and not name[0].isdigit()
    # The CPU image leaves the group `image` out.
    group = "image" if PREPROCESSING in version.parameters else "faq"
    return Chosen(version, (name if is_alias else alias,), group)
