"""Calls and answers survive the wire, also those of a release without the newest fields."""

import msgspec

from deployments.contracts import Form, ModelIdentity, Question
from deployments.faq.wire import RankCall, decode_call, encode


def test_a_call_arrives_as_it_was_sent() -> None:
    model = ModelIdentity("faq", "3", "sha256:a")
    trace = f"00-{1:032x}-{2:016x}-01"
    call = RankCall([Question("q", 3, 0.5, Form.TRIPLES, model, trace)], "router", 1.5)
    assert decode_call(encode(call)) == call


def test_a_question_without_a_trace_is_understood() -> None:
    sent = msgspec.msgpack.encode([[["q", 3, 0.5, "triples", None]], "router", 1.5])
    assert decode_call(sent).questions == [Question("q", 3, 0.5, Form.TRIPLES)]
