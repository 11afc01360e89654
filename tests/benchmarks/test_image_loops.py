"""The loops beside the application, on a small network."""

from pathlib import Path

from PIL import Image

from benchmarks import image_loops


def test_weights_are_made_where_nothing_was_measured_before(tmp_path: Path) -> None:
    pictures = [tmp_path / f"{colour}.png" for colour in ("red", "green", "blue")]
    for path in pictures:
        Image.new("RGB", (64, 64), path.stem).save(path)
    loops, classes = image_loops.make("shufflenet_v2_x0_5", pictures, tmp_path / "new" / "folder")
    assert loops.weights.stat().st_size > 1_000_000
    assert len(set(classes)) == len(pictures)
