"""Whether, and where to, traces go, without OpenTelemetry: that is imported only where it is on.

Between processes a trace travels as `traceparent` (W3C Trace Context), in the item that it is of.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from deployments.spans import Spans

NOTHING: AbstractContextManager[None] = nullcontext()


@dataclass(frozen=True)
class TracingOptions:
    """The OTLP receiver (HTTP), and the share traced of the requests that bring no decision."""

    endpoint: str
    sample_ratio: float

    def spans(self, deployment: str, replica: str) -> Spans:
        """Where one replica makes its spans; imports OpenTelemetry."""
        from deployments.spans import Spans

        return Spans.exported(self, deployment, replica)


def step(spans: Spans | None, name: str) -> AbstractContextManager[None]:
    """A span below the current one while the block runs; nothing where that is not sampled."""
    return NOTHING if spans is None or not spans.is_sampled else spans.step(name)


def below(spans: Spans | None, name: str, parent: str | None) -> AbstractContextManager[None]:
    """A span below the `traceparent`; nothing where that was not sampled, or tracing is off."""
    return NOTHING if spans is None or parent is None else spans.below(name, parent)
