"""`scoring manifests`: makes the Kubernetes manifests of the settings.yaml files below kuberay/."""

import argparse
from pathlib import Path

from serve_app.cli.messages import fail
from serve_app.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument(
        "--check", action="store_true", help="only say which files are not what they should be"
    )
    parser.add_argument(
        "--folder", type=Path, default=Path("kuberay"), help="where base/ and overlays/ are"
    )


def run(options: argparse.Namespace, _settings: Settings) -> int:
    """Prints the files that changed; with `--check`, 1 where there are some."""
    try:
        from kuberay.manifests.files import SettingsWrong, stale, write
    except ModuleNotFoundError as error:
        return fail(f"{error}; the extra `kubernetes` brings it")
    try:
        changed = (stale if options.check else write)(options.folder.resolve())
    except SettingsWrong as error:
        return fail(error)
    for file in changed:
        print(file)
    return 1 if options.check and changed else 0
