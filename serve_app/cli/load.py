"""`scoring load`: a load test of a running service, with objectives."""

import argparse
import asyncio
import json
import os
import signal
import ssl
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
from tqdm import tqdm

from serve_app.cli import EXIT_USAGE
from serve_app.cli.image_files import find_pictures
from serve_app.cli.load_arguments import CONNECTIONS, STANDARD_OUTPUT, add_arguments
from serve_app.cli.messages import FAILED, fail, lacks_plots, say
from serve_app.cli.tables import render
from serve_app.client import ScoringClient, ScoringServiceError
from serve_app.configuration import API_KEY
from serve_app.load import payloads, report
from serve_app.load.closed_loop import ClosedLoop
from serve_app.load.objectives import Objective
from serve_app.load.open_loop import OpenLoop
from serve_app.load.payloads import EXAMPLE_PICTURE, PATHS, NoPayload
from serve_app.load.plan import Plan, plan
from serve_app.load.plot import save_plot
from serve_app.load.record import Record
from serve_app.load.running import Loop, generate
from serve_app.load.traffic import Connecting, Target, Traffic, request_bytes
from serve_app.settings import Settings

__all__ = ["add_arguments", "run"]

BUSY = 0.9
"""Share of one core above which the generator itself may be what is measured."""
TICK_S = 0.25
ENDING = (signal.SIGINT, signal.SIGTERM)


def run(options: argparse.Namespace, _settings: Settings) -> int:
    """Figures on standard output; 1 where an objective is missed or nothing was answered."""
    if options.plot is not None and lacks_plots():
        return FAILED
    key = os.environ.get(API_KEY) or None
    try:
        planned = _plan(options)
        _check(options.url, key)
        requests = _requests(options, key)
    except ValueError as error:
        fail(error)
        return EXIT_USAGE
    except (NoPayload, ScoringServiceError) as error:
        return fail(error)
    record = Record(planned.steps, planned.warm_up_steps)
    run_of = _Run(options, planned, record, requests)
    run_of.go()
    return _report(options, planned, record, run_of)


class _Run:
    """One run of a loop, with its progress, and Ctrl-C or TERM as its early end."""

    def __init__(
        self,
        options: argparse.Namespace,
        planned: Plan,
        record: Record,
        requests: Sequence[bytes],
    ) -> None:
        self._planned = planned
        self._record = record
        self._seed = options.seed
        self._connecting = Connecting(
            options.connection_life, options.connect_retries, options.connect_timeout
        )
        self.interrupted = False
        self.client_cpu = 0.0
        self._traffic = Traffic(
            target=_target(options.url),
            requests=requests,
            steps=planned.steps,
            deadline_s=options.timeout,
            on_end=record.note,
            on_step=lambda number: record.begin(number, time.perf_counter()),
        )

    def go(self) -> None:
        """Returns when every request has ended."""
        cpu, started = time.process_time(), time.perf_counter()
        generate(self._make, self._beside)
        self.client_cpu = (time.process_time() - cpu) / (time.perf_counter() - started)

    def _make(self) -> Loop:
        if self._planned.kind == "closed":
            return ClosedLoop(self._traffic)
        return OpenLoop(self._traffic, self._seed, self._connecting)

    async def _beside(self, loop: Loop) -> None:
        """Shows how it goes. The first Ctrl-C or TERM ends the run, a second one the command."""
        events = asyncio.get_running_loop()

        def stop() -> None:
            self.interrupted = True
            for number in ENDING:
                events.remove_signal_handler(number)
            loop.stop()

        for number in ENDING:
            events.add_signal_handler(number, stop)
        started = time.perf_counter()
        total_s = self._planned.seconds
        with tqdm(
            total=round(total_s, 1),
            unit="s",
            bar_format="{l_bar}{bar}| {n:.0f}/{total:.0f} s {postfix}",
            leave=False,
            disable=None,  # where nobody looks
        ) as bar:
            while True:
                await asyncio.sleep(TICK_S)
                bar.n = min(total_s, time.perf_counter() - started)
                answered, refused, errors = self._record.counts
                bar.set_postfix_str(
                    f"answered {answered:,}, p99 {self._record.latest_ms():.1f} ms, "
                    f"429 {refused:,}, errors {errors:,}"
                )


