"""What reaches the decoders and the classifier, and what does not: every call is counted."""

import asyncio
import threading
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from deployments.contracts import Picture, Refusal
from deployments.image.decoding import ImageLimits, Preprocessing
from deployments.telemetry import Metrics
from serve_app.errors import DeadlinePassed, InternalError, Overloaded
from serve_app.image_gateway import Classified, ImageGateway
from serve_app.settings import ImageSettings
from tests.serve_app.fakes import PREPROCESSING, FakeImage

SOON_S, NEVER_S = 0.05, 30.0


class Decoder:
    """Makes pixels of the file's first byte; waits at a gate where there is one."""

    def __init__(self) -> None:
        self.decoded: list[int] = []
        self.scaled: list[bool] = []
        self.gate = threading.Event()
        self.gate.set()

    def __call__(
        self, data: bytes, preprocessing: Preprocessing, limits: ImageLimits, scale_jpeg: bool
    ) -> NDArray[np.uint8]:
        self.decoded.append(data[0])
        self.scaled.append(scale_jpeg)
        assert self.gate.wait(NEVER_S)
        return np.full((8, 8, 3), data[0], np.uint8)


class Served:
    """A gateway in front of fakes; each replica takes on two pictures unless said otherwise."""

    def __init__(self, settings: ImageSettings | None = None) -> None:
        self.backend = FakeImage()
        self.decoder = Decoder()
        self.gateway = ImageGateway(
            self.backend,
            PREPROCESSING,
            settings or ImageSettings(max_batch_size=1, max_queue=1, decode_threads=1),
            Metrics(),
            self.decoder,
        )

    def ask(self, *files: int, within_s: float = NEVER_S) -> "asyncio.Task[list[int | str]]":
        """The class of each file, or the code of its error."""

        async def classify() -> list[int | str]:
            deadline = asyncio.get_running_loop().time() + within_s
            results = await self.gateway.classify([bytes([file]) for file in files], 1, deadline)
            return [
                int(result.predictions.split(b":")[1].split(b",")[0])
                if isinstance(result, Classified)
                else result.code
                for result in results
            ]

        return asyncio.create_task(classify())

    @property
    def called(self) -> list[int]:
        """The pictures that reached the classifier."""
        return [int(item.pixels[0, 0, 0]) for call in self.backend.calls for item in call]


@pytest.fixture
def served() -> Served:
    return Served()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(NEVER_S):
        while not condition():
            await asyncio.sleep(0.001)


async def test_portions_are_no_larger_than_what_a_replica_takes_on(served: Served) -> None:
    files = list(range(64))
    assert await served.ask(*files) == files
    assert all(len(call) <= 2 for call in served.backend.calls)
    assert served.gateway.held == 0


async def test_replicas_make_room(served: Served) -> None:
    served.gateway.set_replicas(3, [4, 5, 4])
    served.backend.gate = asyncio.Event()
    tasks = [served.ask(file) for file in range(13)]
    await until(lambda: served.gateway.held == 12)
    with pytest.raises(Overloaded):
        await tasks[12]
    served.backend.gate.set()
    assert await asyncio.gather(*tasks[:12]) == [[file] for file in range(12)]


async def test_without_a_replica_the_room_of_one_remains(served: Served) -> None:
    served.gateway.set_replicas(2, [4, 4])
    served.gateway.set_replicas(0, [])
    assert await served.ask(*range(9)) == list(range(9))
    assert max(map(len, served.backend.calls)) <= 4


async def test_an_overloaded_service_decodes_nothing(served: Served) -> None:
    served.backend.gate = asyncio.Event()
    held = [served.ask(1), served.ask(2)]
    await until(lambda: len(served.called) == 2)
    for files in ((3,), (4, 5, 6)):
        with pytest.raises(Overloaded) as refused:
            await served.ask(*files)
        assert refused.value.retry_after_s == 1
    served.backend.gate.set()
    assert await asyncio.gather(*held) == [[1], [2]]
    assert served.decoder.decoded == [1, 2]


