"""From the bytes of a picture to the pixels that a model wants.

Pillow and numpy only, so that it can run where torch is not installed. It is thread-safe, and
Pillow releases the interpreter lock while it decompresses and resizes. It does not normalise:
pixels travel as uint8 and are normalised on the model's device. ICC profiles are not applied.
"""

import io
import warnings
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

# Importing a plugin registers it in Image.OPEN. No other format of Pillow's is ever tried.
from PIL import (
    AvifImagePlugin,  # noqa: F401
    BmpImagePlugin,  # noqa: F401
    ExifTags,
    GifImagePlugin,  # noqa: F401
    Image,
    ImageChops,
    JpegImagePlugin,  # noqa: F401
    PngImagePlugin,  # noqa: F401
    TiffImagePlugin,  # noqa: F401
    WebPImagePlugin,  # noqa: F401
)

Interpolation = Literal["bilinear", "bicubic"]

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
"""The formats that are read; the bytes decide, never a file name or a declared type."""

_RESAMPLING = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
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
_DAMAGED = "the picture is truncated, damaged, or stored in an unsupported way"

# Pillow warns about odd metadata (EXIF, APNG, MPO) of pictures that are fine. Once here, because
# filters belong to the process: changing them for one call would race with other threads.
warnings.filterwarnings("ignore", module=r"PIL\.")


class ImageError(ValueError):
    """A picture that cannot be classified; the message is meant for the client who sent it."""

    code = "image_error"


class NotAnImage(ImageError):
    """The bytes do not begin like a picture of any format in `FORMATS`."""

    code = "not_an_image"


class ImageTruncated(ImageError):
    """The picture ends early, or its data is damaged or of an unsupported variety."""

    code = "image_truncated"


class ImageTooManyPixels(ImageError):
    """The header announces more pixels than the limit."""

    code = "image_too_many_pixels"


class ImageTooExtremeShape(ImageError):
    """The longer side is too many times the shorter one."""

    code = "image_too_extreme_shape"


@dataclass(frozen=True)
class Preprocessing:
    """What a model's weights ask of a picture: sizes in pixels, mean and std of values in 0..1."""

    resize_size: int
    crop_size: int
    interpolation: Interpolation
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

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


def decode(
    data: bytes, preprocessing: Preprocessing, limits: ImageLimits = ImageLimits()
) -> NDArray[np.uint8]:
    """The picture as RGB of shape (crop_size, crop_size, 3).

    For an RGB picture these are the pixels of torchvision's `weights.transforms()` before it
    converts to float: shorter side resized to resize_size with antialias, then the centre cropped.
    EXIF orientation is applied, alpha is composed on white, of 16 bits the upper 8 count, other
    grey depths are stretched from black to white, and of an animation only the first frame is
    decoded.

    Raises:
        NotAnImage, ImageTruncated, ImageTooManyPixels, ImageTooExtremeShape
    """
    image = _open(data)
    _check_size(image.size, limits)
    try:
        image.load()
        rgb = _to_rgb(_turn_upright(image))
    except Exception as error:  # an open set, as in _open
        raise ImageTruncated(_DAMAGED) from error
    return np.asarray(_crop_centre(_resize(rgb, preprocessing), preprocessing.crop_size))


def _open(data: bytes) -> Image.Image:
    """Reads the header only.

    It calls the plugins themselves because `Image.open` warns about large pictures by a limit of
    its own, which belongs to the process.
    """
    prefix = data[:16]
    for name in FORMATS:
        factory, accept = Image.OPEN[name]
        if accept is None or accept(prefix) is not True:
            continue
        try:
            return factory(io.BytesIO(data), "")
        except Image.DecompressionBombError as error:
            raise ImageTooManyPixels("the picture has too many pixels") from error
        # Damaged files make Pillow raise SyntaxError, struct.error, KeyError and more: an open set.
        except Exception as error:
            raise ImageTruncated(_DAMAGED) from error
    raise NotAnImage(f"the bytes are no picture in a supported format ({', '.join(FORMATS)})")


def _check_size(size: tuple[int, int], limits: ImageLimits) -> None:
    short, long = sorted(size)
    if short < 1:
        raise ImageTruncated(_DAMAGED)
    if short * long > limits.max_pixels:
        raise ImageTooManyPixels(
            f"the picture has {short * long:,} pixels, more than the limit of {limits.max_pixels:,}"
        )
    if long > short * limits.max_aspect_ratio:
        raise ImageTooExtremeShape(
            f"the picture is {size[0]} x {size[1]}: one side is more than"
            f" {limits.max_aspect_ratio:g} times the other"
        )


def _turn_upright(image: Image.Image) -> Image.Image:
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # noqa: BLE001 - damaged metadata (an open set of errors) spoils no pixels
        return image
    turn = _UPRIGHT.get(orientation) if isinstance(orientation, int) else None
    return image if turn is None else image.transpose(turn)


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return _grey_to_8_bits(image).convert("RGB")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        white = Image.new("RGB", image.size, "white")
        white.paste(rgba, mask=rgba)
        return white
    if image.mode == "CMYK" and image.format == "JPEG" and "adobe" not in image.info:
        # Only Adobe's files store inverted inks; Pillow inverts every JPEG.
        image = ImageChops.invert(image)
    return image.convert("RGB")


def _grey_to_8_bits(image: Image.Image) -> Image.Image:
    """Pillow's own conversion clips at 255, which whitens the picture."""
    values = np.asarray(image)
    if values.dtype.itemsize == 2:
        return Image.fromarray((values >> 8).astype(np.uint8))
    values = np.nan_to_num(values.astype(np.float32))
    low, high = values.min(), values.max()
    return Image.fromarray(((values - low) * (255 / max(high - low, 1e-30))).astype(np.uint8))


def _resize(image: Image.Image, preprocessing: Preprocessing) -> Image.Image:
    short, long = sorted(image.size)
    size = preprocessing.resize_size
    scaled = int(size * long / short)
    width, height = (size, scaled) if image.width <= image.height else (scaled, size)
    return image.resize((width, height), _RESAMPLING[preprocessing.interpolation])


def _crop_centre(image: Image.Image, size: int) -> Image.Image:
    left = round((image.width - size) / 2)
    top = round((image.height - size) / 2)
    return image.crop((left, top, left + size, top + size))
