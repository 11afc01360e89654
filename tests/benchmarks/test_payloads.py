"""Requests in each server's form, and what passes for a right answer."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.payloads import is_class, is_ranking, pictures, questions
from benchmarks.servers import Form, Server
from deployments.faq.ranker import Match, Ranking

RANKING = Ranking(
    (
        Match("Q1", "A1", "first?", None, 0.9),
        Match("Q2", "A2", "second?", "yes", 0.2),
    ),
    matched=True,
)
ANSWER: dict[str, Any] = {
    "matches": [{"id": "Q1", "probability": 0.9}, {"id": "Q2", "probability": 0.20001}]
}


def in_form(form: Form, answer: Any) -> bytes:
    if form == "list":
        return json.dumps([answer]).encode()
    if form == "tensor":
        return json.dumps({"outputs": [{"data": [json.dumps(answer)]}]}).encode()
    return json.dumps(answer).encode()


@pytest.mark.parametrize("form", ["question", "list", "tensor"])
def test_the_right_ranking_passes_in_every_form(form: Form) -> None:
    assert is_ranking(form, in_form(form, ANSWER), RANKING)


@pytest.mark.parametrize(
    "answer",
    [
        {"matches": list(reversed(ANSWER["matches"]))},
        {"matches": ANSWER["matches"][:1]},
        {"matches": [{"id": "Q1", "probability": 0.8}, ANSWER["matches"][1]]},
        {"matches": [{"id": "Q9", "probability": 0.9}, ANSWER["matches"][1]]},
        {"matches": []},
        {"matches": None},
        {"error": "overloaded"},
        [],
        None,
    ],
)
def test_another_ranking_or_none_does_not_pass(answer: Any) -> None:
    assert not is_ranking("question", json.dumps(answer).encode(), RANKING)


def test_what_is_no_json_does_not_pass() -> None:
    assert not is_ranking("question", b"<html>", RANKING)
    assert not is_class("picture", b"", 1)


def test_each_question_is_checked_against_its_own_answer() -> None:
    server = Server("peer", "peer", (), "/rank", "/ready")
    other = Ranking(RANKING.matches[::-1], matched=False)
    payloads = questions(server, ["one", "two"], [RANKING, other])
    assert payloads.requests[1].startswith(b"POST /rank HTTP/1.1\r\n")
    assert payloads.requests[1].endswith(b'{"question": "two"}')
    assert payloads.check(0, in_form("question", ANSWER))
    assert not payloads.check(1, in_form("question", ANSWER))


def test_pictures_travel_as_they_are_or_as_base64(tmp_path: Path) -> None:
    file = tmp_path / "picture.png"
    file.write_bytes(b"\x00\xffpixels")
    raw = Server("own", "own", (), "/classify", "/ready", form="picture")
    text = Server("peer", "peer", (), "/predict", "/ready", form="base64")
    sent = pictures(raw, [file], [7])
    assert sent.requests[0].endswith(b"\r\n\r\n\x00\xffpixels")
    assert sent.check(0, b'{"predictions": [{"class_index": 7}]}')
    assert not sent.check(0, b'{"predictions": [{"class_index": 8}]}')
    wrapped = pictures(text, [file], [7])
    body = json.loads(wrapped.requests[0].partition(b"\r\n\r\n")[2])
    assert base64.b64decode(body["image_data"]) == b"\x00\xffpixels"
    assert wrapped.check(0, b'{"output": 7}')
    assert not wrapped.check(0, b'{"output": 8}')
