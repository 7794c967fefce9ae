import io

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps, JpegImagePlugin

from runtime.errors import InvalidImage, OutOfMemory, UnsupportedType
from runtime.images import Header, decode, encode, png
from tests.runtime.images.samples import (
    EXIF,
    ORIENTATION,
    exif_block,
    icc_profile,
    random_pixels,
    save,
    smooth_pixels,
    tags,
)

LOSSLESS = [
    *(("PNG", np.uint8, channels) for channels in (1, 2, 3, 4)),
    *(("PNG", np.uint16, channels) for channels in (1, 3, 4)),
    *(("TIFF", np.uint8, channels) for channels in (1, 2, 3, 4)),
    *(("TIFF", np.uint16, channels) for channels in (1, 2, 3, 4)),
    *(("TIFF", dtype, channels) for dtype in (np.float16, np.float32, np.float64) for channels in (1, 3)),
    *(("WEBP", np.uint8, channels) for channels in (3, 4)),
]
FORMATS = ["PNG", "JPEG", "TIFF", "WEBP"]


@pytest.mark.parametrize(("format", "dtype", "channels"), LOSSLESS)
@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1), (33, 21)], ids=str)
def test_pixels_and_metadata_come_back(format, dtype, channels, size, rng):
    pixels = random_pixels(rng, dtype, channels, size)
    header = Header(format, icc_profile(), exif_block(), lossless=format == "WEBP")
    found, found_header = decode(encode(pixels, header))
    assert found.dtype == dtype
    assert np.array_equal(found, pixels)
    assert found_header.icc_profile == header.icc_profile
    assert (found_header.format, found_header.lossless) == (header.format, header.lossless)
    known = tags(header.exif)
    if format == "TIFF":  # has no orientation tag if the image is upright
        del known[ORIENTATION]
    assert tags(found_header.exif) == known


@given(
    st.binary(max_size=300), st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF", b"II*\0", b"MM\0*"])
)
def test_garbage_is_refused_whatever_it_starts_with(data, magic):
    with pytest.raises(InvalidImage) as caught:
        decode(magic + data)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("format", "dtype"),
    [
        ("PNG", np.uint8),
        ("PNG", np.uint16),
        ("JPEG", np.uint8),
        ("TIFF", np.uint8),
        ("TIFF", np.uint16),
        ("WEBP", np.uint8),
    ],
)
@pytest.mark.parametrize("share", [0.01, 0.3, 0.6, 0.9])
def test_a_file_cut_short_is_refused_and_nothing_is_printed(format, dtype, share, rng, capfd):
    data = encode(random_pixels(rng, dtype, 3, (64, 64)), Header(format))
    with pytest.raises(InvalidImage, match=r"intact copy|convert it"):
        decode(data[: int(len(data) * share)])
    assert capfd.readouterr() == ("", "")


def test_jpeg_is_written_at_high_quality_with_full_colour():
    data = encode(smooth_pixels(), Header("JPEG", icc_profile(), exif_block()))
    pixels, header = decode(data)
    assert np.abs(pixels.astype(int) - smooth_pixels()).max() <= 4
    assert (header.format, header.icc_profile) == ("JPEG", icc_profile())
    assert tags(header.exif) == tags(exif_block())
    with Image.open(io.BytesIO(data)) as image:
        assert JpegImagePlugin.get_sampling(image) == 0
        assert max(image.quantization[0]) <= 12


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_once(format, orientation):
    stored = Image.fromarray(smooth_pixels())
    options = {"lossless": True} if format == "WEBP" else {"quality": 100} if format == "JPEG" else {}
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    data = save(stored, format, exif=exif, **options)
    stored.getexif()[ORIENTATION] = orientation
    upright = np.asarray(ImageOps.exif_transpose(stored)).astype(int)
    pixels, header = decode(data)
    assert pixels.shape == upright.shape
    assert np.abs(pixels - upright).max() <= (6 if format == "JPEG" else 0)
    again, header = decode(encode(pixels, header))
    assert again.shape == upright.shape
    assert np.abs(again - upright).max() <= (8 if format == "JPEG" else 0)
    assert header.exif is None or tags(header.exif)[ORIENTATION] == 1


