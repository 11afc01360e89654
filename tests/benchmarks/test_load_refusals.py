"""What a closed loop makes of a server that refuses."""

import asyncio

from tests.benchmarks.test_load import OK, answering, read_request, run, serving
from tests.benchmarks.test_open_loop import REFUSED


def test_refusals_are_counted_apart_and_are_no_errors() -> None:
    with serving(answering(REFUSED)) as port:
        result = run(port, connections=2)
    assert (result.answered, result.errors) == (0, 0)
    # A pause of 50 ms after each, so that two connections see about 12 in 0.3 s.
    assert 2 <= result.refused <= 16


def test_a_refused_connection_tries_again() -> None:
    async def every_other(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            for answer in (REFUSED, OK):
                await read_request(reader)
                writer.write(answer)

    with serving(every_other) as port:
        result = run(port, connections=2)
    assert result.errors == 0
    assert result.answered > 0
    assert result.refused > 0
