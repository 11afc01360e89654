"""Commands that print: the settings, and a config file for `serve deploy`."""

import shutil
import textwrap

import yaml

from serve_app.configuration import Configuration, environment_name
from serve_app.grpc_port import grpc_options

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
    http = configuration.settings.http
    config = {
        "http_options": {"host": http.host, "port": http.port},
        "grpc_options": grpc_options(configuration.settings.grpc),
        "applications": [
            {
                "name": "scoring",
                "import_path": "serve_app:app",
                "route_prefix": "/",
                "args": configuration.changed(),
            }
        ],
    }
    print(yaml.safe_dump(config, sort_keys=False), end="")
    return 0
