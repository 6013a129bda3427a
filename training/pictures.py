"""Encoded pictures of any format Pillow opens, decoded and resized to one shape on every core."""

import concurrent.futures
import io
import os

import numpy as np
from PIL import Image, ImageOps

OWN_SIZE_LIMIT = 96  # pixels a side; pictures of one size up to this keep it
DEFAULT_SIZE = 64  # a side, for pictures that differ in size or are larger
MOST_PIXELS = 10**9  # of a picture: five times the largest photographs
HEIC = (b"ftypheic", b"ftypheix", b"ftypmif1")  # what files of Apple's telephones begin with, after four bytes


def read(contents, image_size=None, channels=None):
    """(uint8 images [M, H, W, C], bool [N] true for the M of the N `contents` that are whole pictures).

    Args:
        contents: each a Path or the bytes of a file.
        image_size: H and W; by default see `common_shape`.
        channels: C, 1 or 3; by default see there too.
    """
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        headers = list(pool.map(header, contents))
        shape = common_shape([each for each in headers if each], image_size, channels)
        images = np.zeros((len(contents), *shape), np.uint8)
        is_read = list(pool.map(lambda job: decode_into(images[job[0]], job[1]), enumerate(contents)))
    is_read = np.array(is_read, bool)
    return (images if is_read.all() else images[is_read]), is_read


def header(content):
    """((width, height), whether it is greyscale), or None for what is no picture."""
    try:
        with opened(content) as picture:
            return picture.size, picture.mode in ("1", "L", "LA", "I", "F") or picture.mode.startswith("I;16")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None


def common_shape(headers, image_size, channels):
    """(H, W, C): the channels asked for, or one where every picture is greyscale, else 3; the size asked for, or the
    pictures' own where they share one of at most OWN_SIZE_LIMIT a side, else DEFAULT_SIZE."""
    sizes = {size for size, _ in headers}
    channels = channels or (1 if headers and all(is_grey for _, is_grey in headers) else 3)
    if image_size:
        return image_size, image_size, channels
    if len(sizes) == 1 and max(max(sizes)) <= OWN_SIZE_LIMIT:
        width, height = sizes.pop()
        return height, width, channels
    return DEFAULT_SIZE, DEFAULT_SIZE, channels


def decode_into(target, content):
    """Fills `target`, uint8 [H, W, C], with the picture; False where it cannot be decoded."""
    try:
        target[...] = decode(content, target.shape)
    except Exception:  # damaged files get struct.error, KeyError and more out of Pillow's decoders
        return False
    return True


def decode(content, shape):
    """The picture as uint8 `shape` (H, W, C), decoded and stretched to fit as the exported graph does it."""
    height, width, channels = shape
    with opened(content) as picture:
        # JPEG only: skips detail that the resize would drop. At twice the size a photograph's pixels would be up to 30
        # levels from the exported graph's, at 8 times 4.
        picture.draft("RGB", (8 * width, 8 * height))
        upright = eight_bits(picture)
        if picture.format not in ("PNG", "WEBP"):  # whose notes the exported graph does not read
            upright = ImageOps.exif_transpose(upright)
        if upright.mode == "P" or picture.format == "GIF":
            upright = upright.convert("RGBA")  # keeps Pillow from warning about transparent palettes
        if picture.format == "GIF":  # TensorFlow has black where one is transparent
            upright = Image.alpha_composite(Image.new("RGBA", upright.size, "black"), upright)
        upright = upright.convert("L" if channels == 1 else "RGB")
        return np.asarray(upright.resize((width, height), Image.Resampling.BILINEAR)).reshape(shape)


def eight_bits(picture):
    """16-bit greyscale keeps its high byte, where Pillow would clip it to white."""
    if not picture.mode.startswith("I"):
        return picture
    return Image.fromarray((np.asarray(picture).astype("uint16") >> 8).astype("uint8"))


def opened(content):
    """The picture as Pillow opens it: of what is in the file, only the header is read yet."""
    Image.MAX_IMAGE_PIXELS = MOST_PIXELS // 2  # Pillow warns from there, and refuses from twice as many
    return Image.open(io.BytesIO(content) if isinstance(content, bytes) else content)


def fault(content):
    """Why `decode_into` could not read `content`."""
    try:
        opened(content).close()
        return "damaged or cut short"
    except Image.DecompressionBombError:
        return f"a picture of more than {MOST_PIXELS:,} pixels; make it smaller"
    except Exception:
        first = start(content)
        if first[4:12] in HEIC:
            return "HEIC, a format that is not read; save it as JPEG"
        return "no picture of a format that is read" if first else "empty"


def start(content):
    """The first bytes, none where there is nothing to read."""
    if isinstance(content, bytes):
        return content[:12]
    try:
        with open(content, "rb") as file:
            return file.read(12)
    except OSError:
        return b""
