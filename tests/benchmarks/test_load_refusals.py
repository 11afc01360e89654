"""What a closed loop makes of a server that refuses."""

import asyncio

from tests.benchmarks.test_load import OK, answering, read_request, run, serving


def refused(seconds: int) -> bytes:
    head = f"HTTP/1.1 429 Too Many Requests\r\nRetry-After: {seconds}\r\nContent-Length: 2\r\n\r\n"
    return head.encode() + b"no"


def test_refusals_are_counted_apart_and_are_no_errors() -> None:
    with serving(answering(refused(0))) as port:
        result = run(port, connections=2)
    assert (result.answered, result.errors) == (0, 0)
    assert result.refused > 2


def test_a_refused_connection_waits_as_long_as_it_is_told() -> None:
    with serving(answering(refused(1))) as port:
        result = run(port, connections=2)
    assert result.errors == 0
    assert result.refused <= 2


def test_a_refused_connection_tries_again() -> None:
    async def every_other(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            for answer in (refused(0), OK):
                await read_request(reader)
                writer.write(answer)

    with serving(every_other) as port:
        result = run(port, connections=2)
    assert result.errors == 0
    assert result.answered > 0
    assert result.refused > 0
