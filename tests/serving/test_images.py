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


@pytest.mark.parametrize("data", [b"no picture", file("TIFF"), file("EPS")])
def test_what_is_none_of_the_formats_is_refused(data):
    with pytest.raises(ServingError) as refused:
        decode_image(data, (None, None, 3), UINT8)
    assert refused.value.message == f"The {len(data)} bytes sent are no JPEG, PNG, WebP, GIF or BMP picture."
