"""The application `hold` in a Serve config: added, taken away, looked for."""

from typing import Any

import yaml

from kuberay.rollout.errors import UnusableObjects

HOLD = "hold"
"""The application's name; its code is `serve_app/hold.py`."""

HOLD_APPLICATION = {"name": HOLD, "import_path": "serve_app.hold:app", "route_prefix": None}


def with_hold(serve_config: str) -> str:
    """The config with the application that never becomes ready; the rest is as it was."""
    config = parsed(serve_config)
    if HOLD in _names(config):
        return serve_config
    config["applications"] = [*config["applications"], HOLD_APPLICATION]
    return yaml.safe_dump(config, sort_keys=False)


def without_hold(serve_config: str) -> str:
    """The config without it; unchanged to the letter where it is not there."""
    config = parsed(serve_config)
    if HOLD not in _names(config):
        return serve_config
    config["applications"] = [each for each in config["applications"] if each["name"] != HOLD]
    return yaml.safe_dump(config, sort_keys=False)


def has_hold(serve_config: str) -> bool:
    """Whether it is there; False for a config that cannot be read."""
    try:
        return HOLD in _names(parsed(serve_config))
    except UnusableObjects:
        return False


def same_config(one: str, other: str) -> bool:
    """Whether two texts say the same; the hold is not part of what they say."""
    return parsed(without_hold(one)) == parsed(without_hold(other))


def parsed(serve_config: str) -> dict[str, Any]:
    """Raises UnusableObjects for what is no Serve config of several applications."""
    try:
        config = yaml.safe_load(serve_config)
    except yaml.YAMLError as error:
        raise UnusableObjects(f"serveConfigV2 is not YAML: {error}") from error
    applications = config.get("applications") if isinstance(config, dict) else None
    if not isinstance(applications, list) or not applications:
        raise UnusableObjects("serveConfigV2 names no applications")
    if not all(
        isinstance(each, dict) and isinstance(each.get("name"), str) for each in applications
    ):
        raise UnusableObjects("serveConfigV2 has an application without a name")
    assert isinstance(config, dict)
    return config


def _names(config: dict[str, Any]) -> list[str]:
    return [each["name"] for each in config["applications"]]
