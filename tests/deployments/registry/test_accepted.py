"""What was taken last for an alias."""

from dataclasses import replace
from pathlib import Path

import pytest

from deployments.registry import Accepted, ModelVersion

VERSION = ModelVersion(
    "faq", "3", "sha256:" + "a" * 64, "champion", "file:///x", {"m": 1.0}, {}, {}
)


def test_each_alias_has_its_own(tmp_path: Path) -> None:
    accepted = Accepted(tmp_path / "made")
    assert accepted.get("faq", "champion") is None
    accepted.put(VERSION, "champion")
    accepted.put(replace(VERSION, version="4"), "challenger")
    assert Accepted(tmp_path / "made").get("faq", "champion") == VERSION
    accepted.put(replace(VERSION, version="5"), "champion")
    found = accepted.get("faq", "champion")
    assert found is not None
    assert found.version == "5"


@pytest.mark.parametrize("content", ["", "[1]", "{}", '{"name": "faq", "old": 1}', "\x00"])
def test_what_cannot_be_read_is_said_and_is_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: str
) -> None:
    (tmp_path / "faq@champion.json").write_text(content)
    assert Accepted(tmp_path).get("faq", "champion") is None
    assert "cannot be read" in caplog.text


def test_a_folder_that_cannot_be_written_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    Accepted(tmp_path / "file").put(VERSION, "champion")
    assert "cannot be written" in caplog.text
