"""FAQs as bytes in two arrays, so that a million of them are memory-mapped and read one by one."""

from collections.abc import Iterator, Sequence
from typing import overload

import msgspec
import numpy as np
import orjson
from numpy.typing import NDArray

from deployments.faq.corpus import Faq

_decode = msgspec.json.Decoder(tuple[str, str, str, str | None]).decode


class StoredFaqs(Sequence[Faq]):
    """FAQ i is a JSON array (id, answer_id, question, answer) at `data[starts[i]:starts[i + 1]]`.

    `data` is uint8, `starts` int64. To read one that is anything else raises msgspec.DecodeError.
    """

    def __init__(self, data: NDArray[np.uint8], starts: NDArray[np.int64]) -> None:
        self.data, self.starts = data, starts

    @classmethod
    def pack(cls, faqs: Sequence[Faq]) -> "StoredFaqs":
        """The same FAQs in this form."""
        if isinstance(faqs, cls):
            return faqs
        encoded = [orjson.dumps((faq.id, faq.answer_id, faq.question, faq.answer)) for faq in faqs]
        sizes = np.fromiter(map(len, encoded), np.int64, len(encoded))
        starts = np.concatenate([np.zeros(1, np.int64), sizes.cumsum()])
        return cls(np.frombuffer(b"".join(encoded), np.uint8), starts)

    @property
    def largest_bytes(self) -> int:
        """The size of the largest one."""
        return int(np.diff(self.starts).max(initial=0))

    def __len__(self) -> int:
        return len(self.starts) - 1

    @overload
    def __getitem__(self, index: int) -> Faq: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Faq]: ...
    def __getitem__(self, index: int | slice) -> Faq | Sequence[Faq]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(f"FAQ {index} of {len(self)}")
        first = index % len(self)
        return Faq(*_decode(self.data[self.starts[first] : self.starts[first + 1]].data))

    def __iter__(self) -> Iterator[Faq]:
        return (self[place] for place in range(len(self)))
