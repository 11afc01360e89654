"""Where settings come from: `key=value` arguments, a YAML file, the environment, the defaults.

Precedence in that order. Every value remembers its source, so that `scoring settings` can say it.
"""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from serve_app.settings import Settings

ENVIRONMENT_PREFIX = "SCORING_"
ENVIRONMENT_FILE = "SCORING_CONFIG"
API_KEY = "SCORING_API_KEY"
NOT_SETTINGS = frozenset({ENVIRONMENT_FILE, API_KEY, "SCORING_SHARED_DATA"})
"""Variables that carry the prefix and are no setting: the YAML file, the key that clients send, the
tests' input folder."""
TESTS_PREFIX = "SCORING_TEST_"
"""Of the variables that the end-to-end test on a cluster reads."""


class ConfigurationError(ValueError):
    """Settings that cannot be used; the message names key and source."""


@dataclass(frozen=True)
class Setting:
    """One setting as `scoring settings` shows it."""

    key: str
    value: Any
    source: str
    meaning: str
    allowed: str


@dataclass(frozen=True)
class Configuration:
    """Settings and where each value came from (flat key to source)."""

    settings: Settings
    sources: Mapping[str, str]

    def rows(self) -> Iterator[Setting]:
        """Every setting in the order of the documentation."""
        values = dict(flatten(self.settings.model_dump(mode="json")))
        for key, field in fields():
            source = self.sources.get(key, "default")
            yield Setting(key, values[key], source, field.description or "", _allowed(field))

    def changed(self) -> dict[str, Any]:
        """What differs from the defaults, as flat keys with JSON values."""
        values = dict(flatten(self.settings.model_dump(mode="json")))
        return {key: values[key] for key in sorted(self.sources)}


def configure(
    arguments: Mapping[str, Any],
    *,
    environment: Mapping[str, str],
    file: Path | None = None,
    folder: Path | None = None,
) -> Configuration:
    """Merges the sources into frozen settings.

    Relative paths are taken from `folder` (the current one by default), because replicas run in
    another one than the command that starts them.

    Raises:
        ConfigurationError: unknown key, value out of range, unreadable file.
    """
    if file is None and ENVIRONMENT_FILE in environment:
        file = Path(environment[ENVIRONMENT_FILE])
    layers = [("environment", _environment(environment))]
    if file is not None:
        layers.append((str(file), dict(flatten(_read_yaml(file)))))
    layers.append(("argument", dict(flatten(dict(arguments)))))
    merged: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for source, layer in layers:
        for key, value in layer.items():
            _refuse_unknown(key, source)
            merged[key] = value
            sources[key] = source
    merged.setdefault("data_dir", ".scoring")
    _anchor(merged, folder or Path.cwd())
    try:
        return Configuration(Settings.model_validate(merged), sources)
    except ValidationError as error:
        raise ConfigurationError(_explain(error, sources)) from None


def parse_arguments(arguments: Sequence[str]) -> dict[str, str]:
    """`["faq.corpus=PATH"]` to `{"faq.corpus": "PATH"}`.

    Raises:
        ConfigurationError: an argument without `=`, or a key given twice.
    """
    parsed: dict[str, str] = {}
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if not equals or not key:
            raise ConfigurationError(f"{argument!r} is not of the form key=value")
        if key in parsed:
            raise ConfigurationError(f"{key} is given twice")
        parsed[key] = value
    return parsed


def fields(model: type[BaseModel] = Settings, prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Every setting's flat key and its declaration."""
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from fields(field.annotation, f"{prefix}{name}.")
        else:
            yield prefix + name, field


def flatten(nested: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """`{"http": {"port": 1}}` to `("http.port", 1)`."""
    for key, value in nested.items():
        if isinstance(value, Mapping):
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def environment_name(key: str) -> str:
    """The variable of a key: `faq.max_queue` is `SCORING_FAQ_MAX_QUEUE`."""
    return ENVIRONMENT_PREFIX + key.replace(".", "_").upper()


def _environment(environment: Mapping[str, str]) -> dict[str, str]:
    keys = {environment_name(key): key for key, _ in fields()}
    found = {}
    for name, value in environment.items():
        if not name.startswith(ENVIRONMENT_PREFIX) or name in NOT_SETTINGS:
            continue
        if name.startswith(TESTS_PREFIX):
            continue
        if name not in keys:
            raise ConfigurationError(f"environment: {name} is not a setting{_near(name, keys)}")
        found[keys[name]] = value
    return found


def _read_yaml(file: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigurationError(f"{file}: {error}") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigurationError(f"{file}: expected a mapping of settings")
    return content


def _refuse_unknown(key: str, source: str) -> None:
    known = [name for name, _ in fields()]
    if key not in known:
        raise ConfigurationError(f"{source}: {key} is not a setting{_near(key, known)}")


def _near(name: str, known: Any) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _anchor(merged: dict[str, Any], folder: Path) -> None:
    for key in ("data_dir", "faq.corpus", "image.weights", "auth.keys"):
        if merged.get(key) is not None:
            merged[key] = str((folder / Path(str(merged[key])).expanduser()).resolve())


def _explain(error: ValidationError, sources: Mapping[str, str]) -> str:
    lines = []
    for issue in error.errors():
        key = ".".join(str(part) for part in issue["loc"])
        lines.append(f"{sources.get(key, 'settings')}: {key}: {issue['msg']}")
    return "\n".join(lines)


def _allowed(field: FieldInfo) -> str:
    words = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}
    bounds = [
        f"{words[name]} {getattr(bound, name)}"
        for bound in field.metadata
        for name in words
        if getattr(bound, name, None) is not None
    ]
    kind = getattr(field.annotation, "__name__", None)
    name = kind if kind and "Literal" not in kind else str(field.annotation)
    name = name.replace("typing.", "").replace("pathlib._local.", "").replace("pathlib.", "")
    return ", ".join([name, *bounds])
