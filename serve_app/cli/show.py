"""Commands that print: the settings, and a config file for `serve deploy`."""

import shutil
import textwrap

import yaml

from serve_app.configuration import Configuration, environment_name
from serve_app.serve_config import serve_config

NARROW, WIDE = 60, 100


def show_settings(configuration: Configuration) -> int:
    """Prints every setting: key, value, source, range, variable and meaning."""
    width = min(WIDE, max(NARROW, shutil.get_terminal_size().columns))
    for row in configuration.rows():
        value = "-" if row.value is None else row.value
        print(f"{row.key} = {value}   [{row.source}]")
        facts = f"{row.meaning} ({row.allowed}; {environment_name(row.key)})"
        print(textwrap.indent(textwrap.fill(facts, width - 4), "    "))
    return 0


def show_serve_config(configuration: Configuration) -> int:
    """Prints the YAML that `serve deploy` takes; the arguments are checked before."""
    print(yaml.safe_dump(serve_config(configuration), sort_keys=False), end="")
    return 0
