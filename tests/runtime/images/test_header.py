import pytest

from runtime.errors import InvalidImage
from runtime.images import MAX_PIXELS, Header
from runtime.images.header import check_size


def test_the_plainest_header_is_a_png_without_metadata():
    assert Header() == Header("PNG", icc_profile=None, exif=None, lossless=False)


def test_an_image_may_be_as_large_as_any_photograph_but_not_larger():
    check_size(20_000, MAX_PIXELS // 20_000)
    with pytest.raises(InvalidImage, match="500 megapixels: decode it yourself"):
        check_size(20_000, MAX_PIXELS // 20_000 + 1)
