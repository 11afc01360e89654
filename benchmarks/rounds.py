"""Measures servers in turn, round after round, so that a drifting machine wrongs none of them."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.environments import PeerError
from benchmarks.load import Load, measure
from benchmarks.payloads import Payloads
from benchmarks.report import Measurement
from benchmarks.scrape import batch_sizes, since
from benchmarks.servers import Server, ServerError, running

BATCH_SIZES = "batch_sizes"
"""In a measurement's detail: how many batches had how many items."""


@dataclass(frozen=True)
class Options:
    """What the command line chose; the last two are for pictures alone."""

    seconds: float
    connections: int
    rounds: int
    only: tuple[str, ...] = ()
    architecture: str = "resnet152"
    picture_connections: tuple[int, ...] = (1, 4, 16, 64)

    def wants(self, name: str) -> bool:
        """Whether a server is to be measured: every one, unless some were named."""
        return not self.only or any(word in name for word in self.only)


@dataclass
class Findings:
    """What the rounds gave so far; a server that failed is not started again."""

    measurements: list[Measurement] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)


def measure_server(
    server: Server,
    payloads: Payloads,
    connections: Sequence[int],
    options: Options,
    findings: Findings,
) -> None:
    """One start of one server, measured at each number of connections; adds to the findings."""
    if server.name in findings.failures:
        return
    try:
        with running(server) as run:
            for count in connections:
                findings.measurements.append(
                    _measure(server, run.port, payloads, count, options.seconds)
                )
    except (ServerError, PeerError) as error:
        findings.failures[server.name] = str(error)
        print(f"  {server.name}: {error}", flush=True)


def own_sizes(connections: int) -> tuple[int, ...]:
    """The numbers of connections of a question benchmark: many, then one."""
    return (connections, 1) if connections != 1 else (1,)


def _measure(
    server: Server, port: int, payloads: Payloads, connections: int, seconds: float
) -> Measurement:
    before = batch_sizes(port) if server.has_metrics else {}
    result = measure(
        Load(
            port=port,
            requests=payloads.requests,
            connections=connections,
            duration_s=seconds,
            warm_up_s=min(3.0, max(1.0, seconds / 3)),
            check=payloads.check,
        )
    )
    sizes = {BATCH_SIZES: since(before, batch_sizes(port))} if server.has_metrics else {}
    print(
        f"  {server.name}, {connections} connections: {result.requests_per_s:.1f}/s, "
        f"p50 {result.p50_ms:.2f} ms, p99 {result.p99_ms:.2f} ms, refused {result.refused}, "
        f"errors {result.errors} {result.error_kinds or ''}",
        flush=True,
    )
    return Measurement(
        name=server.name,
        family=server.family,
        connections=connections,
        requests_per_s=result.requests_per_s,
        p50_ms=result.p50_ms,
        p99_ms=result.p99_ms,
        errors=result.errors,
        refused=result.refused,
        detail={
            "client_cpu": round(result.client_cpu, 3),
            "checked": result.checked,
            "error_kinds": result.error_kinds,
            **sizes,
        },
    )
