"""What models, aliases and files may be called, so that paths, URLs and queries keep them."""

import re
from pathlib import Path

from deployments.registry.artifacts import RegistryError

MODEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
ALIAS_NAME = re.compile(r"(?!latest$|[vV]\d+$)[A-Za-z][A-Za-z0-9_-]{0,99}")


def check_names(name: str, alias: str | None = None) -> None:
    """Raises RegistryError for a name that the registry does not take."""
    if not MODEL_NAME.fullmatch(name):
        raise RegistryError(
            f"{name!r} is no model name: up to 200 ASCII letters, digits, '.', '_' and '-', "
            "the first a letter or digit"
        )
    if alias is not None and not ALIAS_NAME.fullmatch(alias):
        raise RegistryError(
            f"{alias!r} is no alias: up to 100 ASCII letters, digits, '_' and '-', the first a "
            "letter, neither 'latest' nor like 'v1'"
        )


def check_file_names(folder: Path) -> None:
    """MLflow puts file names into URLs as they are, and would store these under other names."""
    if odd := [path.name for path in folder.rglob("*") if set(path.name) & set("#?%\\")]:
        raise RegistryError(f"a registry server cannot keep files with these names: {odd}")
