"""The loops that servers of pictures are measured against, each in a process of its own."""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.environments import ROOT, WORK
from benchmarks.report import Measurement

PYTHON = sys.executable
PYTORCH = "PyTorch"
BARE = "PyTorch loop, decoded before"
DECODING = "PyTorch loop with decoding"
LONE = "PyTorch loop, one picture"
LONE_DECODING = "PyTorch loop with decoding, one picture"
ENGINE = "this application's engine"


class LoopError(RuntimeError):
    """A loop failed; the message holds its last output."""


@dataclass(frozen=True)
class Loops:
    """One set of weights and the pictures that they are measured on."""

    architecture: str
    weights: Path
    files: Sequence[Path]

    def search(self, seconds: float) -> list[dict[str, Any]]:
        """The bare model at every batch size and precision, fastest first."""
        found: list[dict[str, Any]] = self._torch("search", "--seconds", str(seconds))["found"]
        return found

    def bare(self, found: Sequence[dict[str, Any]], seconds: float) -> list[Measurement]:
        """The bare model in its best form, and in its best form for one picture at a time."""
        one = next(form for form in found if form["batch"] == 1)
        measured = []
        for form, names in ((found[0], (BARE, DECODING)), (one, (LONE, LONE_DECODING))):
            chosen = ("--batch", str(form["batch"]), "--precision", str(form["precision"]))
            speeds = self._torch("run", "--seconds", str(seconds), *chosen)
            measured += [
                _measurement(name, PYTORCH, speeds[key])
                for name, key in zip(names, ("bare", "decoding"), strict=True)
            ]
        return measured

    def engine(self, seconds: float) -> tuple[Measurement, dict[str, Any]]:
        """The application's classifier without Ray and HTTP, and how it chose to compute."""
        speed = self._run("benchmarks.engine_loop", "--seconds", str(seconds))
        return _measurement(ENGINE, "engine", speed), speed

    def _torch(self, command: str, *arguments: str) -> dict[str, Any]:
        return self._run("benchmarks.torch_loop", command, *arguments)

    def _run(self, module: str, *arguments: str) -> dict[str, Any]:
        words = [PYTHON, "-m", module, *arguments, "--architecture", self.architecture]
        words += ["--weights", str(self.weights), "--pictures", *map(str, self.files)]
        done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=ROOT)
        if done.returncode != 0:
            last = " | ".join(done.stderr.replace(str(ROOT), ".").splitlines()[-3:])
            raise LoopError(f"{module}: {last}")
        answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return answer


def make(architecture: str, files: Sequence[Path], folder: Path = WORK) -> tuple[Loops, list[int]]:
    """Makes full-size weights in `folder`; gives the class that each picture has by them.

    Raises:
        LoopError: it failed
    """
    print(f"making full-size {architecture} weights ...", flush=True)
    folder.mkdir(parents=True, exist_ok=True)
    loops = Loops(architecture, folder / f"{architecture}.pth", files)
    classes: list[int] = loops._torch("make")["classes"]
    return loops, classes


def _measurement(name: str, family: str, speed: dict[str, float]) -> Measurement:
    rate = speed["images_per_s"]
    print(f"  {name}: {rate:.1f}/s, p50 {speed['p50_ms']:.1f} ms", flush=True)
    return Measurement(name, family, 0, rate, speed["p50_ms"], speed["p99_ms"], 0)
