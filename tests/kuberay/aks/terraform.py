"""Terraform files as Python values: what python-hcl2 reads, with expressions told from strings."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import hcl2

AKS = Path(__file__).parents[3] / "kuberay" / "aks"


class Unreadable(ValueError):
    """A file that is no HCL; the message names it."""


@dataclass(frozen=True)
class Expression:
    """What Terraform computes; `text` is its source, a template's with its quotes."""

    text: str

    @property
    def template(self) -> bool:
        """A string with something computed inside."""
        return self.text.startswith('"')

    @property
    def branches(self) -> list[Any]:
        """The values that it may have, as far as they are written out; itself otherwise."""
        question, colon = _conditional(self.text)
        if colon:
            written = (self.text[question + 1 : colon], self.text[colon + 1 :])
            return [branch for text in written for branch in _branches(text)]
        if self.text.startswith("[for ") and self.text.endswith("]"):
            _, separator, item = _top_level(self.text[1:-1], ":")
            return [[parsed(item)]] if separator else [self]
        return [self]


@dataclass(frozen=True)
class Resource:
    """One resource block."""

    name: str
    type: str
    """Azure's type, such as Microsoft.Network/virtualNetworks."""
    version: str
    """Its API version."""
    attributes: Mapping[str, Any]

    @property
    def body(self) -> Any:
        """What is sent; {} where the block has none."""
        return self.attributes.get("body", {})


@dataclass(frozen=True)
class Variable:
    """One variable block; `type` is its source."""

    name: str
    type: str | None
    description: str | None
    attributes: Mapping[str, Any]


@dataclass(frozen=True)
class Configuration:
    """All files of a folder; `files` has their parsed content by name."""

    files: Mapping[str, Mapping[str, Any]]

    @classmethod
    def read(cls, folder: Path = AKS) -> "Configuration":
        """The folder's `*.tf`."""
        return cls.parse({path.name: path.read_text("utf-8") for path in folder.glob("*.tf")})

    @classmethod
    def parse(cls, sources: Mapping[str, str]) -> "Configuration":
        """From texts by name.

        Raises:
            Unreadable: one is no HCL.
        """
        files = {}
        for name, source in sorted(sources.items()):
            try:
                files[name] = _values(hcl2.loads(source))
            except Exception as error:  # noqa: BLE001  # lark's many errors have no common base
                raise Unreadable(f"{name}: {error}") from error
        return cls(files)

    @cached_property
    def resources(self) -> list[Resource]:
        """All `azapi_resource` blocks."""
        found = []
        for kind, name, block in self._labelled("resource"):
            assert kind == "azapi_resource", f"{kind}: the checks know azapi_resource alone"
            type_, _, version = str(block["type"]).partition("@")
            found.append(Resource(name, type_, version, block))
        return found

    def resource(self, name: str) -> Resource:
        """The one of that name."""
        [found] = [resource for resource in self.resources if resource.name == name]
        return found

    @cached_property
    def variables(self) -> dict[str, Variable]:
        """All variables by name."""
        found = {}
        for name, block in self._named("variable"):
            type_ = block.get("type")
            text = type_.text if isinstance(type_, Expression) else type_
            found[name] = Variable(name, text, block.get("description"), block)
        return found

    @cached_property
    def locals(self) -> dict[str, Any]:
        """All local values by name."""
        blocks = (block for file in self.files.values() for block in file.get("locals", []))
        return {name: value for block in blocks for name, value in block.items()}

    @cached_property
    def outputs(self) -> dict[str, Mapping[str, Any]]:
        """All output blocks by name."""
        return dict(self._named("output"))

    @cached_property
    def expressions(self) -> list[str]:
        """The source of everything computed, anywhere."""
        return [text for file in self.files.values() for text in _expressions(file)]

    def _named(self, kind: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
        for file in self.files.values():
            for block in file.get(kind, []):
                yield from block.items()

    def _labelled(self, kind: str) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
        for type_, named in self._named(kind):
            for name, block in named.items():
                yield type_, name, block


def parsed(text: str) -> Any:
    """One expression as a value."""
    return _values(hcl2.loads(f"value = {text.strip()}\n"))["value"]


def source(value: Any) -> str:
    """A value as HCL, on one line."""
    match value:
        case Expression(text):
            return text
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case str():
            escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
            return f'"{escaped}"'
        case Mapping():
            return "{" + ", ".join(f'"{key}" = {source(item)}' for key, item in value.items()) + "}"
        case list():
            return "[" + ", ".join(source(item) for item in value) + "]"
        case _:
            return str(value)


def _values(raw: Any) -> Any:
    match raw:
        case str() if raw.startswith("${") and raw.endswith("}"):
            return Expression(raw[2:-1])
        case str() if raw.startswith('"') and ("${" in raw or "%{" in raw):
            return Expression(raw)
        case str():
            return _unquoted(raw)
        case dict():
            return {
                _unquoted(key): _values(item)
                for key, item in raw.items()
                if not key.startswith("__")
            }
        case list():
            return [_values(item) for item in raw]
        case _:
            return raw


def _unquoted(raw: str) -> str:
    if not (raw.startswith('"') and raw.endswith('"')):
        return raw
    return re.sub(
        r"\\(.)", lambda match: {"n": "\n", "t": "\t"}.get(match[1], match[1]), raw[1:-1]
    )


def _expressions(value: Any) -> Iterator[str]:
    match value:
        case Expression(text):
            yield text
        case Mapping():
            for item in value.values():
                yield from _expressions(item)
        case list():
            for item in value:
                yield from _expressions(item)


def _branches(text: str) -> Iterable[Any]:
    value = parsed(text)
    return value.branches if isinstance(value, Expression) else [value]


def _conditional(text: str) -> tuple[int, int]:
    before, question, after = _top_level(text, "?")
    if not question:
        return 0, 0
    then, colon, _ = _top_level(after, ":")
    return len(before), len(before) + 1 + len(then) if colon else 0


def _top_level(text: str, wanted: str) -> tuple[str, str, str]:
    """As `str.partition`, but not inside brackets and quotes."""
    depth, quoted = 0, False
    for index, character in enumerate(text):
        if character == '"' and text[index - 1 : index] != "\\":
            quoted = not quoted
        elif not quoted:
            depth += (character in "([{") - (character in ")]}")
            if character == wanted and depth == 0:
                return text[:index], wanted, text[index + 1 :]
    return text, "", ""
