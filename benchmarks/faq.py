"""Questions: this application beside plain uvicorn, LitServe, BentoML and MLServer.

All serve one trained ranker: the peers load one saved folder with the application's own class, and
the application, which trains its own copy of the same corpus, must give the same probabilities.
"""

import math
import shutil
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks import report
from benchmarks.environments import WORK, versions
from benchmarks.payloads import TOP_K, corpus, expected_rankings, questions
from benchmarks.ranker_peers import PATH, ranker_peers
from benchmarks.report import APPLICATION, Goal, Report, Row
from benchmarks.rounds import Findings, Options, measure_server, own_sizes
from benchmarks.servers import Server, application, forget_application
from deployments.faq.ranker import FaqRanker
from deployments.faq.training import train

FRAMEWORKS = ("LitServe", "BentoML", "MLServer")


def run(options: Options, command: str) -> Report:
    """Trains the ranker, then measures every server in every round."""
    loaded, folder, source = corpus()
    print(f"training the ranker on {loaded.name} ...", flush=True)
    model = WORK / "faq-model"
    shutil.rmtree(model, ignore_errors=True)
    train(loaded, progress=False).save(model)
    ranker = FaqRanker.load(model)
    texts = [example.text for example in loaded.test]
    expected = expected_rankings(ranker, texts)
    findings = Findings()
    servers = _servers(folder, model, options)
    alone: list[float] = []
    for number in range(options.rounds):
        print(f"round {number + 1} of {options.rounds}", flush=True)
        alone.append(alone_p50_ms(ranker, texts))
        for server in servers:
            payloads = questions(server, texts, expected)
            sizes = own_sizes(options.connections)
            measure_server(server, payloads, sizes, options, findings)
    return _report(options, command, findings, statistics.median(alone), source)


def application_server(corpus_folder: Path) -> Server:
    """The application with the questions' corpus and no picture weights of its own."""
    return application(f"faq.corpus={corpus_folder}", path=PATH, ready_path="/readyz/faq")


def alone_p50_ms(ranker: FaqRanker, texts: Sequence[str]) -> float:
    """The ranker's own time for one question, nothing around it: the median over many."""
    times = []
    for text in texts[:2000]:
        started = time.perf_counter()
        ranker.rank(text, TOP_K)
        times.append(time.perf_counter() - started)
    return statistics.median(times) * 1000


def goals(rows: Sequence[Row], connections: int, alone_ms: float) -> tuple[Goal, ...]:
    """What the application is to reach, from the best variant of each peer without errors."""
    own = report.best(rows, APPLICATION, connections)
    peers = [report.best(rows, family, connections) for family in FRAMEWORKS]
    measured = [peer.requests_per_s for peer in peers if peer]
    fastest = max(measured) if len(measured) == len(FRAMEWORKS) else math.nan
    plain = report.best(rows, "uvicorn", connections)
    single = report.best(rows, APPLICATION, 1)
    rate = own.requests_per_s if own else math.nan
    return (
        Goal("throughput, x the best of LitServe, BentoML, MLServer", 2.0, rate / fastest, True),
        Goal(
            "throughput, x plain uvicorn",
            1.2,
            rate / (plain.requests_per_s if plain else math.nan),
            True,
        ),
        Goal(
            "p50 at 1 connection above the ranker's own time, ms",
            1.0,
            (single.p50_ms if single else math.nan) - alone_ms,
            False,
        ),
    )


def _servers(corpus_folder: Path, model: Path, options: Options) -> list[Server]:
    forget_application()
    every = [application_server(corpus_folder), *ranker_peers(model)]
    return [server for server in every if options.wants(server.name)]


def _report(
    options: Options, command: str, findings: Findings, alone_ms: float, source: str
) -> Report:
    rows = report.summarise(findings.measurements)
    return Report(
        scenario="faq",
        command=command,
        rows=rows,
        goals=goals(rows, options.connections, alone_ms),
        notes=(source, f"the ranker alone: p50 {alone_ms:.3f} ms for one question"),
        failures=tuple(f"{name}: {why}" for name, why in findings.failures.items()),
        versions=versions(("uvicorn", "litserve", "bentoml", "mlserver")),
        measurements=tuple(findings.measurements),
        figures={"ranker_alone_p50_ms": alone_ms},
    )
