"""From the bytes of a picture to the pixels that a model wants.

Pillow and numpy only, so that it can run where torch is not installed. It is thread-safe, and
Pillow releases the interpreter lock while it decompresses and resizes. It does not normalise:
pixels travel as uint8 and are normalised on the model's device. Gamma chunks of PNG are ignored.
"""

import io
import logging
import struct
import warnings
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageFile, JpegImagePlugin, TiffImagePlugin

from deployments.image.decoding.colour import ProfileTransforms, prepare_to_load, to_8_bits, to_rgb
from deployments.image.decoding.errors import (
    ImageEmpty,
    ImageError,
    ImageFormatUnsupported,
    ImageMetadataTooLarge,
    ImageTooExtremeShape,
    ImageTooManyPixels,
    ImageTruncated,
    NotAnImage,
)
from deployments.image.decoding.formats import FORMATS, PLUGINS, format_of, unsupported
from deployments.image.decoding.headers import DAMAGED, TOTAL_LIMIT_BYTES, check_header

__all__ = [
    "FORMATS",
    "ImageEmpty",
    "ImageError",
    "ImageFormatUnsupported",
    "ImageLimits",
    "ImageMetadataTooLarge",
    "ImageTooExtremeShape",
    "ImageTooManyPixels",
    "ImageTruncated",
    "Interpolation",
    "NotAnImage",
    "Preprocessing",
    "decode",
]

Interpolation = Literal["bilinear", "bicubic", "nearest"]

_RESAMPLING = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "nearest": Image.Resampling.NEAREST,
}
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_RLE_PIXELS = 1_500_000
_SHORT = 3
_transforms = ProfileTransforms()

# Pillow warns about odd metadata (EXIF, APNG, MPO) of pictures that are fine. Once here, because
# filters belong to the process: changing them for one call would race with other threads.
warnings.filterwarnings("ignore", module=r"PIL\.")
logging.getLogger("PIL").addHandler(logging.NullHandler())


@dataclass(frozen=True)
class Preprocessing:
    """What a model's weights ask of a picture: sizes in pixels, mean and std of values in 0..1.

    The shorter side is resized to resize_size and the centre cropped; with `stretch` the picture
    is resized to crop_size x crop_size, whatever its shape.
    """

    resize_size: int
    crop_size: int
    interpolation: Interpolation
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    stretch: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.crop_size <= self.resize_size:
            raise ValueError("crop_size must be positive and at most resize_size")
        if self.interpolation not in _RESAMPLING:
            raise ValueError(f"interpolation must be one of {', '.join(_RESAMPLING)}")


