"""Clients that others wrote, unmodified and in processes of their own, against fakes over HTTP."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn

from tests.clients.environments import run
from tests.serve_app.fakes import FAQ, Application
from tests.serve_app.oip.test_http import picture

pytestmark = pytest.mark.timeout(900)

SIZE = "8"


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """Where a real HTTP server serves the face around fakes."""
    config = uvicorn.Config(
        Application(tmp_path).face, lifespan="off", ws="none", log_level="warning"
    )
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        yield f"127.0.0.1:{listening.getsockname()[1]}"
        server.should_exit = True
        thread.join()


@pytest.fixture
def paths(tmp_path: Path) -> list[str]:
    """Two pictures, whose colour the fake names."""
    files = [tmp_path / f"{red}.png" for red in (3, 9)]
    for file in files:
        file.write_bytes(picture(int(file.stem)))
    return [str(file) for file in files]


def test_tritonclient(address: str, paths: list[str]) -> None:
    report = run("tritonclient", "triton.py", "http", address, SIZE, *paths)
    assert report["live"]
    assert report["ready"]
    assert report["models"] == {"faq": True, "image": True}
    assert report["server"] == "realtime-scoring"
    assert report["inputs"] == ["question"]
    asked = report["questions"]
    assert asked["head"]["id"] == "mine"
    assert asked["head"]["model_version"] == FAQ.version
    assert asked["head"]["parameters"]["digest"] == FAQ.digest
    assert asked["id"]["data"] == ["Q0", "Q1"] * 2
    assert asked["question"]["data"] == ["what is a closure"] * 2 + ["how do I copy an array"] * 2
    assert asked["probability"] == {
        "shape": [2, 2],
        "type": "float32",
        "data": pytest.approx([0.9, 0.45] * 2),
    }
    assert report["json"]["question"]["data"] == asked["question"]["data"]
    assert set(report["some"]) == {"head", "probability"}
    assert report["pictures"]["class_index"]["data"] == [3, 4, 5, 9, 10, 11]
    assert report["pixels"]["label"]["data"] == ["class 128"] * 2
    refused = report["refused"]
    assert {name: refusal["status"] for name, refusal in refused.items()} == {
        **dict.fromkeys(("top_k", "name", "picture", "size"), "422"),
        **dict.fromkeys(("model", "version"), "404"),
    }
    assert refused["size"]["message"].startswith("image[0]: decoded pictures must be 8 x 8")


def test_kserve(address: str, paths: list[str]) -> None:
    report = run("kserve", "kserve_both.py", "http", f"http://{address}", SIZE, paths[1])
    assert report["checks"] == [True] * 4
    for binary in (True, False):
        asked = report[f"questions {binary}"]
        assert asked["id"] == {"shape": [2, 2], "data": ["Q0", "Q1"] * 2}
    assert report["pixels"]["class_index"]["data"][0] == 128
    assert report["picture"]["label"]["data"] == ["class 9", "class 10", "class 11"]
    assert "image has no input 'text'" in report["refused"]
