"""What the end-to-end test is told, and how it says that it cannot use it."""

from dataclasses import fields
from pathlib import Path

import pytest

from serve_app.configuration import TESTS_PREFIX, configure
from tests.kuberay.cluster.settings import SettingsWrong, TestSettings, read, without_tag

IMAGE = {"SCORING_TEST_IMAGE": "registry.example/scoring-cpu:1"}


def test_an_image_is_enough() -> None:
    settings = read({**IMAGE, "PATH": "/bin", "SCORING_TEST_KEEP": ""})
    assert settings == TestSettings(IMAGE["SCORING_TEST_IMAGE"])
    assert settings.is_namespace_ours
    assert settings.unstartable_image == "registry.example/scoring-cpu:no-such-tag"


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({}, "SCORING_TEST_IMAGE is not set"),
        ({**IMAGE, "SCORING_TEST_IMAEG": "x"}, "SCORING_TEST_IMAEG is not known"),
        ({**IMAGE, "SCORING_TEST_RATE": "0"}, "SCORING_TEST_RATE"),
        ({**IMAGE, "SCORING_TEST_LIMIT_S": "nan"}, "SCORING_TEST_LIMIT_S"),
        ({**IMAGE, "SCORING_TEST_KEEP": "yes"}, "SCORING_TEST_KEEP is 0 or 1"),
        ({**IMAGE, "SCORING_TEST_PULL_POLICY": "never"}, "SCORING_TEST_PULL_POLICY is one of"),
        ({**IMAGE, "SCORING_TEST_STORE": "redis"}, "SCORING_TEST_STORE is one of"),
        ({**IMAGE, "SCORING_TEST_NAMESPACE": "No"}, "SCORING_TEST_NAMESPACE"),
        ({**IMAGE, "SCORING_TEST_PULL_SECRET": "s"}, "needs SCORING_TEST_NAMESPACE"),
        ({**IMAGE, "SCORING_TEST_STORAGE_CLASS": "fast"}, "SCORING_TEST_STORE=volume"),
    ],
)
def test_what_cannot_be_used_is_named(given: dict[str, str], named: str) -> None:
    with pytest.raises(SettingsWrong, match=named):
        read(given)


@pytest.mark.parametrize(
    "image", ["host:5000/a/scoring:1", "host:5000/a/scoring@sha256:00", "host:5000/a/scoring"]
)
def test_a_port_is_no_tag(image: str) -> None:
    assert without_tag(image) == "host:5000/a/scoring"


def test_the_application_takes_the_variables_for_no_settings_of_its_own() -> None:
    assert configure({}, environment=IMAGE).settings


def test_each_variable_is_documented() -> None:
    text = (Path(__file__).parents[3] / "docs" / "kubernetes-test.md").read_text()
    for each in fields(TestSettings):
        assert f"`{TESTS_PREFIX}{each.name.upper()}`" in text
