"""A watch shows what a list would, whatever interrupts it."""

import threading
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kuberay.rollout import Api, connect
from kuberay.rollout.api import Kind
from kuberay.rollout.errors import Forbidden, Unauthorized
from kuberay.rollout.watching import Watched
from tests.kuberay.rollout.api_server import ApiServer
from tests.kuberay.rollout.store import Problem

CONFIG_MAP = Kind("v1", "ConfigMap", "configmaps")

STEPS = st.one_of(
    st.tuples(st.just("set"), st.sampled_from("abc"), st.sampled_from(["blue", "green"])),
    st.tuples(st.just("delete"), st.sampled_from("abc"), st.just("")),
    st.tuples(st.sampled_from(["cut", "compact", "busy", "wait"]), st.just(""), st.just("")),
)


def change(server: ApiServer, name: str, colour: str) -> None:
    """Makes an object, or changes its label and content."""
    body = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "labels": {"colour": colour}},
        "data": {"time": str(time.monotonic_ns())},
    }
    try:
        server.store.create("configmaps", "scoring", body)
    except Problem:
        server.store.replace("configmaps", "scoring", name, body)


def follow(server: ApiServer, watched: Watched, steps: list[tuple[str, str, str]]) -> None:
    """Carries out what happens on the server."""
    for action, name, colour in steps:
        if action == "set":
            change(server, name, colour)
        elif action == "delete":
            if server.store.find("configmaps", "scoring", name) is not None:
                server.store.delete("configmaps", "scoring", name)
        elif action == "cut":
            server.cut_watches()
        elif action == "compact":
            server.store.compact()
            server.cut_watches()
        elif action == "busy":
            server.refuse("GET", "/configmaps", 503, "ServiceUnavailable")
            server.cut_watches()
            server.refusals.clear()
        else:
            threading.Event().wait(0.002)


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(steps=st.lists(STEPS, max_size=25), labels=st.sampled_from(["", "colour=green"]))
def test_any_interleaving_ends_in_what_a_list_shows(
    server: ApiServer, api: Api, steps: list[tuple[str, str, str]], labels: str
) -> None:
    changed = threading.Event()
    watched = Watched(api, CONFIG_MAP, "scoring", changed.set, labels=labels, watch_s=1)
    watched.start()
    try:
        follow(server, watched, steps)
        deadline = time.monotonic() + 10
        while True:
            changed.clear()
            wanted, _ = api.list_all(CONFIG_MAP, "scoring", labels=labels)
            if watched.is_listed and watched.objects == wanted:
                break
            assert time.monotonic() < deadline, (watched.objects, wanted)
            changed.wait(0.05)
        assert watched.error is None
    finally:
        watched.stop()


def test_a_watch_goes_on_after_its_end_without_a_new_list(server: ApiServer, api: Api) -> None:
    changed = threading.Event()
    watched = Watched(api, CONFIG_MAP, "scoring", changed.set, watch_s=1)
    watched.start()
    try:
        deadline = time.monotonic() + 10
        while server.wrote("GET", "watch=true") < 3:
            assert time.monotonic() < deadline
            changed.wait(0.05)
        change(server, "late", "blue")
        while not watched.objects:
            assert time.monotonic() < deadline
            changed.wait(0.05)
        lists = server.wrote("GET", "/configmaps") - server.wrote("GET", "watch=true")
        assert lists == 1
    finally:
        watched.stop()


def test_what_is_too_old_is_listed_again(server: ApiServer, api: Api) -> None:
    changed = threading.Event()
    watched = Watched(api, CONFIG_MAP, "scoring", changed.set, watch_s=60)
    watched.start()
    try:
        deadline = time.monotonic() + 10
        while not watched.is_listed:
            changed.wait(0.05)
        change(server, "a", "blue")
        change(server, "b", "blue")
        server.store.compact()
        server.cut_watches()
        while [each["metadata"]["name"] for each in watched.objects] != ["a", "b"]:
            assert time.monotonic() < deadline
            changed.wait(0.05)
    finally:
        watched.stop()


@pytest.mark.parametrize(("status", "kind"), [(403, Forbidden), (401, Unauthorized)])
def test_a_refusal_ends_the_watch_and_is_kept(
    server: ApiServer, api: Api, status: int, kind: type[Exception]
) -> None:
    server.refuse("GET", "/configmaps", status, "No")
    changed = threading.Event()
    watched = Watched(api, CONFIG_MAP, "scoring", changed.set)
    watched.start()
    assert changed.wait(10)
    watched.stop()
    assert isinstance(watched.error, kind)


def test_a_wrong_token_is_unauthorized(server: ApiServer, tmp_path: Path) -> None:
    api = connect(str(server.kubeconfig(tmp_path / "wrong", token="another")))
    with pytest.raises(Unauthorized):
        api.list_all(CONFIG_MAP, "scoring")
    api.close()
