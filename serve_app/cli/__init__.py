"""The command line: `scoring serve`, `scoring settings`, `scoring faq train`, and so on."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from serve_app.configuration import Configuration, ConfigurationError, configure, parse_arguments

Command = Callable[[Configuration], int]

EXIT_USAGE = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; its return value is the process's exit status."""
    options = _parser().parse_args(arguments)
    try:
        configuration = configure(
            parse_arguments(options.settings), environment=os.environ, file=options.config
        )
    except ConfigurationError as error:
        print(f"scoring: {error}", file=sys.stderr)
        return EXIT_USAGE
    command: Command = options.command
    return command(configuration)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scoring", description="Real-time scoring of FAQ questions and images."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add(commands, "serve", _serve, "start the application and stay until Ctrl-C")
    _add(commands, "prepare", _prepare, "train, fetch and register what the settings ask for")
    _add(commands, "settings", _settings, "print every setting, its meaning and its source")
    _add(commands, "serve-config", _serve_config, "print a config file for `serve deploy`")
    faq = commands.add_parser("faq", help="the FAQ ranker").add_subparsers(required=True)
    _add(faq, "train", _train_faq, "train on faq.corpus and register the model")
    image = commands.add_parser("image", help="the image classifier").add_subparsers(required=True)
    _add(image, "register", _register_image, "register image.weights, or the published weights")
    return parser


def _add(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    command: Command,
    meaning: str,
) -> None:
    parser = commands.add_parser(name, help=meaning, description=meaning)
    parser.add_argument("--config", type=Path, metavar="FILE", help="YAML file with settings")
    parser.add_argument("settings", nargs="*", metavar="key=value", help="see `scoring settings`")
    parser.set_defaults(command=command)


# Each command imports what it needs when it runs: `scoring settings` should not wait for torch.


def _serve(configuration: Configuration) -> int:
    from serve_app.cli.serve import serve

    return serve(configuration)


def _prepare(configuration: Configuration) -> int:
    from serve_app.cli.prepare import prepare

    return prepare(configuration.settings)


def _settings(configuration: Configuration) -> int:
    from serve_app.cli.show import show_settings

    return show_settings(configuration)


def _serve_config(configuration: Configuration) -> int:
    from serve_app.cli.show import show_serve_config

    return show_serve_config(configuration)


def _train_faq(configuration: Configuration) -> int:
    from serve_app.cli.prepare import train_faq

    return train_faq(configuration.settings)


def _register_image(configuration: Configuration) -> int:
    from serve_app.cli.prepare import register_image

    return register_image(configuration.settings)
