import io
import struct
import warnings

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from runtime.errors import InvalidImage, MetadataLost
from runtime.images import Header, decode, encode
from runtime.images.exif import apply_orientation
from tests.runtime.images.samples import (
    EXIF,
    GPS,
    ORIENTATION,
    exif_block,
    random_pixels,
    save,
    smooth_pixels,
    tags,
    write_tiff,
)


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
    with pytest.raises(InvalidImage, match="2 pictures: save one of them by itself"):
        decode(write_tiff(np.zeros((2, 8, 8), dtype), photometric="minisblack"))


REFUSED = {
    "cmyk": (np.zeros((8, 8, 4), np.uint16), {"photometric": "separated"}, "convert the file to RGB"),
    "premultiplied": (
        np.zeros((8, 8, 4), np.uint16),
        {"photometric": "rgb", "extrasamples": ["assocalpha"]},
        "straight alpha",
    ),
    "int32": (np.zeros((8, 8), np.int32), {"photometric": "minisblack"}, "32-bit signed integers"),
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
    data[make + 4 : make + 12] = struct.pack("<LL", len(data), 0)  # a name of as many bytes as the file has
    found, header = decode(bytes(data))
    assert np.array_equal(found, pixels)
    assert header.exif is None
    assert "EXIF is damaged and omitted" in caplog.text


def test_a_damaged_tag_does_not_cost_the_others(rng):
    pixels = random_pixels(rng, np.uint8, 3)
    stream = io.BytesIO(encode(pixels, Header("TIFF", exif=exif_block())))
    with tifffile.TiffFile(stream) as tiff:
        make = tiff.pages[0].tags["Make"].offset
    data = bytearray(stream.getvalue())
    data[make + 8 : make + 12] = b"\xff\xff\xff\x7f"  # far behind the end of the file
    found, header = decode(bytes(data))
    assert np.array_equal(found, pixels)
    known = tags(exif_block())
    del known[0x010F], known[ORIENTATION]
    assert tags(header.exif) == known


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


KINDS = {
    "uint32": (np.uint32, "32-bit unsigned integers"),
    "uint64": (np.uint64, "64-bit unsigned integers"),
    "int8": (np.int8, "8-bit signed integers"),
    "int16": (np.int16, "16-bit signed integers"),
    "int64": (np.int64, "64-bit signed integers"),
    "complex64": (np.complex64, "64-bit complex numbers"),
    "complex128": (np.complex128, "128-bit complex numbers|samples of 128 bits"),
}


@pytest.mark.parametrize(("dtype", "kind"), KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}, {"byteorder": ">"}], ids=str)
@pytest.mark.parametrize("channels", [1, 3])
def test_intact_files_of_other_samples_are_told_their_kind(dtype, kind, options, channels):
    pixels = np.zeros((9, 8, channels)[: 2 if channels == 1 else 3], dtype)
    data = write_tiff(pixels, photometric="rgb" if channels == 3 else "minisblack", **options)
    with pytest.raises(InvalidImage, match=rf"({kind}).* not supported: save the file with 8 or 16 bits") as caught:
        decode(data)
    assert "damaged" not in str(caught.value)


def patched(data, **values):
    """A TIFF file with other values of tags of one SHORT."""
    stream = io.BytesIO(data)
    with tifffile.TiffFile(stream) as tiff:
        for name, value in values.items():
            tiff.pages[0].tags[name].overwrite(value)
    return stream.getvalue()


@pytest.mark.parametrize("bits", [10, 12, 14, 24])
def test_packed_bits_are_told(bits):
    data = patched(write_tiff(np.zeros((8, 8), np.uint32), photometric="minisblack"), BitsPerSample=bits)
    with pytest.raises(InvalidImage, match=f"{bits}-bit unsigned integers are not supported: save the file with 8 or"):
        decode(data)


