"""The description held against the service by schemathesis, and bodies that are hostile by hand.

schemathesis takes every operation through its examples, the edges of every schema (also methods
that a path does not take) and random requests, good and bad.
"""

import itertools
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from serve_app.edge import Edge
from serve_app.http.openapi import openapi
from tests.serve_app.fakes import Application
from tests.serve_app.server import served

SEED = 5
REQUESTS = 150
"""Random requests for an operation."""

CONFIGURATION = """
# A client may ask for a millisecond, and gets the 504 that the description names.
[checks.not_a_server_error]
expected-statuses = ["2xx", "3xx", "4xx", 504]

[checks.positive_data_acceptance]
expected-statuses = ["2xx", 401, 403, 429, 504]

# No schema says which bytes are a picture, which data agree with their shape and type, and which
# version serves.
[[operations]]
include-path-regex = "/images?/|/v2/"
checks.positive_data_acceptance.enabled = false

# A request with a header that nobody knows is taken for a bad one.
[[operations]]
include-path-regex = "/v2/.*/infer"
checks.negative_data_rejection.enabled = false
"""


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The face around the fakes, behind its edge, in a real server."""
    application = Application(tmp_path_factory.mktemp("fuzz"))
    with served(Edge(application.face)) as url:
        yield url


def test_no_answer_is_outside_the_description(url: str, tmp_path: Path) -> None:
    configuration = tmp_path / "schemathesis.toml"
    configuration.write_text(CONFIGURATION)
    program = [sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()"]
    settings = [f"--config-file={configuration}", "run", f"{url}/openapi.json"]
    limits = [f"--seed={SEED}", f"--max-examples={REQUESTS}", "--continue-on-failure"]
    ended = subprocess.run(
        [*program, *settings, *limits], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    operations = sum(len(item) for item in openapi()["paths"].values())
    assert f"Tested: {operations}\n" in ended.stdout


BODIES = {
    "nothing": b"",
    "NUL": b"\0",
    "NUL in a string": b'{"question": "a\\u0000b"}',
    "raw NUL in a string": b'{"question": "a\0b"}',
    "no UTF-8": b'{"question": "\xff\xfe"}',
    "UTF-16": '{"question": "q"}'.encode("utf-16"),
    "half a surrogate": b'{"question": "\\ud800"}',
    "deep arrays": b"[" * 100_000,
    "deep objects": b'{"question":' * 10_000,
    "huge integer": b'{"question": "q", "top_k": ' + b"9" * 10_000 + b"}",
    "huge exponent": b'{"question": "q", "min_probability": 1e999999}',
    "NaN": b'{"question": "q", "min_probability": NaN}',
    "many keys": b"{" + b",".join(b'"k%d":0' % key for key in range(10_000)) + b"}",
    "no object": b'"question"',
    "a byte order mark": b'\xef\xbb\xbf{"question": "q"}',
}
TYPES = (
    "application/json",
    "application/json; charset=utf-7",
    "application/problem+json",
    "image/png",
    "multipart/form-data",
    "multipart/form-data; boundary=",
    "multipart/form-data; boundary=x; charset=none",
    "text/html",
    "\u00e9/\u00e9",
    ";",
    "",
)
ROUTES = ("/v1/faq/rank", "/faq/score", "/v1/images/classify", "/image/score")


@pytest.mark.parametrize("route", ROUTES)
def test_hostile_bodies_are_answered_or_refused(url: str, route: str) -> None:
    with httpx.Client(base_url=url, trust_env=False) as client:
        for (name, body), media in itertools.product(BODIES.items(), TYPES):
            headers = {b"content-type": media.encode("latin-1")}
            answer = client.post(route, content=body, headers=headers)
            assert answer.status_code < 500, (name, media, answer.text)
            if answer.status_code >= 400:
                assert answer.headers["content-type"] == "application/problem+json"
                assert answer.json()["status"] == answer.status_code


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
@pytest.mark.parametrize("path", [*ROUTES, "/v1", "/nothing", "/v1/faq/rank/", "/%00", "/%ff"])
def test_other_methods_are_refused(url: str, path: str, method: str) -> None:
    answer = httpx.request(method, url + path, trust_env=False)
    assert answer.status_code in (404, 405)
    assert answer.headers["content-type"] == "application/problem+json"
