"""The command line: `scoring serve`, `scoring settings`, `scoring faq train`, and so on.

Every command takes settings as `key=value` and from `--config FILE`; some have options besides.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

from serve_app.configuration import Configuration, ConfigurationError, configure, parse_arguments

Command = Callable[[argparse.Namespace, Configuration], int]

EXIT_USAGE = 2

FAQ_COMMANDS = {
    "train": ("faq_train", "train on a corpus, evaluate, register the model"),
    "prepare": ("faq_prepare", "make a corpus from files of other forms"),
    "evaluate": ("faq_evaluate", "evaluate a registered model on held-out questions"),
    "compare": ("faq_compare", "compare two registered models on the same questions"),
    "promote": ("promote", "serve another registered version from now on"),
}
IMAGE_COMMANDS = {
    "register": ("image_register", "check weights, store them as a model and register it"),
    "classify": ("image_classify", "classify pictures, here or by a running service"),
}
KEYS_COMMANDS = {
    "create": ("keys_create", "make a key and print it, once"),
    "list": ("keys_list", "show the keys: ids, names, scopes and times"),
    "rotate": ("keys_rotate", "make a key that takes the place of another"),
    "revoke": ("keys_revoke", "remove a key"),
}
ROLLOUT_COMMANDS = {
    "apply": ("rollout_apply", "roll out manifests: test a new cluster, then move the traffic"),
    "status": ("rollout_status", "show the clusters, pods, applications and events"),
    "history": ("rollout_history", "show what was rolled out, by whom and how it ended"),
    "rollback": ("rollout_rollback", "roll out an earlier revision"),
    "suspend": ("rollout_suspend", "end all clusters: nothing answers until `resume`"),
    "resume": ("rollout_resume", "start a suspended service again"),
}
SERVICE_COMMANDS = {
    "rank": ("rank", "ask a running service which FAQs a question asks"),
    "classify": ("classify", "ask a running service what is in pictures"),
    "load": ("load", "test a running service under load"),
    "logs": ("logs", "print the request log as it grows"),
    "manifests": ("manifests", "make the Kubernetes manifests from their settings"),
    "drain": ("drain", "take this node out of the service before it ends"),
}
"""Module and meaning of each; a module has `add_arguments(parser)` and `run(options, settings)`.

An option that is another way to write a setting appends `key=value` to `named`.
"""

_GROUPS = {
    "faq": ("the FAQ ranker", FAQ_COMMANDS),
    "image": ("the image classifier", IMAGE_COMMANDS),
    "keys": ("API keys", KEYS_COMMANDS),
    "rollout": ("rollouts on Kubernetes, by KubeRay", ROLLOUT_COMMANDS),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; its return value is the process's exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    parser = _parser(words)
    # Settings that follow an option of the command are not recognised, a limit of argparse.
    options, rest = parser.parse_known_args(words)
    if unknown := [word for word in rest if word.startswith("-")]:
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    try:
        loose = _take_files(options, [*options.settings, *rest])
        given = parse_arguments([*loose, *options.named])
        configuration = configure(given, environment=os.environ, file=options.config)
    except ConfigurationError as error:
        print(f"scoring: {error}", file=sys.stderr)
        return EXIT_USAGE
    command: Command = options.command
    return command(options, configuration)


def _take_files(options: argparse.Namespace, loose: list[str]) -> list[str]:
    """The words that are settings; where the command takes files, the others are those."""
    if "files" not in options:
        return loose
    words = [*options.files, *loose]
    settings = [word for word in words if "=" in word and not Path(word).exists()]
    options.files = [Path(word) for word in words if word not in settings]
    return settings


def _parser(words: list[str]) -> argparse.ArgumentParser:
    """Of all commands; only the one that `words` begin with has the arguments of its module."""
    parser = argparse.ArgumentParser(
        prog="scoring", description="Real-time scoring of FAQ questions and images."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add(commands, "serve", _serve, "start the application and stay until Ctrl-C")
    _add(commands, "prepare", _prepare, "train, fetch and register what the settings ask for")
    _add(commands, "settings", _settings, "print every setting, its meaning and its source")
    _add(commands, "serve-config", _serve_config, "print a config file for `serve deploy`")
    for name, (module, meaning) in SERVICE_COMMANDS.items():
        _add(commands, name, _run(module), meaning, module if words[:1] == [name] else None)
    for group, (help_text, members) in _GROUPS.items():
        group_commands = commands.add_parser(group, help=help_text).add_subparsers(required=True)
        for name, (module, meaning) in members.items():
            needed = module if words[:2] == [group, name] else None
            _add(group_commands, name, _run(module), meaning, needed)
    return parser


def _add(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    command: Command,
    meaning: str,
    module: str | None = None,
) -> None:
    parser = commands.add_parser(name, help=meaning, description=meaning)
    if module is not None:
        import_module(f"{__name__}.{module}").add_arguments(parser)
    parser.add_argument("--config", type=Path, metavar="FILE", help="YAML file with settings")
    parser.add_argument("settings", nargs="*", metavar="key=value", help="see `scoring settings`")
    parser.set_defaults(command=command, named=[])


# Each command imports what it needs when it runs: `scoring settings` should not wait for torch.


def _run(module: str) -> Command:
    def run(options: argparse.Namespace, configuration: Configuration) -> int:
        status: int = import_module(f"{__name__}.{module}").run(options, configuration.settings)
        return status

    return run


def _serve(_options: argparse.Namespace, configuration: Configuration) -> int:
    from serve_app.cli.serve import serve

    return serve(configuration)


def _prepare(_options: argparse.Namespace, configuration: Configuration) -> int:
    from serve_app.cli.prepare import prepare

    return prepare(configuration.settings)


def _settings(_options: argparse.Namespace, configuration: Configuration) -> int:
    from serve_app.cli.show import show_settings

    return show_settings(configuration)


def _serve_config(_options: argparse.Namespace, configuration: Configuration) -> int:
    from serve_app.cli.show import show_serve_config

    return show_serve_config(configuration)
