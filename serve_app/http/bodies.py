"""Reading bodies within their limits: refused by their declared length, or while they come."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass

from python_multipart.exceptions import FormParserError
from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message, Receive

from serve_app.errors import BodyTooLarge, InvalidMultipart, MissingField, OutOfRange, UnknownField

MOST_PARTS = 64


@dataclass(frozen=True, slots=True)
class Upload:
    """One file of a multipart body."""

    field: str
    filename: str
    data: bytes


async def read_body(request: Request, limit_bytes: int) -> bytes:
    """The whole body.

    Raises:
        BodyTooLarge: it is declared, or comes, larger than the limit.
        ClientDisconnect: the client left before its end.
    """
    refuse_declared(request, limit_bytes)
    receive = request.receive
    message = await receive()
    body = _chunk(message)
    if not message.get("more_body", False):
        return _within(body, limit_bytes)
    chunks, size = [body], len(body)
    while message.get("more_body", False):
        message = await receive()
        chunks.append(_chunk(message))
        size += len(chunks[-1])
        if size > limit_bytes:
            raise _too_large(limit_bytes)
    return b"".join(chunks)


async def read_uploads(request: Request, limit_bytes: int) -> Sequence[Upload]:
    """The files of a multipart body, in order.

    Raises:
        BodyTooLarge: the body is over the limit.
        InvalidMultipart: it does not parse.
        UnknownField: a part is no file.
        MissingField: there is no file.
        OutOfRange: there are more than 64 parts.
    """
    refuse_declared(request, limit_bytes)
    limited = Request(request.scope, _limited(request.receive, limit_bytes))
    parser = _CompleteParser(request.headers, limited.stream())
    try:
        form = await parser.parse()
    except MultiPartException as error:
        if error.message.startswith("Too many"):
            raise OutOfRange(f"a body may have {MOST_PARTS} files") from None
        raise InvalidMultipart(error.message) from None
    except (FormParserError, KeyError, UnicodeDecodeError, LookupError) as error:
        raise InvalidMultipart(f"the body does not parse ({type(error).__name__})") from None
    try:
        uploads = [await _upload(field, value) for field, value in form.multi_items()]
    finally:
        await form.close()
    if not uploads:
        raise MissingField("the body has no file")
    return uploads


def refuse_declared(request: Request, limit_bytes: int) -> None:
    """Refuses a body by its Content-Length before a byte of it is read."""
    declared = request.headers.get("content-length")
    if declared is not None and int(declared) > limit_bytes:
        raise _too_large(limit_bytes)


class _CompleteParser(MultiPartParser):
    """Insists on the closing boundary: Starlette takes a body that was cut for a whole one."""

    def __init__(self, headers: Headers, stream: AsyncGenerator[bytes, None]):
        super().__init__(headers, self._whole(stream), max_files=MOST_PARTS, max_fields=MOST_PARTS)
        self._ended = False

    def on_end(self) -> None:
        self._ended = True

    async def _whole(self, stream: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        async for chunk in stream:
            yield chunk
        # Raised in here, the parser closes its temporary files.
        if not self._ended:
            raise InvalidMultipart("the body ends before its last boundary")


async def _upload(field: str, value: UploadFile | str) -> Upload:
    if isinstance(value, str):
        raise UnknownField("every part must be a file (with a filename)", field=field)
    return Upload(field, value.filename or "", await value.read())


def _limited(receive: Receive, limit_bytes: int) -> Receive:
    size = 0

    async def limited() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > limit_bytes:
            raise _too_large(limit_bytes)
        return message

    return limited


def _chunk(message: Message) -> bytes:
    if message["type"] == "http.disconnect":
        raise ClientDisconnect
    chunk: bytes = message.get("body", b"")
    return chunk


def _within(body: bytes, limit_bytes: int) -> bytes:
    if len(body) > limit_bytes:
        raise _too_large(limit_bytes)
    return body


def _too_large(limit_bytes: int) -> BodyTooLarge:
    return BodyTooLarge(f"the body may have {limit_bytes:,} bytes")
