"""Against a real server on this machine: nothing here needs the internet."""

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from deployments.image.config import WeightsError
from deployments.image.pytorch.download import WeightsUnavailable, download_weights, fetch

CONTENT = b"weights" * 100_000
GOOD = f"good-{hashlib.sha256(CONTENT).hexdigest()[:8]}.pth"
PUBLISHED = "resnet152-f82ba261.pth"


class _Files(BaseHTTPRequestHandler):
    """`/good/...` answers, `/cut/...` breaks off in the middle, all else is not found."""

    def do_GET(self) -> None:
        folder = self.path.split("/")[1]
        if folder not in ("good", "cut"):
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT if folder == "good" else CONTENT[: len(CONTENT) // 2])

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its declared name
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Files) as files:
        thread = threading.Thread(target=files.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{files.server_port}"
        files.shutdown()
        thread.join()


def test_a_good_file_arrives_whole(
    server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fetch(f"{server}/good/{GOOD}", tmp_path / "new" / GOOD, progress=True)
    assert (tmp_path / "new" / GOOD).read_bytes() == CONTENT
    assert [path.name for path in (tmp_path / "new").iterdir()] == [GOOD]
    assert "100%" in capsys.readouterr().err


def test_progress_can_be_silent(
    server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fetch(f"{server}/good/{GOOD}", tmp_path / GOOD, progress=False)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("folder", "reason"),
    [("good", "sha256 begins with"), ("cut", "incomplete|without sending"), ("none", "404")],
)
def test_failures_say_what_to_do_and_leave_nothing(
    server: str, tmp_path: Path, folder: str, reason: str
) -> None:
    with pytest.raises(WeightsUnavailable, match=reason) as caught:
        download_weights("resnet152", tmp_path, progress=False, base_url=f"{server}/{folder}/")
    assert f"image.weights=/path/to/{PUBLISHED}" in str(caught.value)
    assert "IMAGENET1K_V2" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_no_server(tmp_path: Path) -> None:
    with pytest.raises(WeightsUnavailable, match="could not be downloaded") as caught:
        download_weights("resnet152", tmp_path, base_url="http://127.0.0.1:9", progress=False)
    assert isinstance(caught.value.__cause__, httpx.ConnectError)


def test_a_failure_keeps_the_file_that_was_there(server: str, tmp_path: Path) -> None:
    (tmp_path / GOOD).write_bytes(b"old")
    with pytest.raises(httpx.HTTPError):
        fetch(f"{server}/cut/{GOOD}", tmp_path / GOOD, progress=False)
    assert (tmp_path / GOOD).read_bytes() == b"old"


def test_a_damaged_file_is_fetched_again(server: str, tmp_path: Path) -> None:
    (tmp_path / PUBLISHED).write_bytes(b"half a download")
    with pytest.raises(WeightsUnavailable, match="404"):
        download_weights("resnet152", tmp_path, progress=False, base_url=f"{server}/none")


def test_unknown_architecture(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="did you mean resnet152"):
        download_weights("resnet_152", tmp_path)
