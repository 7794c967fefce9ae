import numpy as np
import pytest

from runtime.errors import InvalidImage
from runtime.images import Header, encode
from runtime.images.limits.dimensions import dimensions


@pytest.mark.parametrize("shape", [(3, 5), (17, 300, 3), (40, 9, 4)])
@pytest.mark.parametrize("header", [Header("PNG"), Header("TIFF"), Header("WEBP"), Header("WEBP", lossless=True)])
def test_the_size_is_read_from_the_header(shape, header):
    data = encode(np.random.default_rng(0).integers(0, 256, shape, np.uint8), header)
    assert dimensions(data, header.format) == (shape[1], shape[0])


@pytest.mark.parametrize("shape", [(3, 5), (17, 300, 3)])
def test_the_size_of_a_jpeg_is_that_of_its_frame(shape):
    data = encode(np.zeros(shape, np.uint8), Header("JPEG"))
    assert dimensions(data, "JPEG") == (shape[1], shape[0])


@pytest.mark.parametrize("format", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_a_file_without_its_header_states_no_size(format):
    data = encode(np.zeros((8, 8, 3), np.uint8), Header(format))
    for stop in (2, 8, 12, 16):
        with pytest.raises(InvalidImage):
            dimensions(data[:stop], format)
