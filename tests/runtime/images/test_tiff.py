import io
import struct
import warnings

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from runtime.errors import InvalidImage
from runtime.images import Header, decode, encode
from runtime.images.exif import apply_orientation
from tests.runtime.images.samples import EXIF, GPS, ORIENTATION, exif_block, random_pixels, save, smooth_pixels, tags


def write_tiff(pixels, **options):
    stream = io.BytesIO()
    tifffile.imwrite(stream, pixels, metadata=None, **options)
    return stream.getvalue()


def lzw(pixels):
    """A TIFF file compressed with LZW by OpenCV."""
    options = [cv2.IMWRITE_TIFF_COMPRESSION, 5]
    return cv2.imencode(".tiff", pixels[..., ::-1] if pixels.ndim == 3 else pixels, options)[1].tobytes()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"byteorder": ">"},
        {"bigtiff": True},
        {"compression": "zlib"},
        {"compression": "zlib", "predictor": 2},
        {"rowsperstrip": 3},
        {"tile": (16, 16)},
    ],
    ids=str,
)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_pixels_are_read_however_they_are_stored(options, dtype, rng):
    pixels = random_pixels(rng, dtype, 3, (40, 50))
    found, header = decode(write_tiff(pixels, photometric="rgb", **options))
    assert found.dtype == dtype
    assert np.array_equal(found, pixels)
    assert header.format == "TIFF"


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_large_photographs_are_read_without_a_warning(dtype, rng, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    pixels = random_pixels(rng, dtype, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.array_equal(decode(write_tiff(pixels, photometric="rgb"))[0], pixels)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_separate_planes_are_put_together(dtype, rng):
    pixels = random_pixels(rng, dtype, 3)
    data = write_tiff(np.ascontiguousarray(np.moveaxis(pixels, -1, 0)), photometric="rgb", planarconfig="separate")
    assert np.array_equal(decode(data)[0], pixels)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_where_white_is_zero_it_is_turned_round(dtype, rng):
    pixels = random_pixels(rng, dtype, 1)
    assert np.array_equal(decode(write_tiff(pixels, photometric="miniswhite"))[0], np.iinfo(dtype).max - pixels)


@pytest.mark.parametrize(("dtype", "channels"), [(np.uint16, 1), (np.uint16, 3), (np.float32, 3)])
def test_lzw_is_read(dtype, channels, rng):
    pixels = random_pixels(rng, dtype, channels)
    assert np.array_equal(decode(lzw(pixels))[0], pixels)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("compression", ["raw", "tiff_adobe_deflate", "tiff_lzw"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_orientation_is_applied_once_whoever_decodes(orientation, compression, dtype, rng):
    pixels = random_pixels(rng, dtype, 1)
    data = save(Image.fromarray(pixels), "TIFF", compression=compression, tiffinfo={ORIENTATION: orientation})
    found, header = decode(data)
    assert np.array_equal(found, apply_orientation(pixels, orientation))
    assert tags(header.exif)[ORIENTATION] == 1
    assert np.array_equal(decode(encode(found, header))[0], found)


def test_a_thumbnail_beside_the_picture_does_not_count(rng):
    pixels = random_pixels(rng, np.uint16, 3)
    stream = io.BytesIO()
    with tifffile.TiffWriter(stream) as writer:
        writer.write(pixels, photometric="rgb", metadata=None)
        writer.write(pixels[::4, ::4].copy(), photometric="rgb", metadata=None, subfiletype=1)
    assert np.array_equal(decode(stream.getvalue())[0], pixels)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_two_pictures_are_refused(dtype):
    with pytest.raises(InvalidImage, match="2 full pictures"):
        decode(write_tiff(np.zeros((2, 8, 8), dtype), photometric="minisblack"))


REFUSED = {
    "cmyk": (np.zeros((8, 8, 4), np.uint16), {"photometric": "separated"}, "convert the file to RGB"),
    "premultiplied": (
        np.zeros((8, 8, 4), np.uint16),
        {"photometric": "rgb", "extrasamples": ["assocalpha"]},
        "straight alpha",
    ),
    "int32": (np.zeros((8, 8), np.int32), {"photometric": "minisblack"}, "32-bit INT"),
    "five channels": (
        np.zeros((8, 8, 5), np.uint16),
        {"photometric": "rgb", "extrasamples": ["unassalpha", "unspecified"]},
        "5 channels",
    ),
}


@pytest.mark.parametrize(("pixels", "options", "remedy"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_restored_is_refused(pixels, options, remedy):
    with pytest.raises(InvalidImage, match=remedy):
        decode(write_tiff(pixels, **options))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_strip_beyond_the_end_of_the_file_is_noticed_and_nothing_is_printed(dtype, rng, capfd):
    data = save(Image.fromarray(random_pixels(rng, dtype, 1, (64, 64))), "TIFF", compression="tiff_lzw")
    stream = io.BytesIO(data)
    with tifffile.TiffFile(stream) as tiff:
        tiff.pages[0].tags["StripByteCounts"].overwrite([len(data)])
    with pytest.raises(InvalidImage, match="incomplete"):
        decode(stream.getvalue())
    assert capfd.readouterr() == ("", "")


def test_a_compression_that_nothing_here_reads_is_named(rng):
    pixels = random_pixels(rng, np.uint16, 1)
    data = bytearray(lzw(pixels))
    with tifffile.TiffFile(io.BytesIO(data)) as tiff:
        value = tiff.pages[0].tags["Compression"].valueoffset
    data[value : value + 2] = (34926).to_bytes(2, "little")
    with pytest.raises(InvalidImage, match="save with Deflate"):
        decode(bytes(data))


def test_metadata_is_written_where_others_look_for_it(rng):
    pixels = random_pixels(rng, np.uint8, 3)
    with Image.open(io.BytesIO(encode(pixels, Header("TIFF", b"profile", exif_block())))) as image:
        assert np.array_equal(np.asarray(image), pixels)
        assert image.info["icc_profile"] == b"profile"
        assert image.tag_v2[0x010F] == "Maker"
        assert image.tag_v2[0x013B] == "ab"
        assert image.tag_v2[0x8298].encode("latin-1").decode() == "© Müller"
        exif = image.getexif()
        assert exif.get_ifd(EXIF) == tags(exif_block())[EXIF]
        assert exif.get_ifd(GPS) == tags(exif_block())[GPS]


def test_damaged_metadata_does_not_cost_the_picture(rng, caplog):
    pixels = random_pixels(rng, np.uint8, 3)
    stream = io.BytesIO(encode(pixels, Header("TIFF", exif=exif_block())))
    with tifffile.TiffFile(stream) as tiff:
        make = tiff.pages[0].tags["Make"].offset
    data = bytearray(stream.getvalue())
    data[make + 2 : make + 8] = struct.pack("<HL", 11, 1)  # a name that claims to be a number
    found, header = decode(bytes(data))
    assert np.array_equal(found, pixels)
    assert header.exif is None
    assert "EXIF is damaged and omitted" in caplog.text


def test_damaged_metadata_from_another_format_is_left_out(rng, caplog):
    pixels = random_pixels(rng, np.uint8, 3)
    found, header = decode(encode(pixels, Header("TIFF", exif=b"no EXIF at all")))
    assert np.array_equal(found, pixels)
    assert header.exif is None
    assert "EXIF is damaged and omitted" in caplog.text


def test_integers_are_compressed_better_than_stored():
    pixels = np.repeat(smooth_pixels(), 4, axis=0).astype(np.uint16) * 257
    assert len(encode(pixels, Header("TIFF"))) < pixels.nbytes / 4


def test_an_image_beyond_four_gigabytes_is_refused(monkeypatch):
    def refuse(*_, **__):
        raise ValueError("too large")

    monkeypatch.setattr(tifffile.TiffWriter, "write", refuse)
    with pytest.raises(InvalidImage, match="write it in parts"):
        encode(np.zeros((2, 2), np.uint16), Header("TIFF"))
