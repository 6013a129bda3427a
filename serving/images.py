"""Pictures sent in place of numbers: JPEG, PNG, WebP, GIF or BMP bytes to the array that an image input takes."""

import io

import numpy as np

from serving.errors import Code, ServingError

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP")  # as `encoded` takes; others of Pillow's start programs
MODES = {1: "L", 3: "RGB"}


def decode_image(data: bytes, shape: tuple[int | None, ...], dtype: np.dtype) -> np.ndarray:
    """One picture as an image input takes it: upright, and resized (bilinear) to the input's height and width if fixed.

    Args:
        data: the file's bytes.
        shape: the input's without the batch dimension: (height or None, width or None, 1 or 3).
        dtype: the input's; values stay 0..255.

    Returns:
        `dtype` [height, width, channels].

    Raises:
        ServingError: INVALID_ARGUMENT when the bytes are no picture or the input takes none.
    """
    import PIL.Image  # only the few servers that are sent pictures this way need it
    import PIL.ImageOps

    height, width, channels = shape
    if channels not in MODES:
        raise ServingError(
            Code.INVALID_ARGUMENT,
            f"A picture fits an input of 1 or 3 channels; this input has {channels}. Send numbers.",
        )
    try:
        picture: PIL.Image.Image = PIL.Image.open(io.BytesIO(data), formats=FORMATS)
        if picture.format in ("JPEG", "MPO"):  # MPO: a JPEG with others behind it, as telephones write it
            picture = PIL.ImageOps.exif_transpose(picture)
        if picture.mode.startswith("I;16"):  # Pillow would clip what is above 255 to white
            picture = PIL.Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
        picture = picture.convert(MODES[channels])
    except Exception as error:  # damaged files get struct.error, KeyError and more out of Pillow's decoders
        why = "" if isinstance(error, PIL.UnidentifiedImageError) else f": {error}"
        raise ServingError(
            Code.INVALID_ARGUMENT, f"The {len(data)} bytes sent are no JPEG, PNG, WebP, GIF or BMP picture{why}."
        ) from error
    size = (width or picture.width, height or picture.height)
    if picture.size != size:
        picture = picture.resize(size, PIL.Image.Resampling.BILINEAR)
    return np.asarray(picture, dtype=dtype).reshape(size[1], size[0], channels)
