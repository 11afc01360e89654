"""`scoring image classify --url` against real servers on this machine."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from serve_app.cli import main
from serve_app.cli.image_files import Outcome
from serve_app.cli.image_remote import IN_FLIGHT, Service, ServiceError
from serve_app.configuration import API_KEY

Answer = tuple[int, dict[str, str], bytes]
Answering = Callable[[dict[str, str], bytes], Answer]


def predictions(label: str) -> Answer:
    body = {"predictions": [{"class_index": 1, "label": label, "probability": 0.5}]}
    return 200, {"content-type": "application/json"}, json.dumps(body).encode()


def problem(status: int, code: str, **headers: str) -> Answer:
    body = {"status": status, "code": code, "title": code, "detail": f"this is {code}"}
    kind = {"content-type": "application/problem+json"}
    return (
        status,
        kind | {k.replace("_", "-"): v for k, v in headers.items()},
        json.dumps(body).encode(),
    )


@contextmanager
def serving(answering: Answering) -> Iterator[str]:
    """The address of a server that answers each picture as it is told."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, fields, content = answering({**headers, ":path": self.path}, body)
            self.send_response(status)
            for name, value in {**fields, "content-length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its declared name
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 64

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{number:03}.png" for number in range(3 * IN_FLIGHT)]
    for path in paths:
        path.write_text(f"picture {path.stem}")
    return paths


async def asked(url: str, files: list[Path], **options: Any) -> list[Outcome]:
    found: list[Outcome] = []
    await Service(url, top_k=2, **options).classify(files, found.append)
    return found


async def test_answers_keep_their_order_and_requests_overlap(files: list[Path]) -> None:
    together = threading.Barrier(4)

    def answering(headers: dict[str, str], body: bytes) -> Answer:
        together.wait(timeout=30)
        return predictions(body.decode())

    with serving(answering) as url:
        found = await asked(url, files)
    assert [outcome.file for outcome in found] == files
    assert [item.predictions[0]["label"] for item in found] == [
        f"picture {file.stem}" for file in files
    ]


async def test_what_is_sent(files: list[Path]) -> None:
    seen: list[dict[str, str]] = []

    def answering(headers: dict[str, str], body: bytes) -> Answer:
        seen.append(headers)
        return predictions("tench")

    with serving(answering) as url:
        await asked(f"{url}/below/", files[:1], key="secret")
        await asked(url, files[:1])
    assert seen[0][":path"] == "/below/v1/images/classify?top_k=2"
    assert seen[0]["authorization"] == "Bearer secret"
    assert seen[0]["content-type"] == "application/octet-stream"
    assert "authorization" not in seen[1]


@pytest.mark.parametrize("retry_after", ["0", formatdate(0, usegmt=True), "soon"])
async def test_an_overloaded_service_is_asked_again(retry_after: str, files: list[Path]) -> None:
    calls: list[bytes] = []

    def answering(headers: dict[str, str], body: bytes) -> Answer:
        calls.append(body)
        if len(calls) < 3:
            return problem(429, "overloaded", retry_after=retry_after)
        return predictions("tench")

    with serving(answering) as url:
        (outcome,) = await asked(url, files[:1])
    assert outcome.problem is None
    assert len(calls) == 3


async def test_patience_ends(files: list[Path]) -> None:
    with serving(lambda headers, body: problem(429, "overloaded", retry_after="9")) as url:
        (outcome,) = await asked(url, files[:1], patience_s=5.0)
    assert outcome.problem is not None
    assert outcome.problem["code"] == "overloaded"


async def test_a_bad_file_does_not_touch_its_neighbours(files: list[Path]) -> None:
    files[1].unlink()

    def answering(headers: dict[str, str], body: bytes) -> Answer:
        return problem(422, "not_an_image") if body == b"picture 002" else predictions("tench")

    with serving(answering) as url:
        found = await asked(url, files[:4])
    codes = [outcome.problem and outcome.problem["code"] for outcome in found]
    assert codes == [None, "file_unreadable", "not_an_image", None]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ((200, {"content-type": "text/html"}, b"<html>"), "answered 200 with text/html"),
        ((200, {"content-type": "application/json"}, b'{"predictions": []}'), "application/json"),
        ((200, {"content-type": "application/json"}, b'{"predictions": [1]}'), "not as this"),
        ((502, {}, b""), "answered 502 with no content type"),
        ((307, {"location": "/elsewhere"}, b""), "answered 307"),
        (problem(401, "key_missing"), "key_missing: this is key_missing"),
        (problem(404, "not_found"), "not_found"),
        (problem(503, "model_unavailable"), "model_unavailable"),
    ],
)
async def test_what_holds_for_every_picture_ends_it(
    answer: Answer, reason: str, files: list[Path]
) -> None:
    with (
        serving(lambda headers, body: answer) as url,
        pytest.raises(ServiceError, match=reason),
    ):
        await asked(url, files)


async def test_no_server(files: list[Path]) -> None:
    with pytest.raises(ServiceError, match="cannot be reached"):
        await asked("http://127.0.0.1:9", files)


@pytest.mark.parametrize("url", ["ftp://host", "host:80", "http://", "http://host:port", ""])
def test_no_address(url: str) -> None:
    with pytest.raises(ServiceError, match="is no address"):
        Service(url, top_k=1)


def test_the_command(
    files: list[Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(API_KEY, "secret")

    def answering(headers: dict[str, str], body: bytes) -> Answer:
        assert headers["authorization"] == "Bearer secret"
        return problem(422, "not_an_image") if body == b"picture 001" else predictions("tench")

    with serving(answering) as url:
        assert main(["image", "classify", "--url", url, "--json", *map(str, files[:2])]) == 1
        first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
        assert first["predictions"][0]["label"] == "tench"
        assert second["problem"]["code"] == "not_an_image"
    assert main(["image", "classify", "--url", url, str(files[0])]) == 1
    assert "cannot be reached" in capsys.readouterr().err
