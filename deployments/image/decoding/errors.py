"""Why a picture cannot be classified; the messages are meant for the client who sent it."""


class ImageError(ValueError):
    """A picture that cannot be classified."""

    code = "image_error"


class ImageEmpty(ImageError):
    """There is not a single byte."""

    code = "image_empty"


class NotAnImage(ImageError):
    """The bytes do not begin like a picture of any known format."""

    code = "not_an_image"


class ImageFormatUnsupported(ImageError):
    """A picture, but in a format, or a variety of one, that is not read."""

    code = "image_format_unsupported"


class ImageTruncated(ImageError):
    """The picture ends early, or its data is damaged."""

    code = "image_truncated"


class ImageTooManyPixels(ImageError):
    """The header announces more pixels than the limit."""

    code = "image_too_many_pixels"


class ImageTooExtremeShape(ImageError):
    """The longer side is too many times the shorter one."""

    code = "image_too_extreme_shape"


class ImageMetadataTooLarge(ImageError):
    """Text, EXIF or profiles over their limit, in bytes or in number."""

    code = "image_metadata_too_large"
