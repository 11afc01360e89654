"""`python -m benchmarks.gpu`: the bare model, the engine and the whole application on one GPU.

The first two need PyTorch, torchvision, safetensors, Pillow and numpy alone; the application is
left out where Ray and the rest of its requirements are not installed. Weights are seeded, pictures
are made on the spot, nothing is downloaded. `--device cpu` runs the same code on the processor.
"""

import argparse
import importlib.util
import math
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import torchvision

from benchmarks import gpu_bare, gpu_engine, report
from benchmarks.report import APPLICATION, Goal, Measurement, Report, Row
from deployments.image.classifier import ImageClassifier
from deployments.image.config import WEIGHTS_FILE

CONNECTIONS = 256
BATCH_SIZES = (32, 64, 128, 256)
PICTURES = 128
BARE, ENGINE, DECODING = "bare", "engine", "decoding"
APPLICATION_NEEDS = ("ray", "uvloop", "httptools", "pydantic", "orjson", "prometheus_client")


def main(arguments: Sequence[str] | None = None) -> int:
    """0 where everything was measured; 1 without a GPU, or where something failed."""
    given = _parser().parse_args(arguments)
    if given.device is None and not torch.cuda.is_available():
        print(
            "no GPU is visible to PyTorch; --device cpu runs this on the processor", file=sys.stderr
        )
        return 1
    found = run(given, torch.device(given.device or "cuda"))
    written = report.save(found, given.out)
    print(f"\n{report.render(found)}\n\nwrote {', '.join(map(str, written))}\n", flush=True)
    return int(bool(found.failures) or any(row.errors for row in found.rows))


def run(given: argparse.Namespace, device: torch.device) -> Report:
    """Measures one after the other: only one of them has the device at a time."""
    print(f"{given.architecture} on {_name(device)}", flush=True)
    files = gpu_engine.synthetic_pictures(PICTURES)
    network = gpu_bare.seeded_network(
        given.architecture, gpu_engine.preprocessing(given.architecture).crop_size
    )
    measurements: list[Measurement] = []
    failures: list[str] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        gpu_engine.store(network, given.architecture, folder)
        measurements += _decoding(files, device, given.seconds, failures)
        measurements += _engine(given, folder, files, device)
        measurements += _bare(given, network, device)
        measurements += _application(given, folder, files, device, failures)
    rows = report.summarise(measurements)
    return Report(
        scenario="gpu",
        command=_command(given),
        rows=rows,
        goals=goals(rows),
        notes=(
            f"{given.architecture} with seeded weights on {_name(device)}",
            "requests are pictures; bare: bfloat16, channels last, the batch on the device; "
            "latencies are those of a batch",
        ),
        failures=tuple(failures),
        versions={"torch": {"torch": torch.__version__, "torchvision": torchvision.__version__}},
        measurements=tuple(measurements),
        figures={"device": _name(device)},
    )


def goals(rows: Sequence[Row]) -> tuple[Goal, ...]:
    """What the engine and the application are to reach of the bare model at its best."""
    bare, engine, own = (_best(rows, family) for family in (BARE, ENGINE, APPLICATION))
    return (
        Goal("engine, x the bare model at its best", 0.95, engine / bare, True),
        Goal("whole application, x the bare model at its best", 0.8, own / bare, True),
    )


def _bare(
    given: argparse.Namespace, network: torch.nn.Module, device: torch.device
) -> list[Measurement]:
    crop_size = gpu_engine.preprocessing(given.architecture).crop_size
    found = []
    for speed in gpu_bare.measure_forms(
        network, crop_size, device, given.batch_sizes, given.seconds, compiles=given.compile
    ):
        name = f"bare model, {speed.form}, batch {speed.batch}"
        found.append(_measurement(name, BARE, speed.images_per_s, speed.batch_ms, asdict(speed)))
    return found


def _engine(
    given: argparse.Namespace, folder: Path, files: Sequence[bytes], device: torch.device
) -> list[Measurement]:
    classifier = ImageClassifier.load(
        folder,
        device=device.type,
        execution=given.execution,
        precision=given.precision,
        max_batch_size=given.max_batch_size,
    )
    rate = gpu_engine.engine_speed(classifier, files, given.seconds)
    status = classifier.status
    name = f"engine, {status.execution} {status.precision}, batches of {classifier.sizes.largest}"
    detail = {**status._asdict(), "concurrency": classifier.concurrency}
    return [_measurement(name, ENGINE, rate, math.nan, detail)]


def _decoding(
    files: Sequence[bytes], device: torch.device, seconds: float, failures: list[str]
) -> list[Measurement]:
    found = []
    try:
        for name, rate in gpu_engine.decode_speeds(files, device, seconds):
            found.append(_measurement(name, DECODING, rate, math.nan, {}))
    except RuntimeError as error:  # torchvision was built without this decoder
        failures.append(f"JPEG by torchvision: {str(error).splitlines()[0]}")
    return found


def _application(
    given: argparse.Namespace,
    folder: Path,
    files: Sequence[bytes],
    device: torch.device,
    failures: list[str],
) -> list[Measurement]:
    name = "this application"
    if missing := [each for each in APPLICATION_NEEDS if importlib.util.find_spec(each) is None]:
        print(f"  {name} is left out: {', '.join(missing)} not installed", flush=True)
        failures.append(f"{name}: {', '.join(missing)} not installed")
        return []
    if given.without_application:
        return []
    from benchmarks import processes
    from benchmarks.gpu_application import application_speed
    from benchmarks.servers import ServerError

    weights = folder / WEIGHTS_FILE
    try:
        with processes.adopting_orphans():
            result = application_speed(
                given.architecture, weights, files, device.type, given.connections, given.seconds
            )
    except ServerError as error:
        failures.append(f"{name}: {error}")
        return []
    print(f"  {name}: {result.requests_per_s:.1f}/s, errors {result.errors}", flush=True)
    return [
        Measurement(
            name,
            APPLICATION,
            given.connections,
            result.requests_per_s,
            result.p50_ms,
            result.p99_ms,
            result.errors,
            result.refused,
            {"client_cpu": result.client_cpu, "error_kinds": result.error_kinds},
        )
    ]


def _measurement(
    name: str, family: str, rate: float, batch_ms: float, detail: dict[str, Any]
) -> Measurement:
    print(f"  {name}: {rate:.1f}/s", flush=True)
    return Measurement(name, family, 0, rate, batch_ms, math.nan, 0, detail=detail)


def _best(rows: Sequence[Row], family: str) -> float:
    rates = [row.requests_per_s for row in rows if row.family == family and not row.errors]
    return max(rates, default=math.nan)


def _name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "the processor"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--device", choices=["cuda", "cpu"], help="the GPU without it")
    parser.add_argument("--architecture", default="resnet152")
    parser.add_argument("--seconds", type=float, default=10.0, help="measured time of each")
    parser.add_argument("--connections", type=int, default=CONNECTIONS)
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=list(BATCH_SIZES))
    parser.add_argument("--no-compile", dest="compile", action="store_false")
    parser.add_argument("--execution", default="auto", help="of the engine")
    parser.add_argument("--precision", default="auto", help="of the engine")
    parser.add_argument("--max-batch-size", type=int, help="of the engine; measured without it")
    parser.add_argument("--without-application", action="store_true")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    return parser


def _command(given: argparse.Namespace) -> str:
    words = [f"python -m benchmarks.gpu --architecture {given.architecture}"]
    words.append(f"--seconds {given.seconds:g} --connections {given.connections}")
    words += [f"--device {given.device}"] if given.device else []
    return " ".join(words)


if __name__ == "__main__":
    sys.exit(main())
