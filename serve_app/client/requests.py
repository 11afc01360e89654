"""What each method sends and how its answer is read; nothing here touches the network."""

import errno
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

import httpx
import msgspec

from serve_app.client import answers
from serve_app.client.results import Classification, Ranking, Readiness, RefusedPicture

T = TypeVar("T")

Picture = bytes | Path
"""A picture's encoded bytes, or the file that holds them."""

_CHUNK_BYTES = 1 << 16


@dataclass(frozen=True)
class Call(Generic[T]):
    """One method's request, which can be built again for each attempt, and its reading."""

    method: str
    path: str
    read: Callable[[bytes], T]
    build: Callable[[], "Content"]
    params: dict[str, int] = field(default_factory=dict)
    also_read: frozenset[int] = frozenset()
    """Statuses beside 200 whose body is a result and no problem document."""
    from_files: bool = False
    """Whether `build` may wait for a disk."""


@dataclass(frozen=True)
class Content:
    """A body for httpx, in one of the forms that both its clients take."""

    headers: dict[str, str] = field(default_factory=dict)
    content: bytes | None = None
    files: list[tuple[str, tuple[str, bytes, str]]] | None = None
    stream: "FileStream | None" = None


class FileStream(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A file that is read while it is sent, from its start for each attempt."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __iter__(self) -> Iterator[bytes]:
        with self._path.open("rb") as opened:
            while chunk := opened.read(_CHUNK_BYTES):
                yield chunk

    async def __aiter__(self) -> AsyncIterator[bytes]:
        # Blocks of a local file come faster than a thread could be asked for them.
        for chunk in self:
            yield chunk


def rank_one(question: str, top_k: int, min_probability: float) -> Call[Ranking]:
    """`POST /v1/faq/rank` with `question`."""
    body = {"question": question, "top_k": top_k, "min_probability": min_probability}
    return Call("POST", "/v1/faq/rank", answers.ranking, lambda: _json(body))


def rank_many(
    questions: Sequence[str], top_k: int, min_probability: float
) -> Call[tuple[Ranking, ...]]:
    """`POST /v1/faq/rank` with `questions`."""
    body = {"questions": list(questions), "top_k": top_k, "min_probability": min_probability}

    def read(content: bytes) -> tuple[Ranking, ...]:
        return answers.rankings(content, len(questions))

    return Call("POST", "/v1/faq/rank", read, lambda: _json(body))


def classify_one(picture: Picture, top_k: int) -> Call[Classification]:
    """`POST /v1/images/classify` with the picture as it is."""
    return Call(
        "POST",
        "/v1/images/classify",
        answers.classification,
        lambda: _raw(picture),
        {"top_k": top_k},
        from_files=isinstance(picture, Path),
    )


def classify_many(
    pictures: Sequence[Picture], top_k: int
) -> Call[tuple[Classification | RefusedPicture, ...]]:
    """`POST /v1/images/classify` with a file for each picture."""

    def read(content: bytes) -> tuple[Classification | RefusedPicture, ...]:
        return answers.classifications(content, len(pictures))

    return Call("POST", "/v1/images/classify", read, lambda: _multipart(pictures), {"top_k": top_k})


def ready() -> Call[Readiness]:
    """`GET /readyz`, which says 503 while a model loads."""
    return Call("GET", "/readyz", answers.readiness, Content, also_read=frozenset({503}))


def _json(body: object) -> Content:
    return Content({"content-type": "application/json"}, msgspec.json.encode(body))


def _raw(picture: Picture) -> Content:
    headers = {"content-type": "application/octet-stream"}
    if isinstance(picture, bytes):
        return Content(headers, picture)
    if picture.exists() and not picture.is_file():
        raise OSError(errno.EINVAL, "it is no plain file", str(picture))
    size = picture.stat().st_size
    return Content({**headers, "content-length": str(size)}, stream=FileStream(picture))


def _multipart(pictures: Sequence[Picture]) -> Content:
    def part(number: int, picture: Picture) -> tuple[str, tuple[str, bytes, str]]:
        data = picture if isinstance(picture, bytes) else picture.read_bytes()
        return "image", (f"{number}", data, "application/octet-stream")

    return Content(files=[part(number, picture) for number, picture in enumerate(pictures)])
