"""Where settings come from, and what is refused."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from serve_app.configuration import (
    ConfigurationError,
    configure,
    environment_name,
    fields,
    flatten,
    parse_arguments,
)
from serve_app.settings import Settings, nest


def test_precedence(tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text("faq:\n  max_queue: 2\n  max_batch_size: 2\nhttp.port: 2\n")
    environment = {"SCORING_FAQ_MAX_QUEUE": "3", "SCORING_FAQ_CALLS_PER_REPLICA": "3"}
    configuration = configure({"faq.max_queue": "1"}, environment=environment, file=file)
    faq = configuration.settings.faq
    assert (faq.max_queue, faq.max_batch_size, faq.calls_per_replica) == (1, 2, 3)
    sources = {row.key: row.source for row in configuration.rows()}
    assert sources["faq.max_queue"] == "argument"
    assert sources["http.port"] == str(file)
    assert sources["faq.calls_per_replica"] == "environment"
    assert sources["image.architecture"] == "default"


def test_the_file_may_be_named_in_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text("http: {port: 9}")
    settings = configure({}, environment={"SCORING_CONFIG": str(file)}).settings
    assert settings.http.port == 9


@pytest.mark.parametrize(
    ("arguments", "environment", "word"),
    [
        ({"faq.max_queu": "1"}, {}, "faq.max_queue"),
        ({"port": "1"}, {}, "port"),
        ({"http.port": "0"}, {}, "http.port"),
        ({"http.port": "many"}, {}, "http.port"),
        ({"image.precision": "int8"}, {}, "image.precision"),
        ({"faq.min_replicas": "9"}, {}, "min_replicas"),
        ({}, {"SCORING_HTTP_PROT": "1"}, "SCORING_HTTP_PORT"),
    ],
)
def test_refused(arguments: dict[str, Any], environment: dict[str, str], word: str) -> None:
    with pytest.raises(ConfigurationError, match=word):
        configure(arguments, environment=environment)


@pytest.mark.parametrize("content", ["- a list", "a: [", "\xff"])
def test_unreadable_files(tmp_path: Path, content: str) -> None:
    file = tmp_path / "settings.yaml"
    file.write_bytes(content.encode("latin-1"))
    with pytest.raises(ConfigurationError, match=r"settings\.yaml"):
        configure({}, environment={}, file=file)


def test_arguments() -> None:
    assert parse_arguments(["a.b=c=d", "e="]) == {"a.b": "c=d", "e": ""}
    for bad in (["a"], ["=1"], ["a=1", "a=2"]):
        with pytest.raises(ConfigurationError):
            parse_arguments(bad)


def test_relative_paths_are_anchored(tmp_path: Path) -> None:
    settings = configure(
        {"faq.corpus": "corpus", "data_dir": "data"}, environment={}, folder=tmp_path
    ).settings
    assert settings.faq.corpus == tmp_path / "corpus"
    assert settings.registry_uri == f"sqlite:///{tmp_path / 'data' / 'registry.db'}"


def test_flat_keys_as_ray_serve_passes_them() -> None:
    settings = Settings.model_validate({"image.architecture": "resnet50", "http.port": "8001"})
    assert (settings.image.architecture, settings.http.port) == ("resnet50", 8001)
    with pytest.raises(ValidationError, match="architektur"):
        Settings.model_validate({"image.architektur": "resnet50"})
    with pytest.raises(ValidationError, match="twice"):
        Settings.model_validate({"image.architecture": "a", "image": {"architecture": "b"}})


def test_changed_settings_give_the_same_settings_again() -> None:
    first = configure({"faq.max_queue": "5", "image.num_gpus": "0.5"}, environment={})
    again = configure(first.changed(), environment={})
    assert again.settings == first.settings


def test_every_setting_says_what_it_means_and_has_its_own_variable() -> None:
    names = [key for key, _ in fields()]
    assert all(field.description for _, field in fields())
    assert len({environment_name(name) for name in names}) == len(names)


@given(st.dictionaries(st.sampled_from([key for key, _ in fields()]), st.integers()))
def test_nesting_undoes_flattening(flat: dict[str, int]) -> None:
    assert dict(flatten(nest(flat))) == flat
