import io
import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image, WebPImagePlugin

from runtime.errors import InvalidImage, OutOfMemory, UnsupportedType
from runtime.images import MAX_PIXELS, Header, decode, encode, pillow
from tests.runtime.images.samples import save, smooth_pixels


@pytest.fixture
def palette():
    return Image.fromarray(smooth_pixels()).quantize(16)


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_palettes_become_colours(palette, format):
    pixels, _ = decode(save(palette, format))
    assert np.array_equal(pixels, np.asarray(palette.convert("RGB")))


def test_a_transparent_palette_entry_becomes_alpha(palette):
    pixels, _ = decode(save(palette, "PNG", transparency=3))
    assert np.array_equal(pixels[..., 3] == 0, np.asarray(palette) == 3)


def test_a_transparent_colour_becomes_alpha():
    pixels, _ = decode(save(Image.fromarray(np.uint8([[10, 20]])), "PNG", transparency=20))
    assert pixels.tolist() == [[[10, 255], [20, 0]]]


@pytest.mark.parametrize(("mode", "key", "alpha"), [("L", 3, "LA"), ("RGB", (1, 2, 3), "RGBA")])
def test_a_pil_image_whose_transparency_is_a_colour_is_refused(mode, key, alpha):
    image = Image.new(mode, (4, 3))
    image.info["transparency"] = key
    with pytest.raises(UnsupportedType, match=rf"image\.convert\('{alpha}'\)"):
        pillow.pixels_of(image)
    assert pillow.pixels_of(image.convert(alpha)).shape == (3, 4, len(alpha))


@pytest.mark.parametrize("how", ["closed", "read and closed", "left", "its file closed"])
def test_a_closed_pil_image_is_not_taken_for_a_damaged_one(tmp_path, how):
    path = tmp_path / "photo.png"
    Image.fromarray(smooth_pixels()).save(path)
    with open(path, "rb") as stream:
        image = Image.open(stream if how == "its file closed" else path)
        if how == "left":
            with image:
                pass
    if how == "read and closed":
        image.load()
    if how.endswith("closed") and how[0] != "i":
        image.close()
    with pytest.raises(InvalidImage, match=r"was closed before its pixels were read: call load\(\)"):
        pillow.pixels_of(image)


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_bilevel_becomes_grey(format):
    pixels, _ = decode(save(Image.fromarray(np.array([[True, False]])), format))
    assert pixels.tolist() == [[255, 0]]
    assert pixels.dtype == np.uint8


@pytest.mark.parametrize("format", ["JPEG", "TIFF"])
def test_cmyk_is_refused(format):
    with pytest.raises(InvalidImage, match="convert the file to RGB"):
        decode(save(Image.new("CMYK", (8, 8)), format))


@pytest.mark.parametrize("format", ["PNG", "TIFF", "WEBP"])
def test_several_pictures_in_one_file_are_refused(format):
    frames = [Image.fromarray(smooth_pixels()), Image.fromarray(255 - smooth_pixels())]
    with pytest.raises(InvalidImage, match=r"2 .*pictures.*: save one of them by itself"):
        decode(save(frames[0], format, save_all=True, append_images=frames[1:]))


def test_of_a_camera_jpeg_with_previews_the_photograph_is_read():
    frames = [Image.fromarray(smooth_pixels()), Image.fromarray(smooth_pixels((8, 8)))]
    pixels, header = decode(save(frames[0], "MPO", save_all=True, append_images=frames[1:]))
    assert pixels.shape == (48, 64, 3)
    assert header.format == "JPEG"


@pytest.mark.parametrize("lossless", [True, False])
def test_webp_stays_lossless_or_lossy(lossless, rng):
    pixels = rng.integers(0, 256, (20, 30, 4), np.uint8)
    data = save(Image.fromarray(pixels), "WEBP", lossless=lossless, exact=True, icc_profile=b"profile")
    found, header = decode(data)
    assert header.lossless == lossless
    assert np.array_equal(found, pixels) == lossless
    assert decode(encode(found, header))[1].lossless == lossless


def test_large_photographs_are_read_without_a_warning(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    data = save(Image.fromarray(smooth_pixels()), "JPEG")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert decode(data)[0].shape == (48, 64, 3)


def test_where_pillow_insists_on_its_own_limit_the_error_says_so(monkeypatch):
    def refuse(_):
        raise Image.DecompressionBombError

    data = save(Image.fromarray(smooth_pixels()), "WEBP")
    monkeypatch.setattr(WebPImagePlugin.WebPImageFile, "load", refuse)
    with pytest.raises(InvalidImage, match="larger than Pillow allows of WEBP: save it as PNG"):
        decode(data)


def test_a_forged_size_is_refused_before_decoding():
    data = bytearray(save(Image.new("L", (8, 8)), "JPEG"))
    frame = data.index(b"\xff\xc0")
    data[frame + 5 : frame + 9] = b"\xff\xff\xff\xff"
    with pytest.raises(InvalidImage, match="65535 x 65535 pixels is more than 500 megapixels"):
        decode(bytes(data))
    assert MAX_PIXELS == 500_000_000


def test_a_picture_too_wide_for_its_format_is_refused():
    with pytest.raises(InvalidImage, match="write PNG or TIFF"):
        encode(np.zeros((1, 20_000, 3), np.uint8), Header("WEBP"))


def test_an_image_carries_a_copy_of_its_info():
    info = {"dpi": (72, 72)}
    image = pillow.image_of(np.zeros((2, 3), np.uint8), info)
    image.info["dpi"] = None
    assert info == {"dpi": (72, 72)}


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OSError("a"), InvalidImage),
        (struct.error("a"), InvalidImage),
        (zlib.error("a"), InvalidImage),
        (MemoryError("a"), OutOfMemory),
    ],
    ids=lambda value: getattr(value, "__name__", None) or type(value).__name__,
)
def test_a_pil_image_whose_file_cannot_be_decoded_says_so(error, expected, monkeypatch):
    image = Image.open(io.BytesIO(save(Image.new("L", (8, 8)), "PNG")))

    def fail():
        raise error

    monkeypatch.setattr(image, "load", fail)
    with pytest.raises(expected, match=r"damaged or incomplete \(a\)|memory is too small"):
        pillow.pixels_of(image)
