import struct
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as reference

from deployments.image.decoding import FORMATS, Interpolation, Preprocessing, decode
from tests.deployments.image.conftest import Photograph
from tests.deployments.image.decoding.pictures import (
    damaged_exif,
    encoded,
    gradient,
    noise,
    preprocessing,
)


def by_torchvision(image: Image.Image, wanted: Preprocessing) -> NDArray[np.uint8]:
    mode = InterpolationMode(wanted.interpolation)
    resized = reference.resize(image, [wanted.resize_size], mode, antialias=True)
    return np.asarray(reference.center_crop(resized, [wanted.crop_size]))


class TestPixels:
    @pytest.mark.parametrize(
        "wanted",
        [
            preprocessing(256),
            preprocessing(232),
            preprocessing(384, 384, "bicubic"),
            preprocessing(255, 240, "bicubic"),
        ],
    )
    def test_photographs_equal_torchvision(
        self, photographs: list[Photograph], wanted: Preprocessing
    ) -> None:
        for photograph in photographs[:10]:
            with Image.open(photograph.path) as image:
                expected = by_torchvision(image.convert("RGB"), wanted)
            np.testing.assert_array_equal(decode(photograph.path.read_bytes(), wanted), expected)

    @settings(max_examples=60, deadline=None)
    @given(
        st.integers(1, 600),
        st.floats(1, 20),
        st.booleans(),
        st.sampled_from(["bilinear", "bicubic"]),
    )
    def test_every_size_equals_torchvision(
        self, short: int, ratio: float, upright: bool, interpolation: Interpolation
    ) -> None:
        long = min(int(short * ratio), 1200)
        image = noise(*((short, long) if upright else (long, short)))
        wanted = preprocessing(67, 58, interpolation)
        expected = by_torchvision(image, wanted)
        np.testing.assert_array_equal(decode(encoded(image, "BMP"), wanted), expected)

    @pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
    def test_stretched_to_a_square(self, interpolation: Interpolation) -> None:
        image = noise(300, 90)
        wanted = replace(preprocessing(64, 48, interpolation), stretch=True)
        resampling = Image.Resampling[interpolation.upper()]
        expected = np.asarray(image.resize((48, 48), resampling))
        np.testing.assert_array_equal(decode(encoded(image), wanted), expected)

    def test_one_pixel_is_a_picture(self) -> None:
        pixels = decode(encoded(Image.new("RGB", (1, 1), (9, 8, 7))), preprocessing())
        assert pixels.shape == (224, 224, 3)
        assert pixels.dtype == np.uint8
        assert (pixels == (9, 8, 7)).all()

    def test_threads_do_not_disturb_each_other(self) -> None:
        files = [encoded(noise(200 + i, 150, i), "JPEG") for i in range(8)]
        alone = [decode(file, preprocessing()) for file in files]
        with ThreadPoolExecutor(8) as pool:
            together = pool.map(lambda file: decode(file, preprocessing()), files * 4)
        for index, pixels in enumerate(together):
            np.testing.assert_array_equal(pixels, alone[index % 8])