def _plan(options: argparse.Namespace) -> Plan:
    times = {"seconds": options.seconds, "warm_up_s": options.warm_up}
    is_open = bool(options.rate or options.ramp)
    if not is_open and (
        options.connection_life is not None
        or options.connect_retries
        or options.connect_timeout is not None
    ):
        raise ValueError("--connection-life and --connect-... are for --rate and --ramp")
    if is_open:
        rates = options.ramp or (options.rate, options.rate)
        return plan("open", rates, steps=options.steps, **times)
    count = options.connections or CONNECTIONS
    counts = options.ramp_connections or (count, count)
    return plan("closed", counts, steps=options.steps, **times)


def _check(url: str, key: str | None) -> None:
    """A service that is not there is said once, and not for each request."""
    with ScoringClient(url, key=key, timeout_s=10.0) as client:
        client.ready()


def _requests(options: argparse.Namespace, key: str | None) -> list[bytes]:
    url = httpx.URL(options.url.rstrip("/"))
    path = url.raw_path.decode("ascii").rstrip("/") + PATHS[options.target]
    if options.target == "faq":
        bodies, kind = payloads.questions(options.payloads), "application/json"
    else:
        bodies, kind = _pictures(options.payloads), "application/octet-stream"
    host = url.netloc.decode("ascii")
    return [request_bytes(path, body, kind, host, key) for body in bodies]


def _pictures(path: Path | None) -> list[bytes]:
    files, problems = find_pictures([path or EXAMPLE_PICTURE])
    if problems:
        problem = problems[0].problem or {}
        raise NoPayload(f"{problems[0].file}: {problem.get('detail')}")
    return payloads.pictures(files)


def _target(url: str) -> Target:
    parsed = httpx.URL(url)
    is_tls = parsed.scheme == "https"
    tls = ssl.create_default_context() if is_tls else None
    return Target(parsed.host, parsed.port or (443 if is_tls else 80), tls)


def _report(options: argparse.Namespace, planned: Plan, record: Record, run_of: _Run) -> int:
    total = record.total()
    objectives: list[Objective] = options.objective
    print(f"{options.url.rstrip('/')}{PATHS[options.target]}, {planned.kind} loop")
    print(render(report.table_rows(record, planned.unit)))
    if record.kinds:
        print("errors: " + ", ".join(f"{n:,} x {kind}" for kind, n in record.kinds.most_common()))
    if objectives:
        print(render(report.objective_rows(objectives, total)))
    if run_of.interrupted:
        say("ended early by a signal")
    if run_of.client_cpu > BUSY:
        say(f"the generator took {run_of.client_cpu:.0%} of a core: it may be the limit itself")
    about: dict[str, Any] = {
        "url": options.url,
        "path": PATHS[options.target],
        "loop": planned.kind,
        "load_unit": planned.unit,
        "interrupted": run_of.interrupted,
        "client_cpu": round(run_of.client_cpu, 3),
    }
    try:
        if options.json_file is not None:
            unix_at_zero_s = time.time() - time.perf_counter()
            content = report.to_json(record, objectives, about, unix_at_zero_s)
            _write(content, options.json_file)
        if options.plot is not None:
            save_plot(record, options.plot, unit=planned.unit)
    except OSError as error:
        return fail(f"{error.filename} cannot be written: {error.strerror}")
    if total.answered == 0:
        return fail("nothing was answered")
    return FAILED if any(not each.is_met(total) for each in objectives) else 0


def _write(content: object, file: Path) -> None:
    """Into a file; or, on one line, to standard output."""
    if file == STANDARD_OUTPUT:
        print(json.dumps(content), flush=True)
    else:
        file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