def test_maker_notes_and_the_like_stay_byte_for_byte():
    data = save(Image.fromarray(smooth_pixels()), "JPEG", exif=b"Exif\0\0" + exif_block(orientation=6))
    _, header = decode(data)
    assert header.exif == exif_block(orientation=1)
    assert tags(header.exif)[EXIF][0x927C] == b"maker note\0raw"


@pytest.mark.parametrize(
    ("dtype", "format", "depth"),
    [(np.uint16, "JPEG", np.uint8), (np.uint16, "WEBP", np.uint8), (np.float32, "PNG", np.uint16)],
)
def test_depth_that_a_format_lacks_is_rounded(dtype, format, depth):
    full, fine = (65535, 257 * 100 + 200) if dtype == np.uint16 else (1, 0.4)
    pixels = np.full((16, 16, 3), fine, dtype)
    found, _ = decode(encode(pixels, Header(format, lossless=True)))
    assert found.dtype == depth
    assert (found == round(float(pixels[0, 0, 0]) / full * np.iinfo(depth).max)).all()


def test_floats_beyond_one_are_clipped_where_a_format_holds_integers():
    found, _ = decode(encode(np.float32([[-1, 2]]), Header("PNG")))
    assert found.tolist() == [[0, 65535]]


def test_one_channel_is_written_as_grey():
    assert decode(encode(np.zeros((4, 5, 1), np.uint8), Header("JPEG")))[0].shape == (4, 5)


@pytest.mark.parametrize("dtype", [bool, np.int32, np.complex64])
def test_other_dtypes_are_not_written(dtype):
    with pytest.raises(UnsupportedType, match="convert to uint8"):
        encode(np.zeros((4, 5), dtype), Header("PNG"))


@pytest.mark.parametrize("channels", [2, 4])
def test_alpha_does_not_vanish_into_a_jpeg(channels):
    with pytest.raises(InvalidImage, match="write PNG, TIFF or WebP"):
        encode(np.zeros((4, 5, channels), np.uint8), Header("JPEG"))


def failing(error):
    def fail(*_, **__):
        raise error

    return fail


def opencv_error(code):
    error = cv2.error("Insufficient memory")
    error.code = code
    return error


SHORT_OF_MEMORY = [MemoryError(), opencv_error(-4), OSError("out of memory error when reading image file")]


@pytest.mark.parametrize("error", SHORT_OF_MEMORY, ids=lambda error: type(error).__name__)
def test_memory_that_runs_out_says_so_whoever_notices(error, monkeypatch):
    pixels = np.zeros((4, 5, 3), np.uint16)
    data = encode(pixels, Header("PNG"))
    monkeypatch.setattr(png, "decode", failing(error))
    monkeypatch.setattr(png, "encode", failing(error))
    with pytest.raises(OutOfMemory, match="the memory is too small to read the PNG image: give parts of it, or use"):
        decode(data)
    with pytest.raises(OutOfMemory, match="the memory is too small to write a PNG image: give parts of it, or use"):
        encode(pixels, Header("PNG"))


def test_pillow_without_memory_is_not_taken_for_an_image_that_does_not_fit(monkeypatch):
    monkeypatch.setattr(Image.Image, "save", failing(OSError("out of memory error when writing image file")))
    with pytest.raises(OutOfMemory, match="too small to write a JPEG image"):
        encode(smooth_pixels(), Header("JPEG"))


def test_other_errors_of_opencv_are_not_about_memory(monkeypatch):
    data = encode(np.zeros((4, 5, 3), np.uint16), Header("PNG"))
    monkeypatch.setattr(png, "decode", failing(opencv_error(-5)))
    with pytest.raises(InvalidImage, match="damaged or incomplete"):
        decode(data)


@pytest.mark.parametrize("format", FORMATS)
def test_a_picture_that_does_not_fit_into_the_memory_is_not_decoded(format, monkeypatch):
    data = encode(smooth_pixels(), Header(format))
    monkeypatch.setattr("runtime.images.limits.size.available_memory", lambda: 10_000)
    with pytest.raises(OutOfMemory, match="64 x 48 pixels takes at least"):
        decode(data)
