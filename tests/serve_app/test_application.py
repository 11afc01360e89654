"""When the rankers follow the alias."""

from pathlib import Path

import pytest

from serve_app.application import following
from serve_app.settings import FaqSettings, Settings


def test_the_alias_is_followed(tmp_path: Path) -> None:
    faq = FaqSettings(alias="challenger", refresh_s=2.5)
    found = following(Settings(data_dir=tmp_path, faq=faq))
    assert found is not None
    assert (found.alias, found.period_s) == ("challenger", 2.5)


@pytest.mark.parametrize("faq", [FaqSettings(refresh_s=0), FaqSettings(corpus=Path("corpus"))])
def test_a_pinned_version_follows_nothing(faq: FaqSettings) -> None:
    assert following(Settings(faq=faq)) is None
