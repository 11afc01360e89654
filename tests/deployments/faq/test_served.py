"""A replica follows the alias: what it takes, what it refuses, and what it frees."""

import asyncio
import threading
import weakref
from dataclasses import replace
from pathlib import Path

import pytest

from deployments.contracts import KnownDuplicate, Question
from deployments.faq.examples import Examples
from deployments.faq.served import Following, ServedModel
from deployments.faq.versions import VersionRefused
from deployments.registry import Accepted, ModelNotFound, ModelVersion, RegistryError
from deployments.telemetry import Metrics, snapshot
from tests.deployments.faq.small import QUESTIONS, WRONG, FakeRegistry, save_model, train_small

BAD = 3


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Version 2 calls by A0 what version 1 calls by A1; version 3 fails its known questions."""
    root = tmp_path_factory.mktemp("models")
    return [
        save_model(root / "1", train_small()),
        save_model(root / "2", train_small(first=1)),
        save_model(root / "3", train_small(), WRONG),
    ]


@pytest.fixture
def registry(folders: list[Path]) -> FakeRegistry:
    return FakeRegistry(folders)


@pytest.fixture
def following(tmp_path: Path) -> Following:
    return Following("champion", 5.0, Accepted(tmp_path))


def served(
    registry: FakeRegistry, following: Following | None, bound: int = 1
) -> tuple[ServedModel, Metrics]:
    metrics = Metrics()
    return ServedModel(registry, registry.versions[bound - 1], following, metrics), metrics


def answer(model: ServedModel) -> tuple[str, bytes]:
    batch = model.rank([Question(QUESTIONS[1], 1)])
    return batch.model.version, batch.rankings[0].matches.split(b'"answer_id":"')[1][:2]


def counted(metrics: Metrics) -> dict[tuple[str, str], float]:
    return {
        (name, labels.get("version", "")): value
        for family in snapshot(metrics.registry)
        for name, labels, value in family.samples
        if name.startswith("scoring_model_version")
    }


async def test_a_new_version_is_swapped_in(registry: FakeRegistry, following: Following) -> None:
    model, metrics = served(registry, following)
    assert answer(model) == ("1", b"A1")
    registry.named = 2
    assert answer(model) == ("1", b"A1")
    await model.refresh()
    assert answer(model) == ("2", b"A0")
    assert model.status() == (registry.versions[1].identity, None)
    assert counted(metrics) == {
        ("scoring_model_version_info", "2"): 1,
        ("scoring_model_versions_refused_total", ""): 0,
    }


async def test_nothing_is_loaded_while_the_alias_stays(
    registry: FakeRegistry, following: Following
) -> None:
    model, _ = served(registry, following)
    await model.refresh()
    await model.refresh()
    assert registry.fetched == ["1"]


class SlowRegistry(FakeRegistry):
    """Hands out version 2 when the test says so, and tells that it was asked."""

    def __init__(self, folders: list[Path]) -> None:
        super().__init__(folders)
        self.asked, self.may_answer = threading.Event(), threading.Event()

    def fetch(self, version: ModelVersion) -> Path:
        if version.version == "2":
            self.asked.set()
            assert self.may_answer.wait(60)
        return super().fetch(version)


async def test_questions_are_answered_while_a_version_loads(
    folders: list[Path], following: Following
) -> None:
    registry = SlowRegistry(folders)
    model, _ = served(registry, following)
    registry.named = 2
    look = asyncio.create_task(model.refresh())
    assert await asyncio.to_thread(registry.asked.wait, 60)
    assert answer(model) == ("1", b"A1")
    registry.may_answer.set()
    await look
    assert answer(model) == ("2", b"A0")


async def test_the_watch_looks_and_survives_what_goes_wrong(
    registry: FakeRegistry, following: Following
) -> None:
    model, _ = served(registry, replace(following, period_s=0.0))
    registry.is_down = True
    watch = asyncio.create_task(model.watch())
    for named in (0, 2, BAD, 1):
        registry.is_down, registry.named = False, named
        async with asyncio.timeout(60):
            while (named in (1, 2)) and answer(model)[0] != str(named):
                await asyncio.sleep(0)
    watch.cancel()


async def test_the_old_version_is_freed(registry: FakeRegistry, following: Following) -> None:
    model, _ = served(registry, following)
    old = weakref.ref(model._serving.scorer._ranker)
    registry.named = 2
    await model.refresh()
    assert old() is None


async def test_a_bad_version_is_refused_once(
    registry: FakeRegistry, following: Following, caplog: pytest.LogCaptureFixture
) -> None:
    model, metrics = served(registry, following)
    registry.named = BAD
    for _ in range(3):
        await model.refresh()
        assert answer(model) == ("1", b"A1")
    assert registry.fetched == ["1", "3"]
    assert caplog.text.count("faq version 3 is refused") == 1
    identity, refused = model.status()
    assert identity == registry.versions[0].identity
    assert refused is not None
    assert (refused.version, "known questions" in refused.reason) == ("3", True)
    assert counted(metrics)["scoring_model_versions_refused_total", ""] == 1


async def test_a_refused_version_is_tried_again_once_the_alias_has_moved(
    registry: FakeRegistry, following: Following
) -> None:
    model, metrics = served(registry, following)
    for named, refused in ((BAD, True), (1, False), (BAD, True), (2, False)):
        registry.named = named
        await model.refresh()
        assert (model.status().refused is not None) is refused
    assert answer(model) == ("2", b"A0")
    assert registry.fetched == ["1", "3", "3", "2"]
    assert counted(metrics)["scoring_model_versions_refused_total", ""] == 2


async def test_what_cannot_be_asked_or_fetched_now_is_asked_again(
    registry: FakeRegistry, following: Following
) -> None:
    model, _ = served(registry, following)
    registry.is_down = True
    with pytest.raises(RegistryError, match="down"):
        await model.refresh()
    registry.is_down, registry.named = False, 0
    with pytest.raises(ModelNotFound):
        await model.refresh()
    assert answer(model)[0] == "1"
    registry.named = 2
    await model.refresh()
    assert answer(model)[0] == "2"


async def test_a_pinned_version_stays(registry: FakeRegistry) -> None:
    model, _ = served(registry, None)
    registry.named = 2
    await model.refresh()
    await model.watch()
    assert answer(model)[0] == "1"


def test_a_replica_that_starts_later_serves_what_the_alias_names_now(
    registry: FakeRegistry, following: Following
) -> None:
    registry.named = 2
    model, _ = served(registry, following)
    assert answer(model)[0] == "2"
    assert registry.fetched == ["2"]


async def test_a_replica_that_starts_while_the_alias_is_bad_serves_what_the_others_do(
    registry: FakeRegistry, following: Following
) -> None:
    first, _ = served(registry, following)
    registry.named = 2
    await first.refresh()
    registry.named = BAD
    later, metrics = served(registry, following)
    assert answer(later)[0] == "2"
    assert later.status().refused is not None
    assert counted(metrics)["scoring_model_versions_refused_total", ""] == 1
    registry.named = 1
    await later.refresh()
    assert (answer(later)[0], later.status().refused) == ("1", None)


def test_a_bound_version_that_is_bad_now_gives_way_to_the_one_accepted_last(
    registry: FakeRegistry, following: Following
) -> None:
    registry.named = BAD
    following.accepted.put(registry.versions[1], "champion")
    model, _ = served(registry, following, bound=BAD)
    assert answer(model)[0] == "2"
    assert model.status().refused is not None


def test_a_replica_that_starts_without_the_registry_serves_what_it_knows(
    registry: FakeRegistry, following: Following
) -> None:
    registry.is_down = True
    assert answer(served(registry, following)[0])[0] == "1"
    following.accepted.put(registry.versions[1], "champion")
    assert answer(served(registry, following)[0])[0] == "2"


@pytest.mark.parametrize("follows", [True, False])
def test_a_replica_without_any_good_version_does_not_start(
    registry: FakeRegistry, following: Following, follows: bool
) -> None:
    registry.named = BAD
    with pytest.raises(VersionRefused, match="version 3"):
        served(registry, following if follows else None, bound=BAD)


async def test_known_duplicates_are_those_of_the_version_that_answers(
    registry: FakeRegistry, following: Following, folders: list[Path]
) -> None:
    model, _ = served(registry, following)
    assert model.examples() == (registry.versions[0].identity, ())
    Examples((KnownDuplicate("forgot password", "A0"),)).save(folders[1])
    registry.named = 2
    await model.refresh()
    assert model.examples() == (
        registry.versions[1].identity,
        (KnownDuplicate("forgot password", "A0"),),
    )
