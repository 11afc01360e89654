"""Pictures: this application beside plain PyTorch in a loop and LitServe's ResNet-152 example.

All run one set of full-size ResNet-152 weights, made for the run, and get the same photographs,
which all but the bare model decode.
"""

import json
import math
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks import report
from benchmarks.environments import ROOT, WORK, versions
from benchmarks.payloads import photographs, pictures
from benchmarks.report import APPLICATION, Goal, Measurement, Report, Row
from benchmarks.rounds import Findings, Options, measure_server
from benchmarks.servers import Server, application, forget_application

BARE = "PyTorch loop, decoded before"
DECODING = "PyTorch loop with decoding"
PYTORCH = "PyTorch"
LITSERVE = "LitServe"
SEARCH_SECONDS = 3.0
LONGER = 3
"""Pictures come in batches, of which a run holds few: it takes this many times longer than one of
questions, so that a batch more or less within it matters little."""


class LoopError(RuntimeError):
    """The PyTorch loop failed; the message holds its last output."""


def run(options: Options, command: str) -> Report:
    """Makes the weights, finds the bare model's best form, then measures all in every round."""
    files = photographs()
    if not files:
        absent = "the photographs (data/images/labelled of the shared data) are absent"
        return Report(scenario="images", command=command, failures=(absent,))
    forget_application()
    weights = WORK / "resnet152.pth"
    print("making full-size ResNet-152 weights ...", flush=True)
    classes = _loop("make", weights, files)["classes"]
    print("searching the bare model's best batch size and precision ...", flush=True)
    seconds = min(options.seconds, SEARCH_SECONDS)
    found = _loop("search", weights, files, "--seconds", str(seconds))["found"]
    options = replace(options, seconds=options.seconds * LONGER)
    findings = Findings()
    servers = [server for server in _servers(weights) if options.wants(server.name)]
    for number in range(options.rounds):
        print(f"round {number + 1} of {options.rounds}", flush=True)
        findings.measurements += _bare(weights, files, found[0], options.seconds)
        for server in servers:
            payloads = pictures(server, files, classes)
            measure_server(server, payloads, [options.connections], options, findings)
    return _report(options, command, findings, found)


def goals(rows: Sequence[Row], connections: int) -> tuple[Goal, ...]:
    """What the application is to reach."""
    own = _rate(report.best(rows, APPLICATION, connections))
    bare = _rate(next((row for row in rows if row.name == BARE), None))
    example = _rate(report.best(rows, LITSERVE, connections))
    return (
        Goal("throughput, x the bare model at its best", 0.9, own / bare, True),
        Goal("throughput, x LitServe's example", 2.0, own / example, True),
    )


def _rate(row: Row | None) -> float:
    return row.requests_per_s if row else math.nan


def _servers(weights: Path) -> list[Server]:
    own = application(
        "image.architecture=resnet152",
        f"image.weights={weights}",
        path="/v1/images/classify",
        ready_path="/readyz/image",
        form="picture",
    )
    return [
        own,
        _litserve("LitServe example", weights, 1),
        _litserve("LitServe batched", weights, 8),
    ]


def _litserve(name: str, weights: Path, batch: int) -> Server:
    script = "benchmarks.peers.litserve_resnet"
    return Server(
        name,
        LITSERVE,
        ("-m", script, "--port", "{port}", "--batch", str(batch)),
        "/predict",
        "/health",
        form="base64",
        peer="litserve_resnet",
        environment={"BENCHMARK_WEIGHTS": str(weights)},
    )


def _bare(
    weights: Path, files: Sequence[Path], best: dict[str, Any], seconds: float
) -> list[Measurement]:
    chosen = ("--batch", str(best["batch"]), "--precision", str(best["precision"]))
    speeds = _loop("run", weights, files, "--seconds", str(seconds), *chosen)
    rows = [(BARE, speeds["bare"]), (DECODING, speeds["decoding"])]
    for name, speed in rows:
        print(f"  {name}: {speed['images_per_s']:.1f}/s", flush=True)
    return [
        Measurement(name, PYTORCH, 0, speed["images_per_s"], speed["p50_ms"], speed["p99_ms"], 0)
        for name, speed in rows
    ]


def _loop(command: str, weights: Path, files: Sequence[Path], *arguments: str) -> dict[str, Any]:
    names = [str(file) for file in files]
    words = [sys.executable, "-m", "benchmarks.torch_loop", command, str(weights), *arguments]
    done = subprocess.run(
        [*words, "--pictures", *names], capture_output=True, text=True, check=False, cwd=ROOT
    )
    if done.returncode != 0:
        last = " | ".join(done.stderr.replace(str(ROOT), ".").splitlines()[-3:])
        raise LoopError(f"PyTorch loop ({command}): {last}")
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def _report(
    options: Options, command: str, findings: Findings, found: list[dict[str, Any]]
) -> Report:
    rows = report.summarise(findings.measurements)
    best = found[0]
    form = f"the bare model is fastest at batch {best['batch']}, {best['precision']}"
    return Report(
        scenario="images",
        command=command,
        rows=rows,
        goals=goals(rows, options.connections),
        notes=(
            f"{form}; its latencies are those of a batch",
            f"measured for {options.seconds:g} s at a time",
        ),
        failures=tuple(f"{name}: {why}" for name, why in findings.failures.items()),
        versions=versions(["litserve_resnet"]),
        measurements=tuple(findings.measurements),
        figures={"bare_model": found},
    )
