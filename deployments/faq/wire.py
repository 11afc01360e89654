"""Calls to the FAQ ranker and their answers as MessagePack: typed on arrival, running no code."""

from typing import NamedTuple

import msgspec

from deployments.contracts import Question, RankedBatch


class RankCall(NamedTuple):
    """The questions of one call, from which router, and how many it holds for each replica."""

    questions: list[Question]
    router: str
    held_per_replica: float


encode = msgspec.msgpack.Encoder().encode
decode_call = msgspec.msgpack.Decoder(RankCall).decode
decode_batch = msgspec.msgpack.Decoder(RankedBatch).decode
