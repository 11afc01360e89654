import struct

import numpy as np
import pytest
from PIL import Image, ImageCms

from deployments.image.decoding import decode
from deployments.image.decoding.colour import ProfileTransforms
from tests.deployments.image.decoding.encodings import grey_profile, png, rgb_profile
from tests.deployments.image.decoding.pictures import encoded, gradient, noise, preprocessing

RED, GREEN, BLUE = (0.64, 0.33), (0.30, 0.60), (0.15, 0.06)
SWAPPED = rgb_profile(BLUE, GREEN, RED)


class TestProfiles:
    @pytest.mark.parametrize("format_name", ["JPEG", "PNG", "TIFF", "WEBP", "AVIF"])
    def test_colours_are_those_of_the_profile(self, format_name: str) -> None:
        image = Image.new("RGB", (32, 32), (200, 100, 20))
        file = encoded(image, format_name, icc_profile=SWAPPED)
        np.testing.assert_allclose(decode(file, preprocessing())[0, 0], (20, 100, 200), atol=12)

    def test_grey_profiles_apply(self) -> None:
        image = Image.new("L", (32, 32), 55)  # 0.216 of the light when it is linear
        pixels = decode(encoded(image, icc_profile=grey_profile(1.0)), preprocessing())
        np.testing.assert_allclose(pixels[0, 0], 128, atol=2)

    @pytest.mark.parametrize("profile", [b"", b"\xff" * 300, grey_profile(1.0), SWAPPED[:200]])
    def test_profiles_that_do_not_fit_are_ignored(self, profile: bytes) -> None:
        plain = decode(encoded(gradient()), preprocessing())
        tagged = decode(encoded(gradient(), icc_profile=profile), preprocessing())
        np.testing.assert_array_equal(tagged, plain)

    def test_the_profile_of_srgb_changes_nothing(self) -> None:
        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
        plain = decode(encoded(noise(90, 80)), preprocessing())
        tagged = decode(encoded(noise(90, 80), icc_profile=profile), preprocessing())
        np.testing.assert_array_equal(tagged, plain)

    def test_white_is_laid_under_after_the_colours_are_converted(self) -> None:
        image = Image.new("RGBA", (32, 32), (55, 55, 55, 128))
        file = encoded(image, icc_profile=rgb_profile(RED, GREEN, BLUE, gamma=1.0))
        np.testing.assert_allclose(decode(file, preprocessing())[0, 0], (128 + 255) / 2, atol=2)

    def test_transforms_kept_are_bounded(self) -> None:
        transforms = ProfileTransforms(kept=2)
        profiles = [rgb_profile(RED, GREEN, BLUE, gamma) for gamma in (1.0, 1.4, 1.8)]
        found = [transforms.find(profile, "RGB") for profile in profiles]
        assert transforms.find(profiles[2], "RGB") is found[2]
        assert transforms.find(profiles[0], "RGB") is not found[0]


class TestTransparentColours:
    @pytest.mark.parametrize(("bits", "key"), [(1, 1), (2, 1), (4, 7), (8, 9), (16, 0x1234)])
    def test_grey(self, bits: int, key: int) -> None:
        samples = np.full((9, 9, 1), key, np.uint16)
        file = png(samples, bits, 0, ((b"tRNS", struct.pack(">H", key)),))
        assert (decode(file, preprocessing()) == 255).all()

    @pytest.mark.parametrize(("bits", "key"), [(8, (1, 2, 3)), (16, (300, 5000, 60000))])
    def test_colours(self, bits: int, key: tuple[int, int, int]) -> None:
        file = png(np.full((9, 9, 3), key), bits, 2, ((b"tRNS", struct.pack(">3H", *key)),))
        assert (decode(file, preprocessing()) == 255).all()
