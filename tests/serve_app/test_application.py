"""When the rankers follow the alias, and what the classifier reserves."""

from pathlib import Path

import pytest

from serve_app.application import following, image_cpus, share_of_node
from serve_app.settings import FaqSettings, ImageSettings, RouterSettings, Settings


def test_the_alias_is_followed(tmp_path: Path) -> None:
    faq = FaqSettings(alias="challenger", refresh_s=2.5)
    found = following(Settings(data_dir=tmp_path, faq=faq))
    assert found is not None
    assert (found.alias, found.period_s) == ("challenger", 2.5)


@pytest.mark.parametrize("faq", [FaqSettings(refresh_s=0), FaqSettings(corpus=Path("corpus"))])
def test_a_pinned_version_follows_nothing(faq: FaqSettings) -> None:
    assert following(Settings(faq=faq)) is None


@pytest.mark.parametrize(("cpus", "share"), [(1, 1), (2, 1.25), (4, 3.25), (8, 7.25), (64, 8)])
def test_the_classifier_takes_what_a_node_has_left(cpus: float, share: float) -> None:
    assert share_of_node(cpus, Settings()) == share


def test_all_replicas_of_the_start_have_their_place() -> None:
    settings = Settings(
        router=RouterSettings(min_replicas=2, num_cpus=0.5),
        faq=FaqSettings(min_replicas=2, num_cpus=0.5),
        image=ImageSettings(min_replicas=2),
    )
    assert share_of_node(8, settings) == 3


def test_what_is_set_is_reserved() -> None:
    assert image_cpus(Settings(image=ImageSettings(num_cpus=0.5))) == 0.5
    assert image_cpus(Settings()) == 1  # no cluster to ask
