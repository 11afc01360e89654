"""docs/kubernetes.md says what is."""

from collections.abc import Iterator
from types import UnionType
from typing import Union, get_args, get_origin

from pydantic import BaseModel

from kuberay.manifests.cluster import ClusterSettings
from kuberay.manifests.files import ROOT
from tests.kuberay.manifests.rendering import FOLDERS, find, objects

TEXT = (ROOT.parent / "docs" / "kubernetes.md").read_text(encoding="utf-8")


def keys(model: type[BaseModel]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield name
        kinds = [field.annotation]
        if get_origin(field.annotation) in (Union, UnionType):
            kinds = list(get_args(field.annotation))
        for kind in kinds:
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                yield from keys(kind)


def test_every_setting_of_the_cluster_is_explained() -> None:
    missing = {key for key in keys(ClusterSettings) if key not in TEXT}
    assert missing == set()
    table = TEXT.split("### Settings of the cluster")[1].split("###")[0]
    assert {key for key in keys(ClusterSettings) if f"`{key}`" not in table} <= {
        *(name for name in ClusterSettings.model_fields if f"`cluster.{name}`" in table),
    }


def test_every_kind_of_object_is_explained() -> None:
    kinds = {item["kind"] for name in FOLDERS for item in objects(name)} - {"Service"}
    assert {kind for kind in kinds if kind.removesuffix("y") not in TEXT} == set()


def test_every_account_and_folder_is_named() -> None:
    names = {item["metadata"]["name"] for item in find("production", "ServiceAccount")}
    names |= {f"overlays/{name}" for name in FOLDERS if name != "base"}
    assert {name for name in names if name not in TEXT} == set()