async def test_requests_with_many_files_are_answered_whole_or_not_at_all(served: Served) -> None:
    requests = [list(range(start, start + 10)) for start in range(0, 50, 10)]
    ends = await asyncio.gather(
        *(served.ask(*request) for request in requests), return_exceptions=True
    )
    answered = [end for end in ends if not isinstance(end, Overloaded)]
    assert answered == requests[: len(answered)]
    assert len(answered) >= 1
    assert sorted(served.called) == list(range(10 * len(answered)))


async def test_a_file_whose_time_is_up_before_a_thread_is_free_is_not_decoded(
    served: Served,
) -> None:
    served.decoder.gate.clear()
    patient = served.ask(1)
    await until(lambda: served.decoder.decoded == [1])
    assert await served.ask(2, within_s=SOON_S) == [DeadlinePassed.code]
    served.decoder.gate.set()
    assert await patient == [1]
    assert await served.ask(3) == [3]
    assert served.decoder.decoded == [1, 3]
    assert served.called == [1, 3]


async def test_a_file_whose_caller_left_before_a_thread_is_free_is_not_decoded(
    served: Served,
) -> None:
    served.decoder.gate.clear()
    patient, leaving = served.ask(1), served.ask(2)
    await until(lambda: served.gateway.held == 2 and served.decoder.decoded == [1])
    leaving.cancel()
    await until(lambda: served.gateway.held == 1)
    served.decoder.gate.set()
    assert await patient == [1]
    assert await served.ask(3) == [3]
    assert served.decoder.decoded == [1, 3]


async def test_time_that_is_up_already_costs_nothing(served: Served) -> None:
    assert await served.ask(1, 2, within_s=0) == [DeadlinePassed.code] * 2
    assert (served.decoder.decoded, served.called, served.gateway.held) == ([], [], 0)


async def test_a_picture_that_was_decoded_too_late_is_not_sent(served: Served) -> None:
    served.decoder.gate.clear()
    assert await served.ask(1, within_s=SOON_S) == [DeadlinePassed.code]
    served.decoder.gate.set()
    assert await served.ask(2) == [2]
    assert served.called == [2]


async def test_files_still_waiting_for_room_at_the_deadline_are_late(served: Served) -> None:
    served.backend.gate = asyncio.Event()
    assert await served.ask(1, 2, 3, 4, within_s=SOON_S) == [DeadlinePassed.code] * 4
    assert served.called == [1, 2]
    assert served.gateway.held == 0


async def test_a_caller_who_leaves_ends_its_calls(served: Served) -> None:
    served.backend.gate = asyncio.Event()
    leaving = served.ask(1, 2, 3)
    await until(lambda: served.called == [1, 2])
    leaving.cancel()
    await until(lambda: served.gateway.held == 0)
    served.backend.gate = None
    assert await served.ask(4) == [4]
    assert served.called == [1, 2, 4]


async def test_a_failing_call_leaves_no_slot_behind(served: Served) -> None:
    served.backend.error = InternalError("the model failed")
    assert await served.ask(1, 2, 3) == [InternalError.code] * 3
    served.backend.error = KeyError("unforeseen")
    with pytest.raises(ExceptionGroup):
        await served.ask(4, 5, 6)
    assert served.gateway.held == 0


async def test_refusals_of_a_replica_stay_with_their_pictures(served: Served) -> None:
    reasons = {1: "overloaded", 2: "deadline_passed", 3: "out_of_memory", 4: "failed"}

    def refuse(picture: Picture) -> Refusal | None:
        reason = reasons.get(int(picture.pixels[0, 0, 0]))
        return Refusal(reason, 2) if reason else None

    served.backend.refuse = refuse
    codes = ["overloaded", "deadline_passed", "out_of_memory", "internal_error"]
    assert await served.ask(0, 1, 2, 3, 4, 5) == [0, *codes, 5]


@pytest.mark.parametrize(("jpeg", "scaled"), [("exact", False), ("scaled", True)])
async def test_the_setting_says_how_jpegs_are_decoded(jpeg: str, scaled: bool) -> None:
    served = Served(ImageSettings.model_validate({"jpeg": jpeg}))
    await served.ask(1)
    assert served.decoder.scaled == [scaled]
