"""`scoring faq promote NAME VERSION`: checks a version, then points the alias to it."""

import argparse

from deployments.faq.versions import VersionRefused, load_version
from deployments.registry import RegistryError
from serve_app.cli.messages import fail
from serve_app.models import registry_of
from serve_app.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments beside the settings."""
    parser.add_argument("name", metavar="NAME", help="name of the model in the registry")
    parser.add_argument("version", metavar="VERSION", help="number of the version to serve")
    parser.add_argument("--alias", help="alias to point to it; without one, faq.alias")


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Moves the alias where the version passes the checks that a replica makes."""
    registry = registry_of(settings)
    alias = options.alias or settings.faq.alias
    try:
        version = registry.version(options.name, options.version)
        load_version(registry, version)
        registry.set_alias(version.name, alias, version.version)
    except (RegistryError, VersionRefused) as error:
        return fail(f"{error}; {alias} was not moved")
    print(f"{version.name} version {version.version} ({version.digest[:19]}) is the {alias} now")
    return 0
