import io

import numpy as np
import PIL.Image
import pytest

from serving.errors import ServingError
from serving.images import decode_image

UINT8 = np.dtype(np.uint8)


def file(kind):
    data = io.BytesIO()
    PIL.Image.new("RGB", (2, 3), (10, 20, 30)).save(data, kind)
    return data.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "BMP"])
def test_picture_is_decoded_in_the_inputs_channels(kind):
    assert decode_image(file(kind), (3, 2, 3), UINT8).tolist() == [[[10, 20, 30]] * 2] * 3


@pytest.mark.parametrize("kind", ["JPEG", "MPO"])
def test_photograph_is_turned_upright_as_its_camera_noted(kind):
    exif = PIL.Image.Exif()
    exif[0x0112] = 6  # the camera was held a quarter turn clockwise
    sideways = np.zeros((8, 16, 3), np.uint8)
    sideways[:, 8:] = 255  # white at the right, which is down when the picture is upright
    data = io.BytesIO()
    photograph = PIL.Image.fromarray(sideways)
    several = {"save_all": True, "append_images": [photograph]} if kind == "MPO" else {}
    photograph.save(data, kind, exif=exif, **several)
    upright = decode_image(data.getvalue(), (None, None, 1), UINT8)
    assert upright.shape == (16, 8, 1)
    assert upright[:8].max() < 20 and upright[8:].min() > 235


def test_16_bits_of_grey_keep_the_high_ones():
    data = io.BytesIO()
    PIL.Image.fromarray(np.array([[0x1234, 0xFF00]], np.uint16)).save(data, "PNG")
    assert decode_image(data.getvalue(), (None, None, 1), UINT8).tolist() == [[[0x12], [0xFF]]]


@pytest.mark.parametrize("data", [b"no picture", file("TIFF"), file("EPS")])
def test_what_is_none_of_the_formats_is_refused(data):
    with pytest.raises(ServingError) as refused:
        decode_image(data, (None, None, 3), UINT8)
    assert refused.value.message == f"The {len(data)} bytes sent are no JPEG, PNG, WebP, GIF or BMP picture."
