"""The contact sheet of `scoring image classify --plot`."""

from collections.abc import Sequence
from pathlib import Path

from deployments.image.contact_sheet import MOST_ENTRIES, Entry, save_contact_sheet
from deployments.image.decoding import Preprocessing
from serve_app.cli.image_files import Outcome
from serve_app.cli.image_local import read_pixels
from serve_app.settings import Settings

_THUMBNAIL = Preprocessing(
    resize_size=256,
    crop_size=224,
    interpolation="bilinear",
    mean=(0.0, 0.0, 0.0),
    std=(1.0, 1.0, 1.0),
)
"""About the part of a picture that models see."""


def save_sheet(outcomes: Sequence[Outcome], path: Path, settings: Settings) -> int:
    """Writes the sheet; returns how many outcomes are on it.

    Raises:
        OSError: the sheet cannot be written
    """
    shown = outcomes[:MOST_ENTRIES]
    save_contact_sheet([_entry(outcome, settings) for outcome in shown], path)
    return len(shown)


def _entry(outcome: Outcome, settings: Settings) -> Entry:
    pixels = read_pixels(outcome.file, _THUMBNAIL, settings)
    return Entry(
        outcome.file.name,
        None if isinstance(pixels, Outcome) else pixels,
        [(item["label"], item["probability"]) for item in outcome.predictions],
        None if outcome.problem is None else str(outcome.problem.get("detail")),
    )
