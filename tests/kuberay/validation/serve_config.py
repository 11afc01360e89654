"""`serveConfigV2`: Ray Serve's schema with unknown keys refused, then the application's settings.

Ray Serve drops keys that it does not know without a word, and leaves some nested objects (such as
`autoscaling_config`) as dictionaries that it looks into later.
"""

import difflib
import typing
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from serve_app.configuration import ConfigurationError, configure, parse_arguments
from tests.kuberay.validation.documents import parse
from tests.kuberay.validation.keywords import place

Path = tuple[str | int, ...]


def serve_problems(text: str) -> list[str]:
    """`path: message` for everything in a Serve config that Ray or the application would refuse."""
    try:
        documents = parse(text)
    except yaml.YAMLError as error:
        return [f"no YAML: {error}"]
    if len(documents) != 1 or not isinstance(documents[0], dict):
        return ["expected one mapping"]
    config = documents[0]
    return [*_against_ray(config), *_against_application(config)]


@cache
def _deploy_schema() -> type[BaseModel]:
    from ray.serve.schema import ServeDeploySchema  # two seconds

    return ServeDeploySchema


def _against_ray(config: Mapping[str, Any]) -> Iterator[str]:
    yield from _unknown(_deploy_schema(), config, ())
    yield from _invalid(_deploy_schema(), config, ())
    for number, application in enumerate(config.get("applications") or ()):
        yield from _runtime_environment(application, ("applications", number))


def _unknown(model: type[BaseModel], value: Mapping[str, Any], path: Path) -> Iterator[str]:
    """Keys that a model does not have, also inside what it keeps as a dictionary."""
    for key, item in value.items():
        field = model.model_fields.get(key)
        if field is None:
            near = difflib.get_close_matches(str(key), list(model.model_fields), n=1)
            advice = f"; did you mean {near[0]}?" if near else ""
            yield f"{place((*path, key))}: unknown field{advice}"
            continue
        nested = next(_models(field.annotation), None)
        if nested is None:
            continue
        for where, inner in _nested(item, (*path, key)):
            yield from _unknown(nested, inner, where)
            if dict in _origins(field.annotation):
                yield from _invalid(nested, inner, where)


def _nested(value: Any, path: Path) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    if isinstance(value, Mapping):
        yield path, value
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _nested(item, (*path, number))


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in typing.get_args(annotation):
        yield from _models(argument)


def _origins(annotation: Any) -> Iterator[Any]:
    yield typing.get_origin(annotation) or annotation
    for argument in typing.get_args(annotation):
        yield from _origins(argument)


def _invalid(model: type[BaseModel], value: Mapping[str, Any], path: Path) -> Iterator[str]:
    try:
        model.model_validate(value)
    except ValidationError as error:
        for issue in error.errors():
            yield f"{place((*path, *issue['loc']))}: {issue['msg']}"
    except (ImportError, AttributeError, ValueError, TypeError) as error:
        # Ray imports functions that a config names while it validates.
        yield f"{place(path)}: {error}"


def _runtime_environment(application: Any, path: Path) -> Iterator[str]:
    from ray.runtime_env import RuntimeEnv

    if not isinstance(application, Mapping):
        return
    found = [((*path, "runtime_env"), application.get("runtime_env"))]
    for number, deployment in enumerate(application.get("deployments") or ()):
        options = deployment.get("ray_actor_options") if isinstance(deployment, Mapping) else None
        if isinstance(options, Mapping):
            where = (*path, "deployments", number, "ray_actor_options", "runtime_env")
            found.append((where, options.get("runtime_env")))
    for where, environment in found:
        for key in environment if isinstance(environment, Mapping) else ():
            if key not in RuntimeEnv.known_fields:
                yield f"{place((*where, key))}: unknown field"


def _against_application(config: Mapping[str, Any]) -> Iterator[str]:
    """Arguments of `serve_app:app` are settings of this service, which refuses unknown ones."""
    for number, application in enumerate(config.get("applications") or ()):
        if not isinstance(application, Mapping):
            continue
        if application.get("import_path") != "serve_app:app":
            continue
        arguments = application.get("args", {})
        try:
            if isinstance(arguments, Mapping):
                configure(arguments, environment={})
            else:
                configure(parse_arguments(arguments), environment={})
        except (ConfigurationError, TypeError) as error:
            for line in str(error).splitlines():
                yield f"applications[{number}].args: {line}"
