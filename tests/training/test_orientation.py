import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from training import pictures
from training.orientation import orientation, upright
from training.signatures import decode

TAG = 0x0112


def photograph(suffix="JPEG", value=None, byte_order="<", others=()):
    """An encoded photograph of four different corners."""
    pixels = np.zeros((24, 40, 3), np.uint8)
    pixels[:12, :20], pixels[:12, 20:], pixels[12:, :20] = (250, 0, 0), (0, 250, 0), (0, 0, 250)
    exif = Image.Exif()
    exif.endian = byte_order
    for tag, text in others:
        exif[tag] = text
    if value is not None:
        exif[TAG] = value
    content = io.BytesIO()
    options = {"quality": 95, "subsampling": 0} if suffix == "JPEG" else {}
    Image.fromarray(pixels).save(content, suffix, exif=exif, **options)
    return content.getvalue()


@pytest.mark.parametrize("byte_order", ["<", ">"])
@pytest.mark.parametrize("value", range(1, 9))
def test_image_is_turned_as_pillow_turns_it(value, byte_order):
    content = photograph(value=value, byte_order=byte_order, others=[(0x010F, "a camera"), (0x0110, "a model")])
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(content))))
    image = tf.io.decode_image(content, channels=3, expand_animations=False)
    turned = upright(image, orientation(tf.constant(content)))
    assert turned.shape == expected.shape
    np.testing.assert_allclose(turned.numpy().astype(int), expected, atol=12)


@pytest.mark.parametrize(
    "content",
    [
        photograph(),
        photograph(value=0),
        photograph(value=9),
        photograph("PNG"),
        b"Exif\x00\x00MM but nothing more",
        b"\xff\xd8",
        b"",
    ],
)
def test_picture_without_a_valid_note_is_upright(content):
    assert orientation(tf.constant(content)) == 1


@pytest.mark.parametrize("suffix", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("value", [1, 3, 6])
def test_served_model_sees_a_phones_photograph_as_training_does(value, suffix):
    content = photograph(suffix, value)
    served = decode(tf.constant([content]), (16, 12, 3))[0].numpy().astype(int)
    np.testing.assert_allclose(served, pictures.decode(content, (16, 12, 3)), atol=12)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("is_grey", [True, False])
def test_served_model_sees_what_is_transparent_in_a_gif_as_training_does(is_grey, channels):
    pixels = np.full((12, 16, 3), (250, 120, 30), np.uint8)
    pixels[:, :8] = 90
    content = io.BytesIO()
    picture = Image.fromarray(pixels).convert("L") if is_grey else Image.fromarray(pixels).quantize(2)
    picture.save(content, "GIF", transparency=picture.getpixel((0, 0)))
    served = decode(tf.constant([content.getvalue()]), (12, 16, channels))[0].numpy().astype(int)
    assert served[:, :8].max() == 0
    np.testing.assert_allclose(served, pictures.decode(content.getvalue(), (12, 16, channels)), atol=1)
