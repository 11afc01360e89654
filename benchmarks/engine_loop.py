"""The application's classifier in a loop: what it makes of this machine without Ray and HTTP.

A process of its own, as the loop of plain PyTorch is. It prints one line of JSON: images/s and the
time of a batch at the largest size that the classifier chose, and how it computes.
"""

import argparse
import itertools
import json
import os
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.torch_loop import decoded, in_batches, preprocessing, speed
from deployments.image.classifier import ImageClassifier
from deployments.image.pytorch.weights import export_weights

TOP_K = 5


def run(architecture: str, weights: Path, files: Sequence[Path], seconds: float) -> dict[str, Any]:
    """Loads the classifier as a replica does, then classifies decoded pictures batch after batch.

    Raises:
        RuntimeError: the classifier gave an error for a picture
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        export_weights(architecture, weights, folder)
        classifier = ImageClassifier.load(folder, threads=len(os.sched_getaffinity(0)))
    size = classifier.sizes.largest
    batches = in_batches(decoded(files, preprocessing(architecture)), size)

    def measure(_: int) -> dict[str, float]:
        endless = itertools.cycle(batches)

        def step() -> None:
            for answer in classifier.classify(next(endless), [TOP_K] * size):
                if isinstance(answer, Exception):
                    raise RuntimeError("a picture was not classified") from answer

        return speed(step, size, seconds)

    with ThreadPoolExecutor(classifier.concurrency) as threads:
        found = list(threads.map(measure, range(classifier.concurrency)))
    together = {"images_per_s": sum(each["images_per_s"] for each in found)}
    return {**found[0], **together, "batch": size, **classifier.status._asdict()}


def main() -> None:
    """Measures once."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--architecture", default="resnet152")
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--pictures", type=Path, nargs="+", required=True)
    given = parser.parse_args()
    print(json.dumps(run(given.architecture, given.weights, given.pictures, given.seconds)))


if __name__ == "__main__":
    main()
