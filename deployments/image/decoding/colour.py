"""From the colours of a file to sRGB: depths, transparency, inks and ICC profiles."""

import hashlib
import io
import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import (
    Image,
    ImageChops,
    ImageCms,
    ImageFile,
    ImageOps,
    ImagePalette,
    TiffImagePlugin,
)

_COLOUR_SPACES = {"L": "GRAY", "LA": "GRAY", "RGB": "RGB", "RGBA": "RGB", "CMYK": "CMYK"}
_TRANSFORMS_KEPT = 64
_SAME_LEVELS = 2
_SIGNED = 2
_LARGEST = np.float32(1e30)
_WHITES = (1.0, 255.0, 65535.0)

Transform = ImageCms.ImageCmsTransform


class ProfileTransforms:
    """Transforms to sRGB, by the digest of their profile and the mode; thread-safe.

    Building one takes milliseconds, and a service sees the same few profiles again and again.
    """

    def __init__(self, kept: int = _TRANSFORMS_KEPT):
        self._kept = kept
        self._known: OrderedDict[tuple[bytes, str], Transform | None] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, profile: bytes | None, mode: str) -> Transform | None:
        """None where a profile is absent, damaged, for other colours, or sRGB's own."""
        space = _COLOUR_SPACES.get(mode)
        if not profile or space is None:
            return None
        key = hashlib.sha256(profile).digest(), space
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
                return self._known[key]
        transform = _transform(profile, space)
        with self._lock:
            self._known[key] = transform
            if len(self._known) > self._kept:
                self._known.popitem(last=False)
        return transform


def _transform(profile: bytes, space: str) -> Transform | None:
    mode = "L" if space == "GRAY" else space
    try:
        source = ImageCms.getOpenProfile(io.BytesIO(profile))
        if source.profile.xcolor_space.strip() != space:
            return None
        transform = ImageCms.buildTransform(
            source,
            ImageCms.createProfile("sRGB"),
            mode,
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            # Without it, threads would share the last colour that was looked up.
            ImageCms.Flags.NOCACHE | ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
        return None if mode == "RGB" and _changes_nothing(transform) else transform
    # Damaged profiles raise PyCMSError, OSError, ValueError and more: an open set.
    except Exception:  # noqa: BLE001
        return None


def _changes_nothing(transform: Transform) -> bool:
    """Whether it is sRGB's own profile, of which there are many wordings: tried on a cube."""
    levels = np.linspace(0, 255, 18, dtype=np.uint8)
    cube = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(18, -1, 3)
    turned = np.asarray(transform.apply(Image.fromarray(cube)))
    return bool(np.abs(turned.astype(np.int16) - cube).max() <= _SAME_LEVELS)


def to_rgb(image: Image.Image, transform: Transform | None = None) -> Image.Image:
    """RGB of what `to_8_bits` returned: colours converted first, then alpha composed on white."""
    alpha = image.getchannel("A") if image.mode in ("LA", "RGBA") else None
    colours = image.convert(image.mode.rstrip("A")) if alpha else image
    rgb = transform.apply(colours) if transform else colours.convert("RGB")
    if alpha is None:
        return rgb
    white = Image.new("RGB", image.size, "white")
    white.paste(rgb, mask=alpha)
    return white


def prepare_to_load(image: ImageFile.ImageFile) -> None:
    """Puts right what Pillow knows of a header but leaves to the caller, before the pixels."""
    rawmode = str(image.tile[0][3]) if image.tile else ""
    key = image.info.get("transparency")
    if image.format == "PNG" and key is not None:
        # The transparent colour is stored in the file's depth, the pixels arrive in 8 bits.
        if rawmode in ("L;2", "L;4") or image.mode == "1":
            factor = {"L;2": 85, "L;4": 17}.get(rawmode, 255)
            image.info["transparency"] = min(key * factor, 255)
        elif rawmode == "RGB;16B":
            image.info["transparency"] = tuple(part >> 8 for part in key)
    image.info["upper_bytes"] = image.mode == "RGB" and ";16" in rawmode
    if isinstance(image, TiffImagePlugin.TiffImageFile) and image.mode == "P":
        colours = image.tag_v2[TiffImagePlugin.COLORMAP]
        if max(colours) < 256:
            # Some writers store 8 bits a colour where the format has 16.
            image.palette = ImagePalette.raw("RGB;L", bytes(colours))


def to_8_bits(image: Image.Image) -> Image.Image:
    """The loaded picture in mode L, LA, RGB, RGBA or CMYK, without loss where there are 8 bits."""
    mode = image.mode
    tags = getattr(image, "tag_v2", {})
    if mode in ("I", "F") or mode.startswith("I;16"):
        return _grey_to_8_bits(image, tags)
    if mode == "L" and tags.get(TiffImagePlugin.SAMPLEFORMAT, (1,))[0] == _SIGNED:
        return Image.fromarray(_scaled(np.asarray(image).view(np.int8)))
    if image.info.get("upper_bytes") and np.asarray(image).max() < 16:
        image = image.point(lambda level: level * 17)
    if mode == "La":
        return image.convert("LA")
    if mode in ("L", "RGB", "1") and "transparency" in image.info:
        return image.convert("LA" if mode == "L" else "RGBA")
    if mode in ("P", "PA"):
        return image.convert("RGBA" if image.has_transparency_data else "RGB")
    if mode == "RGBA" and image.format == "BMP" and not np.asarray(image)[..., 3].any():
        # Old programs leave the fourth byte zero without meaning that nothing is to be seen.
        return image.convert("RGB")
    if mode == "CMYK" and image.format == "JPEG" and "adobe" not in image.info:
        # Only Adobe's files store inverted inks; Pillow inverts every JPEG.
        return ImageChops.invert(image)
    return image if mode in _COLOUR_SPACES else image.convert("L" if mode == "1" else "RGB")


def _grey_to_8_bits(image: Image.Image, tags: Mapping[int, Any]) -> Image.Image:
    """Pillow's own conversion clips at 255, which whitens the picture."""
    values = np.asarray(image)
    if image.mode == "I" and tags.get(TiffImagePlugin.SAMPLEFORMAT, (1,))[0] != _SIGNED:
        values = values.view(np.uint32)
    grey = Image.fromarray(_scaled(values))
    if tags.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION) == 0:
        grey = ImageOps.invert(grey)
    if "transparency" in image.info:
        opaque = (values != image.info["transparency"]).astype(np.uint8) * 255
        grey.putalpha(Image.fromarray(opaque))
    return grey


def _scaled(values: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Grey in 8 bits: of 8, 10, 12 or 16 bits the fewest that hold the values, so that neither
    a 12-bit picture nor an 8-bit one in a 16-bit file comes out black; floats from 0 to 1, from
    0 to 255 or from 0 to 65535. What fits none of them is stretched from its darkest to its
    brightest value.
    """
    if values.dtype.kind == "f":
        values = np.clip(np.nan_to_num(values), -_LARGEST, _LARGEST).astype(np.float32)
    low, high = float(values.min()), float(values.max())
    if low >= 0 and high <= _WHITES[-1]:
        if values.dtype.kind != "f":
            shift = next(bits for bits in (8, 10, 12, 16) if high < 2**bits) - 8
            eight: NDArray[np.uint8] = (values.astype(np.uint16) >> shift).astype(np.uint8)
            return eight
        low, high = 0.0, next(white for white in _WHITES if high <= white)
    factor = 255 / max(high - low, 1e-30)
    scaled = (values.astype(np.float32) - np.float32(low)) * np.float32(factor)
    levels: NDArray[np.uint8] = np.clip(scaled, 0, 255).astype(np.uint8)
    return levels
