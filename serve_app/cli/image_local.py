"""Classifies pictures in this process, with the registered model."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from deployments.image.decoding import ImageError, ImageLimits, Preprocessing, decode
from deployments.image.engine import OutOfDeviceMemory, Pixels
from deployments.registry import Registry
from serve_app.cli.image_files import Outcome, failed, unreadable
from serve_app.cli.messages import say
from serve_app.errors import IMAGE_ERRORS, BodyTooLarge, InternalError, OutOfMemory
from serve_app.models import Missing, find_image
from serve_app.settings import Settings

if TYPE_CHECKING:
    from deployments.image.classifier import ImageClassifier, Prediction


class NoClassifier(Exception):
    """There is no model to classify with; the message says why, or how to make one."""


def load_classifier(settings: Settings, registry: Registry) -> "ImageClassifier":
    """The model that the settings ask for, its digest verified, ready to classify.

    Raises:
        NoClassifier: nothing is registered that fits the settings, a package is missing, the device
            is, or has no memory for the model
        RegistryError: the registry cannot be used, or the model's files were changed
    """
    image = settings.image
    try:
        from deployments.image.classifier import ImageClassifier

        version = find_image(settings, registry)
        if isinstance(version, Missing):
            raise NoClassifier(
                f"no model {version.name} is registered for these settings;"
                f" make one: scoring image register --architecture {image.architecture}"
            )
        say(f"loading {version.name} version {version.version} ({version.digest[:19]})")
        classifier = ImageClassifier.load(
            registry.fetch(version),
            device=image.device,
            precision=image.precision,
            execution=image.execution,
            threads=image.threads,
            max_batch_size=image.max_batch_size,
            remembered=settings.tuning,
        )
    except ModuleNotFoundError as error:
        extra = "keras" if image.framework == "keras" else "image"
        raise NoClassifier(
            f"the package {error.name} is missing: pip install 'realtime-scoring[{extra}]'"
        ) from error
    except (OSError, OutOfDeviceMemory, ValueError) as error:
        raise NoClassifier(str(error)) from error
    how = classifier.status
    say(f"on {how.device}, {how.precision}, {how.execution}, up to {max(how.batch_sizes)} at once")
    return classifier


def classify_locally(
    files: Iterable[Path], classifier: "ImageClassifier", settings: Settings, top_k: int
) -> Iterator[Outcome]:
    """One outcome a file, in order. The next batch is decoded while one is classified."""
    preprocessing = classifier.config.preprocessing
    with ThreadPoolExecutor(settings.image.decode_threads, thread_name_prefix="decode") as pool:

        def read(file: Path) -> Pixels | Outcome:
            return read_pixels(file, preprocessing, settings)

        batch: list[tuple[Path, Pixels | Outcome]] = []
        for decoded in _ahead(pool, read, files, 2 * classifier.sizes.largest):
            batch.append(decoded)
            # It shrinks when the device's memory turns out to be too small.
            if len(batch) >= classifier.sizes.largest:
                yield from _classify(batch, classifier, top_k)
                batch = []
        yield from _classify(batch, classifier, top_k)


def read_pixels(file: Path, preprocessing: Preprocessing, settings: Settings) -> Pixels | Outcome:
    """The decoded picture, or why there is none; the limits are those of the service."""
    limit_bytes = settings.http.image_limit_bytes
    try:
        if file.exists() and not file.is_file():
            return failed(file, "file_unreadable", "The file cannot be read", "it is no plain file")
        with file.open("rb") as opened:
            data = opened.read(limit_bytes + 1)
    except OSError as error:
        return unreadable(file, error)
    if len(data) > limit_bytes:
        detail = f"a picture may have {limit_bytes:,} bytes (http.image_limit_bytes)"
        return Outcome(file, problem=BodyTooLarge(detail).problem())
    limits = ImageLimits(settings.image.max_pixels, settings.image.max_aspect_ratio)
    try:
        return decode(data, preprocessing, limits, settings.image.jpeg == "scaled")
    except ImageError as error:
        return Outcome(file, problem=IMAGE_ERRORS[error.code](str(error)).problem())


def _ahead(
    pool: ThreadPoolExecutor,
    read: Callable[[Path], Pixels | Outcome],
    files: Iterable[Path],
    count: int,
) -> Iterator[tuple[Path, Pixels | Outcome]]:
    """What `read` makes of each file, in order; at most `count` are read and not yet taken."""
    waiting: deque[tuple[Path, Future[Pixels | Outcome]]] = deque()
    for file in files:
        waiting.append((file, pool.submit(read, file)))
        if len(waiting) >= count:
            first, future = waiting.popleft()
            yield first, future.result()
    for first, future in waiting:
        yield first, future.result()


def _classify(
    batch: Sequence[tuple[Path, Pixels | Outcome]], classifier: "ImageClassifier", top_k: int
) -> Iterator[Outcome]:
    pictures = [pixels for _, pixels in batch if not isinstance(pixels, Outcome)]
    answers = iter(classifier.classify(pictures, [top_k] * len(pictures)))
    for file, pixels in batch:
        yield pixels if isinstance(pixels, Outcome) else _outcome(file, next(answers))


def _outcome(file: Path, answer: "tuple[Prediction, ...] | Exception") -> Outcome:
    if isinstance(answer, OutOfDeviceMemory):
        return Outcome(file, problem=OutOfMemory(str(answer)).problem())
    if isinstance(answer, Exception):
        return Outcome(file, problem=InternalError(str(answer)).problem())
    return Outcome(file, [asdict(prediction) for prediction in answer])
