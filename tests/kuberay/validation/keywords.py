"""A JSON Schema validator that knows Kubernetes's own keywords and says where things are."""

import base64
import binascii
import difflib
import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from jsonschema import Draft202012Validator, ValidationError
from jsonschema.validators import extend

RANGES = {"int32": 31, "int64": 63}
TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")
SHOWN = 160
"""Characters of a message; values may be whole pod specifications."""

Errors = Iterator[ValidationError]


def _format(_validator: Any, name: Any, value: Any, _schema: Any) -> Errors:
    check = FORMATS.get(name)
    if check is None:
        yield ValidationError(f"nobody here knows the format {name}")
    elif not check(value):
        yield ValidationError(f"{value!r} is no {name}")


def _within(bits: int) -> Callable[[Any], bool]:
    return lambda value: not isinstance(value, int) or -(2**bits) <= value < 2**bits


def _base64(value: Any) -> bool:
    try:
        return not isinstance(value, str) or bool(base64.b64decode(value, validate=True)) or True
    except binascii.Error:
        return False


def _time(value: Any) -> bool:
    return not isinstance(value, str) or bool(TIME.fullmatch(value))


FORMATS: dict[str, Callable[[Any], bool]] = {
    **{name: _within(bits) for name, bits in RANGES.items()},
    "double": lambda value: True,
    "byte": _base64,
    "date-time": _time,
}


def _pattern(_validator: Any, pattern: str, value: Any, _schema: Any) -> Errors:
    # Go's `$` is the end of the text; Python's also comes before a last line break.
    ended = re.sub(r"(?<!\\)\$$", r"\\Z", pattern)
    if isinstance(value, str) and not re.search(ended, value):
        yield ValidationError(f"{value!r} does not match {pattern}")


def _unknown(_validator: Any, rest: Any, value: Any, schema: Any) -> Errors:
    """Like `additionalProperties`, with the unknown field in the path."""
    if not isinstance(value, dict):
        return
    known = schema.get("properties", {})
    for key, item in value.items():
        if key in known:
            continue
        if isinstance(rest, dict):
            yield from _validator.descend(item, rest, path=key)
        elif rest is False:
            near = difflib.get_close_matches(str(key), list(known), n=1)
            advice = f"; did you mean {near[0]}?" if near else ""
            yield ValidationError(f"unknown field{advice}", path=[key])


def _required(_validator: Any, names: list[str], value: Any, _schema: Any) -> Errors:
    if isinstance(value, dict):
        yield from (ValidationError("is missing", path=[n]) for n in names if n not in value)


def _list_type(_validator: Any, kind: str, value: Any, schema: Any) -> Errors:
    """Items of sets, and of maps by their keys, are there once."""
    if not isinstance(value, list) or kind == "atomic":
        return
    names = schema.get("x-kubernetes-list-map-keys", ())
    fallbacks = {
        name: schema.get("items", {}).get("properties", {}).get(name, {}).get("default")
        for name in names
    }
    keys = Counter(
        str([item.get(name, fallbacks[name]) for name in names]) if names else repr(item)
        for item in value
        if isinstance(item, dict) or not names
    )
    for key, times in keys.items():
        if times > 1:
            yield ValidationError(f"{', '.join(names) or 'item'} {key} is given {times} times")


Validator = extend(  # type: ignore[no-untyped-call]
    Draft202012Validator,
    {
        "format": _format,
        "pattern": _pattern,
        "additionalProperties": _unknown,
        "required": _required,
        "x-kubernetes-list-type": _list_type,
    },
)


def place(path: Iterator[str | int] | Any) -> str:
    """`["spec", "ports", 0]` as `spec.ports[0]`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def complaints(validator: Any, value: Any) -> list[str]:
    """`path: message` for everything that a value does wrong."""
    found = []
    for error in validator.iter_errors(value):
        where = place(error.absolute_path)
        message = error.message
        if len(message) > SHOWN:
            message = f"{message[: SHOWN // 2]} ... {message[-SHOWN // 2 :]}"
        found.append(f"{where}: {message}" if where else message)
    return sorted(set(found))
