"""The memory of the whole FAQ side: every process of the application, Ray's own included."""

import json
from collections.abc import Sequence
from dataclasses import asdict

from benchmarks.faq import application_server
from benchmarks.load import Load, measure, request_bytes
from benchmarks.payloads import corpus
from benchmarks.processes import ProcessMemory, memory
from benchmarks.ranker_peers import PATH
from benchmarks.report import Goal, Report
from benchmarks.rounds import Options
from benchmarks.servers import ServerError, forget_application, running

LIMIT_GB = 1.5
PICTURES = "ImageClassifier"
"""In the name of the processes that are not the FAQ side's; they run where weights were found."""


def run(options: Options, command: str) -> Report:
    """Loads the application with questions for a while, then adds up its processes."""
    loaded, folder, source = corpus()
    forget_application()
    bodies = [json.dumps({"question": each.text}).encode() for each in loaded.test]
    requests = [request_bytes(PATH, body, "application/json") for body in bodies]
    try:
        with running(application_server(folder)) as server:
            load = Load(server.port, requests, options.connections, options.seconds)
            answered = measure(load).answered
            table = memory(server.pids())
    except ServerError as error:
        return Report("memory", command, failures=(str(error),))
    return _report(command, table, f"{source}; measured after {answered} answers")


def _report(command: str, table: Sequence[ProcessMemory], source: str) -> Report:
    mine = [row for row in table if PICTURES not in row.name]
    total_gb = sum(row.pss_mib for row in mine) * 2**20 / 1e9
    lines = [f"{row.name} x {row.processes}: {row.pss_mib:.0f} MiB" for row in mine]
    left_out = [
        f"left out, not the FAQ side: {row.name}: {row.pss_mib:.0f} MiB"
        for row in table
        if PICTURES in row.name
    ]
    return Report(
        "memory",
        command,
        goals=(Goal("proportional set size of the FAQ side, GB", LIMIT_GB, total_gb, False),),
        notes=(source, *lines, *left_out),
        figures={"total_gb": total_gb, "processes": [asdict(row) for row in table]},
    )