@dataclass(frozen=True)
class ImageLimits:
    """What a header may announce; anything beyond is refused before a pixel is decoded."""

    max_pixels: int = 50_000_000
    max_aspect_ratio: float = 20.0

    @property
    def max_pixels_unscaled(self) -> int:
        """Of formats that cannot be scaled while decoding, and of JPEGs that are not.

        16.8 megapixels are 0.1 to 0.4 s in every format.
        """
        return min(self.max_pixels, max(4096 * 4096, self.max_pixels // 3))


def decode(
    data: bytes,
    preprocessing: Preprocessing,
    limits: ImageLimits = ImageLimits(),
    scale_jpeg: bool = False,
) -> NDArray[np.uint8]:
    """The picture as RGB of shape (crop_size, crop_size, 3).

    For an RGB picture these are the pixels of torchvision's `weights.transforms()` before it
    converts to float: shorter side resized to resize_size with antialias, then the centre cropped.
    EXIF orientation is applied, ICC profiles are converted to sRGB, alpha is composed on white, 16
    bits are scaled to 8, and of an animation only the first frame is decoded. Colours with a
    profile are converted after resizing, in a fraction of the time: photographs in Adobe RGB differ
    by 0.14 levels in the mean.

    `scale_jpeg` decodes JPEGs at 1/2, 1/4 or 1/8 while that is at least twice resize_size; JPEGs
    over `limits.max_pixels_unscaled` always.

    Raises:
        ImageEmpty, NotAnImage, ImageFormatUnsupported, ImageTruncated, ImageTooManyPixels,
        ImageTooExtremeShape, ImageMetadataTooLarge
    """
    name = format_of(data)
    check_header(name, data)
    image = _open(name, data)
    _check_size(image, limits)
    if isinstance(image, JpegImagePlugin.JpegImageFile) and (
        scale_jpeg or image.width * image.height > limits.max_pixels_unscaled
    ):
        image.draft(None, (2 * preprocessing.resize_size,) * 2)
    try:
        prepare_to_load(image)
        frame = image.tile[0][1] if name == "GIF" else None
        image.load()
        picture = to_8_bits(image)
        if frame is not None and frame != (0, 0, *image.size):
            picture = _on_white(picture, frame)
        picture = _turn_upright(picture, image)
        transform = _transforms.find(image.info.get("icc_profile"), picture.mode)
        # Plain RGB pictures are converted first, as the weights' own transforms have it.
        if transform is None:
            picture = to_rgb(picture)
        return np.asarray(to_rgb(_resize(picture, preprocessing), transform))
    except Exception as error:  # an open set, as in _open
        raise ImageTruncated(DAMAGED) from error


def _open(name: str, data: bytes) -> ImageFile.ImageFile:
    """Reads the header only.

    It calls the plugins themselves because `Image.open` warns about large pictures by a limit of
    its own, which belongs to the process.
    """
    try:
        image = PLUGINS[name](io.BytesIO(data), "")
    except Image.DecompressionBombError as error:
        raise ImageTooManyPixels("the picture has too many pixels") from error
    # Damaged files make Pillow raise SyntaxError, struct.error, KeyError and more: an open set.
    except Exception as error:
        if name in ("TIFF", "BMP"):
            # Their headers are whole, as check_header saw, but tell of something that is not read.
            raise unsupported(f"this variety of {name}") from error
        raise ImageTruncated(DAMAGED) from error
    if _is_subsampled_and_raw(image):
        raise unsupported("uncompressed TIFF with subsampled colours")
    for kind in ("icc_profile", "exif", "xmp"):
        if len(image.info.get(kind) or b"") > TOTAL_LIMIT_BYTES:
            raise ImageMetadataTooLarge(f"more than {TOTAL_LIMIT_BYTES >> 20} MiB of {kind}")
    return image


def _is_subsampled_and_raw(image: Image.Image) -> bool:
    """Pillow would read such a TIFF as if every pixel had its own colours."""
    if not isinstance(image, TiffImagePlugin.TiffImageFile) or image.mode != "YCbCr":
        return False
    return bool(image.tag_v2.get(TiffImagePlugin.YCBCRSUBSAMPLING, (2, 2)) != (1, 1))


def _check_size(image: ImageFile.ImageFile, limits: ImageLimits) -> None:
    short, long = sorted(image.size)
    limit, reason = limits.max_pixels, ""
    if image.format != "JPEG":
        limit = limits.max_pixels_unscaled
        reason = f"; JPEGs may have {limits.max_pixels:,}"
    if image.tile and image.tile[0][0] == "bmp_rle":
        # Decoded in Python, byte by byte.
        limit, reason = min(limit, _RLE_PIXELS), " of run-length encoded BMPs"
    if short * long > limit:
        raise ImageTooManyPixels(
            f"the picture has {short * long:,} pixels, more than the limit of {limit:,}{reason}"
        )
    if long > short * limits.max_aspect_ratio:
        raise ImageTooExtremeShape(
            f"the picture is {image.width} x {image.height}: one side is more than"
            f" {limits.max_aspect_ratio:g} times the other"
        )


def _on_white(picture: Image.Image, frame: tuple[int, int, int, int]) -> Image.Image:
    """Nothing is drawn outside the first frame of a GIF; Pillow fills it with a colour."""
    white = Image.new("RGB", picture.size, "white")
    white.paste(to_rgb(picture.crop(frame)), frame)
    return white


def _turn_upright(picture: Image.Image, image: Image.Image) -> Image.Image:
    """Undoes the orientation that EXIF tells of; Pillow has done so for TIFF."""
    exif = image.info.get("exif")
    if image.format == "TIFF" or not isinstance(exif, bytes):
        return picture
    turn = _UPRIGHT.get(_orientation(exif.removeprefix(b"Exif\0\0")))
    return picture if turn is None else picture.transpose(turn)


def _orientation(exif: bytes) -> int:
    """The orientation (tag 0x0112) of an EXIF block, 1 where it is absent or damaged.

    Pillow would read every entry, and a hostile block has 65,535 of them.
    """
    order = "<" if exif[:2] == b"II" else ">"
    try:
        start = struct.unpack_from(order + "I", exif, 4)[0]
        for index in range(struct.unpack_from(order + "H", exif, start)[0]):
            tag, kind, _, value = struct.unpack_from(order + "HHIH", exif, start + 2 + 12 * index)
            if tag == ExifTags.Base.Orientation:
                return value if kind == _SHORT else 1
    except struct.error:
        return 1
    return 1


def _resize(image: Image.Image, preprocessing: Preprocessing) -> Image.Image:
    resampling, crop = _RESAMPLING[preprocessing.interpolation], preprocessing.crop_size
    if preprocessing.stretch:
        return image.resize((crop, crop), resampling)
    short, long = sorted(image.size)
    size = preprocessing.resize_size
    scaled = int(size * long / short)
    width, height = (size, scaled) if image.width <= image.height else (scaled, size)
    left, top = round((width - crop) / 2), round((height - crop) / 2)
    return image.resize((width, height), resampling).crop((left, top, left + crop, top + crop))
