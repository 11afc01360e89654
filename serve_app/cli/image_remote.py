"""Has pictures classified by a running service over HTTP."""

import asyncio
import errno
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from serve_app.cli.image_files import Outcome, failed, unreadable
from serve_app.client.endpoint import checked
from serve_app.client.retry_after import retry_after_s

IN_FLIGHT = 16
"""Requests at a time: enough to fill the service's batches."""
PATIENCE_S = 120.0
"""How long one picture is sent again and again to a service that is overloaded."""
LONGEST_WAIT_S = 30.0
SHORTEST_WAIT_S = 0.2
TIMEOUT = httpx.Timeout(60.0, connect=10.0)

_CHUNK_BYTES = 1 << 16
_OF_THE_SERVICE = {401, 403, 404, 405}
_WITHOUT_MODEL = {"model_unavailable", "model_loading"}


class ServiceError(Exception):
    """The service cannot be asked for any picture; the message says why."""


class Service:
    """`POST /v1/images/classify` below an address, asked for one picture a request."""

    def __init__(
        self, url: str, *, top_k: int, key: str | None = None, patience_s: float = PATIENCE_S
    ) -> None:
        """`key` is sent as a bearer token (RFC 6750). Raises ServiceError for a wrong address."""
        try:
            self._url = f"{checked(url)}/v1/images/classify"
        except ValueError as error:
            raise ServiceError(str(error)) from error
        self._top_k = top_k
        self._headers = {"content-type": "application/octet-stream"}
        if key:
            self._headers["authorization"] = f"Bearer {key}"
        self._patience_s = patience_s

    async def classify(self, files: Iterable[Path], emit: Callable[[Outcome], None]) -> None:
        """Calls `emit` with one outcome a file, in order; several requests are under way.

        Raises:
            ServiceError: the service cannot be reached, has no model, wants a key, or is no such
                service
        """
        waiting: deque[asyncio.Task[Outcome]] = deque()
        limits = httpx.Limits(max_connections=IN_FLIGHT)
        async with httpx.AsyncClient(
            headers=self._headers, timeout=TIMEOUT, limits=limits
        ) as client:
            try:
                for file in files:
                    waiting.append(asyncio.create_task(self._ask(client, file)))
                    if len(waiting) >= IN_FLIGHT:
                        emit(await waiting.popleft())
                while waiting:
                    emit(await waiting.popleft())
            finally:
                for task in waiting:
                    task.cancel()
                await asyncio.gather(*waiting, return_exceptions=True)

    async def _ask(self, client: httpx.AsyncClient, file: Path) -> Outcome:
        """Sends a picture again while the service is overloaded and there is patience left."""
        loop = asyncio.get_running_loop()
        give_up = loop.time() + self._patience_s
        while True:
            try:
                answer = await self._send(client, file)
            except OSError as error:
                return unreadable(file, error)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                raise ServiceError(f"{self._url} cannot be reached: {error}") from error
            except httpx.TransportError as error:
                detail = f"{type(error).__name__}: {error}".removesuffix(": ")
                return failed(file, "no_answer", "The service did not answer", detail)
            wait_s = _wait_s(answer)
            if wait_s is None or loop.time() + wait_s > give_up:
                return self._outcome(file, answer)
            await asyncio.sleep(wait_s)

    async def _send(self, client: httpx.AsyncClient, file: Path) -> httpx.Response:
        size = await asyncio.to_thread(_size, file)
        return await client.post(
            self._url,
            params={"top_k": self._top_k},
            content=_chunks(file),
            headers={"content-length": str(size)},
        )

    def _outcome(self, file: Path, answer: httpx.Response) -> Outcome:
        content = _json(answer)
        if answer.is_success and _are_predictions(content.get("predictions")):
            return Outcome(file, content["predictions"])
        code = content.get("code")
        if not isinstance(code, str):
            kind = answer.headers.get("content-type", "no content type")
            raise ServiceError(
                f"{self._url} answered {answer.status_code} with {kind}, not as this service does"
            )
        if answer.status_code in _OF_THE_SERVICE or code in _WITHOUT_MODEL:
            raise ServiceError(f"{self._url}: {code}: {content.get('detail')}")
        return Outcome(file, problem=content)


def _size(file: Path) -> int:
    if file.exists() and not file.is_file():
        raise OSError(errno.EINVAL, "it is no plain file")
    return file.stat().st_size


async def _chunks(file: Path) -> AsyncIterator[bytes]:
    """A file is read while it is sent: it may be larger than memory."""
    with file.open("rb") as opened:
        while chunk := await asyncio.to_thread(opened.read, _CHUNK_BYTES):
            yield chunk


def _wait_s(answer: httpx.Response) -> float | None:
    """How long to wait before the same is sent again; None where that would not help."""
    if answer.status_code != httpx.codes.TOO_MANY_REQUESTS:
        return None
    wait_s = retry_after_s(answer.headers.get("retry-after", ""), datetime.now(UTC))
    return min(max(wait_s, SHORTEST_WAIT_S), LONGEST_WAIT_S)


def _json(answer: httpx.Response) -> dict[str, Any]:
    try:
        content = answer.json()
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _are_predictions(found: Any) -> bool:
    return (
        bool(found)
        and isinstance(found, list)
        and all(
            isinstance(item, dict)
            and isinstance(item.get("label"), str)
            and isinstance(item.get("probability"), int | float)
            for item in found
        )
    )
