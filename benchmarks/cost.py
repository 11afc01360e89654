"""What admission, telemetry and errors cost: the whole Router, an open one and a bare one.

The same questions, ranker and model behind each; in turn, round after round. The whole one asks
for a key, counts a quota, writes metrics and the log.
"""

import math
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks import report
from benchmarks.environments import WORK, versions
from benchmarks.payloads import Payloads, corpus, expected_rankings, questions
from benchmarks.ranker_peers import PATH, ranker_peers
from benchmarks.report import APPLICATION, Goal, Report, Row
from benchmarks.rounds import Findings, Options, measure_server, own_sizes
from benchmarks.servers import Server, application, forget_application
from deployments.faq.ranker import FaqRanker
from deployments.faq.training import train

BARE, OPEN = "bare Router", "open"
NEVER_MET = 1_000_000
"""Requests a second: a quota that counts every request and refuses none."""


def run(options: Options, command: str) -> Report:
    """Trains the ranker, then measures every server in every round."""
    loaded, folder, source = corpus()
    print(f"training the ranker on {loaded.name} ...", flush=True)
    model = WORK / "faq-model"
    train(loaded, progress=False).save(model)
    texts = [example.text for example in loaded.test]
    expected = expected_rankings(FaqRanker.load(model), texts)
    forget_application()
    keys = WORK / "keys.json"
    servers = _servers(folder, keys, model)
    key = _make_key(keys)
    findings = Findings()
    for number in range(options.rounds):
        print(f"round {number + 1} of {options.rounds}", flush=True)
        for server in servers:
            if options.wants(server.name):
                payloads = questions(server, texts, expected)
                if server.family == APPLICATION:
                    payloads = _with_key(payloads, key)
                sizes = own_sizes(options.connections)
                measure_server(server, payloads, sizes, options, findings)
    rows = report.summarise(findings.measurements)
    return Report(
        scenario="cost",
        command=command,
        rows=rows,
        goals=goals(rows, options.connections),
        notes=(source, "the whole Router: keys, a quota, metrics and the request log"),
        failures=tuple(f"{name}: {why}" for name, why in findings.failures.items()),
        versions=versions(("uvicorn",)),
        measurements=tuple(findings.measurements),
    )


def goals(rows: Sequence[Row], connections: int) -> tuple[Goal, ...]:
    """What the whole Router is to keep of the bare one's throughput."""
    whole = report.best(rows, APPLICATION, connections)
    bare = report.best(rows, BARE, connections)
    plain = report.best(rows, "uvicorn", connections)
    rate = whole.requests_per_s if whole else math.nan
    return (
        Goal("throughput, x the bare Router", 0.85, rate / (bare or _NOTHING).requests_per_s, True),
        Goal("throughput, x plain uvicorn", 1.2, rate / (plain or _NOTHING).requests_per_s, True),
    )


_NOTHING = Row("", "", 0, 0, math.nan, math.nan, math.nan, 0, math.nan)


def _servers(folder: Path, keys: Path, model: Path) -> list[Server]:
    own = (f"faq.corpus={folder}",)
    whole = (f"auth.keys={keys}", f"quota.requests_per_s={NEVER_MET}")
    ready = "/readyz/faq"
    open_door = application(*own, path=PATH, ready_path=ready)
    module = ("-m", "benchmarks.peers.bare_router_app")
    return [
        application(*own, *whole, path=PATH, ready_path=ready),
        replace(open_door, name="without keys and quotas", family=OPEN),
        replace(
            open_door,
            name=BARE,
            family=BARE,
            command=(sys.executable, *module, *open_door.command[2:]),
        ),
        *(peer for peer in ranker_peers(model) if peer.family == "uvicorn"),
    ]


def _make_key(keys: Path) -> str:
    keys.unlink(missing_ok=True)
    command = [str(Path(sys.executable).with_name("scoring")), "keys", "create"]
    made = subprocess.run(
        [*command, "--scope", "faq", f"auth.keys={keys}", f"data_dir={WORK / 'application'}"],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return made.stdout.strip()


def _with_key(payloads: Payloads, key: str) -> Payloads:
    field = f"\r\nAuthorization: Bearer {key}\r\n\r\n".encode("ascii")
    return replace(
        payloads,
        requests=tuple(each.replace(b"\r\n\r\n", field, 1) for each in payloads.requests),
    )
