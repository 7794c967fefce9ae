from runtime.images import Header


def test_the_plainest_header_is_a_png_without_metadata():
    assert Header() == Header("PNG", icc_profile=None, exif=None, lossless=False)
