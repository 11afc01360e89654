"""Which format some bytes are in; the bytes decide, never a file name or a declared type."""

import re

# Importing a plugin registers it in Image.OPEN. No other format of Pillow's is ever tried.
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from deployments.image.decoding.errors import ImageEmpty, ImageFormatUnsupported, NotAnImage

PLUGINS: dict[str, type[ImageFile.ImageFile]] = {
    "JPEG": JpegImagePlugin.JpegImageFile,
    "PNG": PngImagePlugin.PngImageFile,
    "WEBP": WebPImagePlugin.WebPImageFile,
    "GIF": GifImagePlugin.GifImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "TIFF": TiffImagePlugin.TiffImageFile,
    "AVIF": AvifImagePlugin.AvifImageFile,
}
"""Pillow's readers. Several pictures in one JPEG (MPO) are read as the first of them."""

FORMATS = tuple(PLUGINS)
"""The formats that are read."""

_SIGNATURES = {
    "JPEG": rb"\xff\xd8\xff",
    "PNG": rb"\x89PNG\r\n\x1a\n",
    "WEBP": rb"RIFF....WEBP",
    "GIF": rb"GIF8[79]a",
    "BMP": rb"BM",
    "TIFF": rb"II[*+]\x00|MM\x00[*+]",
    "AVIF": rb"....ftyp(?:avif|avis|mif1|msf1)",
}
_UNSUPPORTED = {
    "JPEG 2000": rb"\x00\x00\x00\x0cjP  |\xff\x4f\xff\x51",
    "JPEG XL": rb"\xff\x0a|\x00\x00\x00\x0cJXL ",
    "JPEG XR": rb"II\xbc",
    "HEIC": rb"....ftyp(?:hei[cmsx]|hev[cmsx])",
    "camera raw": rb"....ftypcrx |FUJIFILMCCD-RAW|IIR[OS]|IIU\x00|FOVb",
    "video": rb"....ftyp|\x1a\x45\xdf\xa3|RIFF....AVI ",
    "ICO": rb"\x00\x00[\x01\x02]\x00[^\x00]",
    "ICNS": rb"icns",
    "Photoshop": rb"8BPS",
    "SVG": rb"\s*(?:<\?xml.*?)?(?:<!--.*?-->\s*)?(?:<!DOCTYPE svg.*?)?<svg[\s>]",
    "PDF": rb"%PDF-",
    "PostScript": rb"%!PS|\xc5\xd0\xd3\xc6",
    "Netpbm": rb"P[1-7fF]\s",
    "PCX": rb"\x0a[\x00-\x05]\x01[\x01\x02\x04\x08]",
    "DDS": rb"DDS ",
    "QOI": rb"qoif",
    "OpenEXR": rb"v/1\x01",
    "Radiance HDR": rb"#\?R(?:ADIANC|GB)E",
    "DjVu": rb"AT&TFORM",
    "FITS": rb"SIMPLE  =",
    "SGI": rb"\x01\xda[\x00\x01][\x01\x02]",
    "Sun raster": rb"\x59\xa6\x6a\x95",
    "MNG": rb"\x8aMNG|\x8bJNG",
    "WMF or EMF": rb"\xd7\xcd\xc6\x9a|\x01\x00\x00\x00.{36} EMF",
    "XPM": rb"/\* XPM \*/",
    "TGA": rb"[^\x00]?.\x01[\x01\x09].{4}[\x0f\x10\x18\x20].{8}[\x08\x10\x18\x20][\x00-\x3f]"
    rb"|.\x00[\x02\x03\x0a\x0b]\x00{5}.{8}[\x08\x10\x18\x20][\x00-\x3f]",
}
_WEB_PAGE = re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype html|html|head|body)", re.IGNORECASE)
_PREFIX_BYTES = 1024


def format_of(data: bytes) -> str:
    """One of `FORMATS`.

    Raises:
        ImageEmpty: there are no bytes.
        ImageFormatUnsupported: a picture, a document or a video of another format.
        NotAnImage: anything else.
    """
    if not data:
        raise ImageEmpty("the file is empty")
    prefix = data[:_PREFIX_BYTES]
    for name, signature in _SIGNATURES.items():
        if re.match(signature, prefix, re.DOTALL):
            if name == "AVIF" and not _has_avif_brand(prefix):
                raise unsupported("HEIC")
            return name
    if _WEB_PAGE.match(prefix):
        raise NotAnImage("the file is no picture; it looks like a web page (HTML)")
    for name, signature in _UNSUPPORTED.items():
        if re.match(signature, prefix, re.DOTALL):
            raise unsupported(name)
    raise NotAnImage(f"the file is no picture in a known format (read are {', '.join(FORMATS)})")


def unsupported(name: str) -> ImageFormatUnsupported:
    """The error for a format or a variety of one, which `name` names."""
    return ImageFormatUnsupported(f"{name} is not supported; read are {', '.join(FORMATS)}")


def _has_avif_brand(prefix: bytes) -> bool:
    """HEIC and AVIF share a container; its brands tell them apart (ISO/IEC 23000-22)."""
    brands = prefix[8 : int.from_bytes(prefix[:4], "big")]
    return any(brands[i : i + 4] in (b"avif", b"avis") for i in range(0, len(brands), 4))
