"""Pictures: this application beside plain PyTorch, its own engine, `@serve.batch` and LitServe.

All run one set of full-size weights, made for the run, and get the same photographs, which all but
the bare model and the engine decode.
"""

import statistics
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks import image_loops, report
from benchmarks.environments import versions
from benchmarks.image_goals import goals
from benchmarks.image_loops import LONE_DECODING, Loops
from benchmarks.payloads import photographs, pictures
from benchmarks.report import Report
from benchmarks.rounds import Findings, Options, measure_server
from benchmarks.servers import Server, application, forget_application

PATH = "/v1/images/classify"
READY = "/readyz/image"
LITSERVE = "LitServe"
SERVE_BATCH = "@serve.batch"
SEARCH_SECONDS = 3.0
LONGER = 3
"""Pictures come in batches, of which a run holds few: it takes this many times longer than one of
questions, so that a batch more or less within it matters little."""


def run(options: Options, command: str) -> Report:
    """Makes the weights, finds the bare model's best form, then measures all in every round."""
    files = photographs()
    if not files:
        absent = "the photographs (data/images/labelled of the shared data) are absent"
        return Report(scenario="images", command=command, failures=(absent,))
    forget_application()
    loops, classes = image_loops.make(options.architecture, files)
    print("searching the bare model's best batch size and precision ...", flush=True)
    found = loops.search(min(options.seconds, SEARCH_SECONDS))
    options = replace(options, seconds=options.seconds * LONGER)
    findings = Findings()
    servers = [server for server in _servers(loops) if options.wants(server.name)]
    engine: dict[str, Any] = {}
    for number in range(options.rounds):
        print(f"round {number + 1} of {options.rounds}", flush=True)
        findings.measurements += loops.bare(found, options.seconds)
        measured, engine = loops.engine(options.seconds)
        findings.measurements.append(measured)
        for server in servers:
            payloads = pictures(server, files, classes)
            measure_server(server, payloads, options.picture_connections, options, findings)
    return _report(options, command, findings, found, engine)


def own_server(architecture: str, weights: Path) -> Server:
    """The application with these weights; questions are answered from its embedded corpus."""
    return application(
        f"image.architecture={architecture}",
        f"image.weights={weights}",
        path=PATH,
        ready_path=READY,
        form="picture",
    )


def _servers(loops: Loops) -> list[Server]:
    own = own_server(loops.architecture, loops.weights)
    settings = own.command[2:]
    return [
        own,
        replace(
            own,
            name="the same on @serve.batch",
            family=SERVE_BATCH,
            command=(image_loops.PYTHON, "-m", "benchmarks.peers.serve_batch_app", *settings),
        ),
        _litserve("LitServe example", loops, 1),
        _litserve("LitServe batched", loops, 8),
    ]


def _litserve(name: str, loops: Loops, batch: int) -> Server:
    script = "benchmarks.peers.litserve_resnet"
    return Server(
        name,
        LITSERVE,
        ("-m", script, "--port", "{port}", "--batch", str(batch)),
        "/predict",
        "/health",
        form="base64",
        peer="litserve_resnet",
        environment={
            "BENCHMARK_ARCHITECTURE": loops.architecture,
            "BENCHMARK_WEIGHTS": str(loops.weights),
        },
    )


def _report(
    options: Options,
    command: str,
    findings: Findings,
    found: Sequence[dict[str, Any]],
    engine: dict[str, Any],
) -> Report:
    rows = report.summarise(findings.measurements)
    best = found[0]
    chosen = f"{engine['execution']} in {engine['precision']}, batches of {engine['batch']}"
    return Report(
        scenario="images",
        command=command,
        rows=rows,
        goals=goals(rows, _lone_ratio(findings)),
        notes=(
            f"{options.architecture}; requests are single pictures",
            f"the bare model is fastest at batch {best['batch']}, {best['precision']}; the "
            f"latencies of loops are those of a batch",
            f"the engine chose {chosen}",
            f"measured for {options.seconds:g} s at a time",
        ),
        failures=tuple(f"{name}: {why}" for name, why in findings.failures.items()),
        versions=versions(["litserve_resnet"]),
        measurements=tuple(findings.measurements),
        figures={"bare_model": list(found), "engine": engine},
    )


def _lone_ratio(findings: Findings) -> float:
    """Median over the rounds of a lone request's p50 to the bare model's time in that round."""
    pairs = zip(
        (each.p50_ms for each in findings.measurements if each.name == LONE_DECODING),
        (
            each.p50_ms
            for each in findings.measurements
            if each.family == report.APPLICATION and each.connections == 1
        ),
        strict=False,  # a server that failed was not measured in later rounds
    )
    return statistics.median([own / bare for bare, own in pairs] or [float("nan")])