@pytest.mark.parametrize("bits", [2, 4])
def test_few_bits_of_grey_are_read(bits):
    packed = np.full((4, 8 * bits // 8), 0b11100100 if bits == 2 else 0b11110000, np.uint8)
    data = patched(write_tiff(packed, photometric="minisblack"), BitsPerSample=bits, ImageWidth=8)
    expected = [255, 170, 85, 0] * 2 if bits == 2 else [255, 0] * 4
    assert decode(data)[0].tolist() == [expected] * 4


def test_colours_of_few_bits_are_told():
    data = patched(write_tiff(np.zeros((8, 8, 3), np.uint8), photometric="rgb"), BitsPerSample=(4, 4, 4))
    with pytest.raises(InvalidImage, match="4-bit unsigned integers are not supported: save the file with 8 or 16"):
        decode(data)


def test_a_compression_of_8_bits_that_nothing_here_reads_is_named():
    with pytest.raises(InvalidImage, match=r"34712 compression|JPEG2000 compression"):
        decode(patched(write_tiff(np.zeros((8, 8), np.uint8), photometric="minisblack"), Compression=34712))


def test_colours_without_a_name_are_told_by_their_number():
    data = patched(write_tiff(np.zeros((8, 8), np.uint16), photometric="minisblack"), PhotometricInterpretation=999)
    with pytest.raises(InvalidImage, match="colours of kind 999 are not supported: convert the file to RGB"):
        decode(data)


def several(*kinds):
    """A TIFF file of pages that are pictures, or previews of them."""
    stream = io.BytesIO()
    with tifffile.TiffWriter(stream) as writer:
        for number, kind in enumerate(kinds):
            pixels = np.full((16, 16, 3) if kind == "picture" else (4, 4, 3), number, np.uint8)
            writer.write(pixels, photometric="rgb", metadata=None, subfiletype=0 if kind == "picture" else 1)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("kinds", "words"),
    [
        (["picture", "picture", "picture"], "holds 3 pictures: save one of them by itself"),
        (["picture", "preview", "picture"], "holds 2 pictures: save one of them by itself"),
        (["preview", "picture"], "a preview stands before the picture: save the picture by itself"),
        (["preview", "preview"], "holds 2 previews and no picture"),
    ],
    ids=str,
)
def test_what_a_file_of_several_pages_holds_is_told(kinds, words):
    with pytest.raises(InvalidImage, match=words):
        decode(several(*kinds))


def test_the_only_page_is_the_picture_whatever_it_calls_itself():
    assert decode(several("preview"))[0].shape == (4, 4, 3)


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw"])
def test_a_preview_behind_the_picture_does_not_count_whoever_decodes(compression, rng):
    stream = io.BytesIO()
    image = Image.fromarray(random_pixels(rng, np.uint8, 3))
    image.save(stream, "TIFF", compression=compression, save_all=True, append_images=[image.resize((4, 4))])
    with tifffile.TiffFile(io.BytesIO(stream.getvalue())) as tiff:
        first, second = (page.offset for page in tiff.pages)
        assert first < second
    data = bytearray(stream.getvalue())
    (count,) = struct.unpack_from("<H", data, second)
    rows = [bytes(data[at : at + 12]) for at in range(second + 2, second + 2 + 12 * count, 12)]
    rows = sorted([struct.pack("<HHLL", 254, 4, 1, 1), *(row for row in rows if row[:2] != b"\xfe\0")])
    rows.sort(key=lambda row: struct.unpack_from("<H", row))
    data += bytes(len(data) % 2)
    link = first + 2 + 12 * struct.unpack_from("<H", data, first)[0]
    struct.pack_into("<L", data, link, len(data))
    data += struct.pack("<H", len(rows)) + b"".join(rows) + bytes(4)
    assert np.array_equal(decode(bytes(data))[0], np.asarray(image))


BANDS = {
    "unspecified": {"extrasamples": ["unspecified"]},
    "not mentioned": {},
}


@pytest.mark.parametrize("kind", BANDS)
@pytest.mark.parametrize("colours", [1, 3])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_a_band_that_is_no_alpha_is_kept_apart_and_written_again(kind, colours, dtype, rng):
    pixels = random_pixels(rng, dtype, colours + 1)
    photometric = "rgb" if colours == 3 else "minisblack"
    data = write_tiff(pixels, photometric=photometric, planarconfig="contig", extrasamples=["unspecified"])
    if kind == "not mentioned":
        data = without_tag(data, 338)
    found, header = decode(data)
    assert np.array_equal(found.reshape(13, 17, colours), pixels[..., :-1])
    assert np.array_equal(header.bands, pixels[..., -1:])
    with pytest.warns(MetadataLost, match="a band that is no alpha channel, which is written as it came, not restored"):
        again = encode(found, header)
    with tifffile.TiffFile(io.BytesIO(again)) as tiff:
        assert tiff.pages[0].extrasamples == (0,)
        assert tiff.pages[0].photometric.name == ("RGB" if colours == 3 else "MINISBLACK")
        assert np.array_equal(tiff.asarray(), pixels)


@pytest.mark.parametrize("compression", ["lzw", "planes"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_band_is_kept_apart_however_it_is_stored(compression, dtype, rng):
    pixels = random_pixels(rng, dtype, 4)
    if compression == "lzw":
        data = cv2.imencode(".tiff", pixels[..., [2, 1, 0, 3]], [cv2.IMWRITE_TIFF_COMPRESSION, 5])[1].tobytes()
    else:
        planes = np.ascontiguousarray(np.moveaxis(pixels, -1, 0))
        data = write_tiff(planes, photometric="rgb", planarconfig="separate", extrasamples=["unspecified"])
    found, header = decode(data)
    assert np.array_equal(found, pixels[..., :3])
    assert np.array_equal(header.bands, pixels[..., 3:])


def test_alpha_is_alpha(rng):
    pixels = random_pixels(rng, np.uint16, 4)
    found, header = decode(write_tiff(pixels, photometric="rgb", extrasamples=["unassalpha"]))
    assert np.array_equal(found, pixels)
    assert header.bands is None


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw"])
def test_premultiplied_alpha_of_8_bits_is_refused_in_words(compression, rng):
    data = save(Image.fromarray(random_pixels(rng, np.uint8, 4)), "TIFF", compression=compression)
    stream = io.BytesIO(data)
    with tifffile.TiffFile(stream) as tiff:
        tiff.pages[0].tags["ExtraSamples"].overwrite(1)
    with pytest.raises(InvalidImage, match="premultiplied alpha is not supported"):
        decode(stream.getvalue())


def without_tag(data, tag):
    """A little-endian TIFF file of one page without one of its tags."""
    (start,) = struct.unpack_from("<L", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    rows = [data[at : at + 12] for at in range(start + 2, start + 2 + 12 * count, 12)]
    rows = [row for row in rows if struct.unpack_from("<H", row)[0] != tag]
    assert len(rows) == count - 1
    data += bytes(len(data) % 2)
    directory = struct.pack("<H", len(rows)) + b"".join(rows) + bytes(4)
    return data[:4] + struct.pack("<L", len(data)) + data[8:] + directory
