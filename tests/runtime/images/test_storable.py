import numpy as np
import pytest

from runtime.errors import InvalidImage, UnsupportedType
from runtime.images import Header, check_storable, decode, encode
from runtime.images.storable import fit_depth

FULL = {np.uint8: 255, np.uint16: 65535, np.float32: 1}


@pytest.mark.parametrize("dtype", FULL)
@pytest.mark.parametrize("channels", [2, 4])
def test_full_alpha_need_not_be_stored(channels, dtype):
    pixels = np.full((16, 16, channels), FULL[dtype], dtype)
    pixels[..., :-1] = FULL[dtype] // 3 if dtype != np.float32 else 1 / 3
    check_storable(pixels, "JPEG")
    found, _ = decode(encode(pixels, Header("JPEG")))
    assert found.shape == ((16, 16) if channels == 2 else (16, 16, 3))
    assert (found == 85).all()


@pytest.mark.parametrize("dtype", FULL)
@pytest.mark.parametrize("channels", [2, 4])
def test_any_other_alpha_must_be(channels, dtype):
    pixels = np.full((16, 16, channels), FULL[dtype], dtype)
    pixels[5, 7, -1] = 0.99 if dtype == np.float32 else FULL[dtype] - 1
    for refuse in (lambda: check_storable(pixels, "JPEG"), lambda: encode(pixels, Header("JPEG"))):
        with pytest.raises(InvalidImage, match="no alpha channel, and this image is transparent: write PNG"):
            refuse()
    for format in ("PNG", "TIFF", "WEBP"):
        check_storable(pixels, format)


@pytest.mark.parametrize(
    ("format", "longest", "remedy"), [("JPEG", 65_500, "PNG"), ("WEBP", 16_383, "PNG"), ("PNG", 1_000_000, "TIFF")]
)
@pytest.mark.parametrize("axis", [0, 1])
def test_sides_have_a_limit(format, longest, remedy, axis):
    def strip(length):
        return np.zeros((length, 1, 3) if axis == 0 else (1, length, 3), np.uint8)

    check_storable(strip(longest), format)
    assert decode(encode(strip(longest), Header(format)))[0].shape == strip(longest).shape
    with pytest.raises(InvalidImage, match=rf"do not fit into {format} \(at most {longest} a side\): write .*{remedy}"):
        check_storable(strip(longest + 1), format)


def test_a_tiff_file_has_4_gigabytes():
    pixels = np.broadcast_to(np.float32(0), (20_000, 18_000, 3))
    with pytest.raises(InvalidImage, match="write it in parts"):
        check_storable(pixels, "TIFF")
    check_storable(pixels[:19_000], "TIFF")


@pytest.mark.parametrize("dtype", [bool, np.int32, np.complex64, np.int64])
@pytest.mark.parametrize("format", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_other_dtypes_are_not_stored(dtype, format):
    with pytest.raises(UnsupportedType, match="convert to uint8"):
        check_storable(np.zeros((4, 5), dtype), format)


def test_depth_is_reduced_to_what_a_format_stores():
    assert fit_depth(np.uint16([[0, 128, 129, 65535]]), "JPEG").tolist() == [[0, 0, 1, 255]]
    assert fit_depth(np.float32([[-1, 0.5, 2]]), "PNG").tolist() == [[0, 32768, 65535]]
    assert fit_depth(np.float16([[0.5]]), "TIFF").dtype == np.float16
    with np.errstate(all="raise"):
        assert fit_depth(np.array([[-1e300, np.inf]]), "PNG").tolist() == [[0, 65535]]


def test_only_tiff_stores_what_is_no_number():
    pixels = np.full((16, 16), np.nan, np.float32)
    assert np.isnan(decode(encode(pixels, Header("TIFF")))[0]).all()
    for format in ("PNG", "JPEG", "WEBP"):
        with pytest.raises(InvalidImage, match=f"holds NaN, which {format} cannot store"):
            encode(pixels, Header(format))
