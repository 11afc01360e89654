"""YAML as Kubernetes reads it, with keys that are given twice refused."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml


class _Loader(yaml.CSafeLoader):
    """PyYAML keeps the last of two equal keys without a word; a date stays the text that it is."""

    yaml_implicit_resolvers = {  # noqa: RUF012
        first: [(tag, pattern) for tag, pattern in found if not tag.endswith(":timestamp")]
        for first, found in yaml.CSafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: dict[str, int] = {}
        for key, _value in node.value:
            line = key.start_mark.line + 1
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    problem=f"{key.value} is given twice, in lines {seen[key.value]} and {line}"
                )
            seen[key.value] = line
        return super().construct_mapping(node, deep)


def parse(text: str) -> list[Any]:
    """Every document that is not empty.

    Raises:
        yaml.YAMLError: what is no YAML, and mappings with a key given twice.
    """
    # The loader below constructs what CSafeLoader constructs: no Python objects.
    return [item for item in yaml.load_all(text, Loader=_Loader) if item is not None]


def read(path: Path) -> list[Any]:
    """Every document of a file."""
    return parse(path.read_text(encoding="utf-8"))


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every scalar and empty container with its path: `("spec.ports[0].port", 80)`."""
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from leaves(item, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list) and value:
        for index, item in enumerate(value):
            yield from leaves(item, f"{path}[{index}]")
    else:
        yield path, value
