"""What the end-to-end test is told by environment variables. docs/kubernetes-test.md lists them."""

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from serve_app.configuration import TESTS_PREFIX as PREFIX

NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
PULL_POLICIES = ("Always", "IfNotPresent", "Never")
STORES = ("own", "volume")


class SettingsWrong(ValueError):
    """A variable that is unknown or has no usable value; the message names it."""


@dataclass(frozen=True)
class TestSettings:
    """One run. Times in seconds, `rate` in requests a second."""

    __test__ = False

    image: str = field(metadata={"means": "the CPU image with a FAQ model in it"})
    image_2: str = field(
        default="", metadata={"means": "another tag of it; else the pods' environment is changed"}
    )
    broken_image: str = field(
        default="",
        metadata={
            "means": "an image that no node can start; else a tag of SCORING_TEST_IMAGE "
            "that does not exist"
        },
    )
    namespace: str = field(
        default="", metadata={"means": "where to test; else a new one, which is deleted"}
    )
    operator_namespace: str = field(
        default="", metadata={"means": "where KubeRay's operator runs; else it is looked for"}
    )
    store: str = field(
        default="own",
        metadata={
            "means": "where the head's state outlives it: own (a small server in a pod of the same "
            "image) or volume (RocksDB; KubeRay needs the feature gate "
            "GCSFaultToleranceEmbeddedStorage)"
        },
    )
    storage_class: str = field(
        default="", metadata={"means": "of the volume; else the cluster's default"}
    )
    pull_secret: str = field(
        default="",
        metadata={"means": "a secret of the namespace that the images are pulled with"},
    )
    pull_policy: str = field(default="IfNotPresent", metadata={"means": "of all containers"})
    rate: float = field(default=20.0, metadata={"means": "load, requests a second"})
    limit_s: float = field(
        default=900.0, metadata={"means": "for a cluster to start, and for each rollout"}
    )
    settle_s: float = field(
        default=20.0, metadata={"means": "load before and after each disturbance"}
    )
    keep: bool = field(default=False, metadata={"means": "1: leave everything for a look at it"})
    strict: bool = field(default=False, metadata={"means": "1: what would skip the test fails it"})

    @property
    def is_namespace_ours(self) -> bool:
        """Whether the namespace is made, and deleted, by the test."""
        return not self.namespace

    @property
    def unstartable_image(self) -> str:
        """What the broken rollout names."""
        return self.broken_image or without_tag(self.image) + ":no-such-tag"


def read(environment: Mapping[str, str]) -> TestSettings:
    """From the variables that begin with SCORING_TEST_. Raises SettingsWrong."""
    known = {PREFIX + each.name.upper(): each for each in fields(TestSettings)}
    given = {name: text for name, text in environment.items() if name.startswith(PREFIX) and text}
    if unknown := given.keys() - known.keys():
        raise SettingsWrong(f"{min(unknown)} is not known; there are {', '.join(sorted(known))}")
    values: dict[str, Any] = {
        known[name].name: _value(name, known[name].type, text) for name, text in given.items()
    }
    if "image" not in values:
        raise SettingsWrong(f"{PREFIX}IMAGE is not set")
    settings = TestSettings(**values)
    for name, allowed in (("pull_policy", PULL_POLICIES), ("store", STORES)):
        if getattr(settings, name) not in allowed:
            raise SettingsWrong(f"{PREFIX}{name.upper()} is one of {', '.join(allowed)}")
    for name in ("namespace", "operator_namespace", "storage_class", "pull_secret"):
        text = getattr(settings, name)
        if text and not NAME.fullmatch(text):
            raise SettingsWrong(f"{PREFIX}{name.upper()}: {text!r} is no name of an object")
    if settings.pull_secret and settings.is_namespace_ours:
        raise SettingsWrong(f"{PREFIX}PULL_SECRET needs {PREFIX}NAMESPACE: the secret is there")
    if settings.storage_class and settings.store != "volume":
        raise SettingsWrong(f"{PREFIX}STORAGE_CLASS is for {PREFIX}STORE=volume")
    return settings


def new_namespace() -> str:
    """A name that no other run has."""
    return f"scoring-test-{secrets.token_hex(3)}"


def without_tag(image: str) -> str:
    """`host:5000/scoring-cpu:1` to `host:5000/scoring-cpu`; a digest goes too."""
    name = image.partition("@")[0]
    head, _, last = name.rpartition("/")
    return f"{head}/{last.partition(':')[0]}" if head else last.partition(":")[0]


def _value(name: str, kind: object, text: str) -> str | float | bool:
    if kind is bool:
        if text not in ("0", "1"):
            raise SettingsWrong(f"{name} is 0 or 1")
        return text == "1"
    if kind is float:
        try:
            number = float(text)
        except ValueError:
            number = 0.0
        if not 0 < number < float("inf"):
            raise SettingsWrong(f"{name}: {text!r} is not a number above 0")
        return number
    return text