class TestEncodings:
    def test_formats(self) -> None:
        image = gradient()
        expected = decode(encoded(image), preprocessing()).astype(int)
        for name in FORMATS:
            options = {"lossless": True} if name == "WEBP" else {}
            pixels = decode(encoded(image, name, **options), preprocessing())
            assert np.abs(pixels - expected).mean() < 4, name

    @pytest.mark.parametrize("orientation", range(1, 9))
    @pytest.mark.parametrize("format_name", ["JPEG", "PNG", "TIFF", "WEBP", "AVIF"])
    def test_orientation_is_undone_once(self, orientation: int, format_name: str) -> None:
        turned_by = {
            2: Image.Transpose.FLIP_LEFT_RIGHT,
            3: Image.Transpose.ROTATE_180,
            4: Image.Transpose.FLIP_TOP_BOTTOM,
            5: Image.Transpose.TRANSPOSE,
            6: Image.Transpose.ROTATE_90,
            7: Image.Transpose.TRANSVERSE,
            8: Image.Transpose.ROTATE_270,
        }
        stored = gradient()
        if orientation in turned_by:
            stored = stored.transpose(turned_by[orientation])
        exif = Image.Exif()
        exif[0x0112] = orientation
        pixels = decode(encoded(stored, format_name, exif=exif), preprocessing())
        expected = decode(encoded(gradient()), preprocessing()).astype(int)
        assert np.abs(pixels - expected).mean() < 3

    @pytest.mark.filterwarnings("ignore:::PIL")
    def test_damaged_metadata_spoils_nothing(self) -> None:
        plain = encoded(gradient(), "JPEG")
        pixels = decode(encoded(gradient(), "JPEG", exif=damaged_exif()), preprocessing())
        np.testing.assert_array_equal(pixels, decode(plain, preprocessing()))

    @pytest.mark.parametrize("mode", ["RGBA", "LA"])
    def test_transparent_is_white(self, mode: str) -> None:
        assert (decode(encoded(Image.new(mode, (20, 20), 0)), preprocessing()) == 255).all()

    def test_half_transparent_mixes_with_white(self) -> None:
        pixels = decode(encoded(Image.new("RGBA", (9, 9), (0, 100, 200, 128))), preprocessing())
        assert np.abs(pixels - np.array([127.0, 177, 227])).max() <= 1

    def test_transparent_colour_of_a_palette_is_white(self) -> None:
        image = Image.new("P", (20, 20), 3)
        image.putpalette([10, 20, 30] * 4)
        pixels = decode(encoded(image, transparency=3), preprocessing())
        assert (pixels == 255).all()

    @pytest.mark.parametrize("format_name", ["PNG", "TIFF"])
    def test_16_bit_grey_is_scaled(self, format_name: str) -> None:
        ramp = np.tile(np.linspace(0, 65535, 256).astype(np.uint16), (256, 1))
        pixels = decode(encoded(Image.fromarray(ramp), format_name), preprocessing())
        expected = decode(encoded(Image.fromarray((ramp >> 8).astype(np.uint8))), preprocessing())
        np.testing.assert_array_equal(pixels, expected)

    @pytest.mark.parametrize("dtype", [np.int32, np.float32])
    def test_other_grey_depths_are_stretched(self, dtype: type[np.generic]) -> None:
        ramp = np.tile(np.linspace(-3000, 90000, 256).astype(dtype), (256, 1))
        pixels = decode(encoded(Image.fromarray(ramp), "TIFF"), preprocessing(256, 256))
        np.testing.assert_allclose(pixels[0, :, 0], np.arange(256), atol=1)

    def test_a_flat_float_picture_is_black(self) -> None:
        flat = Image.fromarray(np.full((5, 5), np.nan, np.float32))
        assert (decode(encoded(flat, "TIFF"), preprocessing()) == 0).all()

    def test_cmyk_inks_are_inverted_only_where_the_file_says_so(self) -> None:
        def without_adobe_marker(file: bytes) -> bytes:
            start = file.index(b"\xff\xee")
            length = struct.unpack(">H", file[start + 2 : start + 4])[0]
            return file[:start] + file[start + 2 + length :]

        cyan, inverse = (255, 0, 0, 0), (0, 255, 255, 255)
        adobe = encoded(Image.new("CMYK", (16, 16), cyan), "JPEG")
        plain = without_adobe_marker(encoded(Image.new("CMYK", (16, 16), inverse), "JPEG"))
        for file in (adobe, plain):
            np.testing.assert_allclose(decode(file, preprocessing())[0, 0], (0, 255, 255), atol=3)

    @pytest.mark.parametrize("format_name", ["GIF", "PNG", "WEBP", "TIFF"])
    def test_first_frame_of_an_animation(self, format_name: str) -> None:
        red, blue = (Image.new("RGB", (40, 40), colour) for colour in ("red", "blue"))
        options = {"lossless": True} if format_name == "WEBP" else {}
        file = encoded(red, format_name, save_all=True, append_images=[blue] * 3, **options)
        assert (decode(file, preprocessing()) == (255, 0, 0)).all()

    def test_later_frames_are_not_decoded(self) -> None:
        frames = [noise(40, 40, seed) for seed in range(3)]
        file = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
        pixels = decode(file[: len(file) * 2 // 3], preprocessing())
        np.testing.assert_array_equal(pixels, decode(file, preprocessing()))
