"""How long a second start takes, from the command to the first answered question."""

import json
import statistics
import time

from benchmarks.ranker_peers import PATH
from benchmarks.report import Goal, Report
from benchmarks.rounds import Options
from benchmarks.servers import (
    Running,
    ServerError,
    application,
    forget_application,
    pause,
    post,
    started,
)

LIMIT_S = 20.0
QUESTION = json.dumps({"question": "How do I copy an array?"}).encode()


def run(options: Options, command: str) -> Report:
    """Starts the application once to make its models, then `rounds` times more."""
    forget_application()
    server = application(path=PATH, ready_path="/readyz/faq")
    times: list[float] = []
    for number in range(options.rounds + 1):
        began = time.perf_counter()
        try:
            with started(server) as running:
                _await_answer(running)
                times.append(time.perf_counter() - began)
        except ServerError as error:
            return Report("start", command, failures=(str(error),))
        print(f"  start {number + 1}: {times[-1]:.1f} s to the first answer", flush=True)
    again = statistics.median(times[1:])
    return Report(
        "start",
        command,
        goals=(Goal("a later start's first answer, s", LIMIT_S, again, at_least=False),),
        notes=(f"the first start, which trains and registers: {times[0]:.1f} s",),
        figures={"first_s": times[0], "later_s": times[1:]},
    )


def _await_answer(running: Running) -> None:
    until = time.monotonic() + running.server.start_limit_s
    while post(running.port, running.server.path, QUESTION, "application/json") != 200:
        if time.monotonic() > until:
            raise ServerError(f"{running.server.name} answered no question in time")
        pause(running, 0.05)
