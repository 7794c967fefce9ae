import io
import struct

import numpy as np
import pytest
import tifffile
from PIL import Image

from runtime.errors import InvalidImage
from runtime.images import decode
from runtime.images.foreign import refusal
from tests.runtime.images.samples import save, smooth_pixels, write_tiff

PICTURE = Image.fromarray(smooth_pixels())


def box(brand):
    return b"\0\0\0\x18ftyp" + brand + bytes(40)


FOREIGN = {
    "GIF": (save(PICTURE, "GIF"), "a GIF image"),
    "BMP": (save(PICTURE, "BMP"), "a BMP image"),
    "PPM": (save(PICTURE, "PPM"), "a PNM image"),
    "icon": (save(PICTURE, "ICO"), "an icon"),
    "DDS": (save(PICTURE, "DDS"), "a DDS image"),
    "PDF": (save(PICTURE, "PDF"), "a PDF document"),
    "HEIC": (box(b"heic"), "a HEIC image"),
    "AVIF": (box(b"avif"), "an AVIF image"),
    "video": (box(b"isom"), "a video"),
    "sound": (b"RIFF\x24\0\0\0WAVEfmt " + bytes(24), "a video or a sound"),
    "JPEG XL": (b"\xff\x0a" + bytes(30), "a JPEG XL image"),
    "JPEG XL in a box": (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(30), "a JPEG XL image"),
    "JPEG 2000": (save(PICTURE, "JPEG2000"), "a JPEG 2000 image"),
    "JPEG-LS": (b"\xff\xd8\xff\xf7" + bytes(30), "a JPEG-LS image"),
    "Photoshop": (b"8BPS\0\1" + bytes(30), "a Photoshop document"),
    "OpenEXR": (b"\x76\x2f\x31\x01" + bytes(30), "an OpenEXR image"),
    "Radiance": (b"#?RADIANCE\n", "a Radiance HDR image"),
    "SVG": (b"<svg xmlns=''/>", "an SVG drawing"),
    "web page": (b"\n<!DOCTYPE html><html>", "a web page"),
    "Git LFS": (b"version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS"),
    "DICOM": (bytes(128) + b"DICM" + bytes(20), "a DICOM image"),
    "archive": (b"PK\x03\x04" + bytes(30), "a ZIP archive"),
    "NumPy": (b"\x93NUMPY\1\0" + bytes(30), "a NumPy array"),
}


@pytest.mark.parametrize(("data", "name"), FOREIGN.values(), ids=FOREIGN)
def test_a_file_of_another_kind_is_called_what_it_is(data, name):
    with pytest.raises(InvalidImage, match=rf"this is {name}.*, no PNG, JPEG, TIFF or WebP image: \w+") as caught:
        decode(data)
    assert "damaged" not in str(caught.value)
    assert "\n" not in str(caught.value)


RAW = {
    "RAF": b"FUJIFILMCCD-RAW 0201" + bytes(30),
    "ORF": b"IIRO\x08\0\0\0" + bytes(30),
    "RW2": b"IIU\0\x08\0\0\0" + bytes(30),
    "MRW": b"\0MRM" + bytes(30),
    "X3F": b"FOVb" + bytes(30),
    "CR3": box(b"crx "),
    "CRW": b"II\x1a\0\0\0HEAPCCDR" + bytes(30),
    "CR2": b"II*\0\x10\0\0\0CR\2\0" + bytes(30),
    "IIQ": b"II*\0\x10\0\0\0IIII" + bytes(30),
}


@pytest.mark.parametrize(("kind", "data"), RAW.items(), ids=RAW)
def test_a_raw_photograph_is_to_be_developed(kind, data):
    with pytest.raises(InvalidImage, match=rf"raw photograph \({kind}\): develop it .*16-bit TIFF"):
        decode(data)


def raw_in_tiff(byteorder="<", preview=True, **tags):
    """A preview, and pixels of a colour filter array in a directory below, as cameras write them."""
    stream = io.BytesIO()
    sensor = np.zeros((32, 32), np.uint16)
    extra = [(271, 2, 0, "NIKON CORPORATION", True), *tags.values()]
    with tifffile.TiffWriter(stream, byteorder=byteorder) as writer:
        if preview:
            writer.write(
                np.zeros((8, 8, 3), np.uint8),
                photometric="rgb",
                subifds=1,
                subfiletype=1,
                extratags=extra,
                metadata=None,
            )
        writer.write(sensor, photometric="cfa", extratags=[] if preview else extra, metadata=None)
    return stream.getvalue()


@pytest.mark.parametrize("byteorder", "<>")
@pytest.mark.parametrize("preview", [True, False])
def test_pixels_of_a_sensor_are_raw_wherever_they_are(preview, byteorder):
    with pytest.raises(InvalidImage, match=r"raw photograph \(NIKON CORPORATION\): develop it"):
        decode(raw_in_tiff(byteorder, preview))


def test_a_dng_file_says_so():
    with pytest.raises(InvalidImage, match=r"raw photograph \(DNG\): develop it"):
        decode(raw_in_tiff(dng=(50706, 1, 4, (1, 4, 0, 0), True)))


def test_a_variant_of_apple_is_no_damaged_png():
    with pytest.raises(InvalidImage, match="Apple's own variant"):
        decode(b"\x89PNG\r\n\x1a\n" + struct.pack(">L", 4) + b"CgBI" + bytes(8))


@pytest.mark.parametrize("data", [b"BM is a name", b"no picture", b"\0" * 200, b"RIF"])
def test_what_is_not_known_is_not_named(data):
    assert refusal(data, None) == "this is no PNG, JPEG, TIFF or WebP image: convert it to one of these"


def test_an_empty_file_is_empty():
    with pytest.raises(InvalidImage, match="the file is empty"):
        decode(b"")


@pytest.mark.parametrize("format", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_pictures_that_can_be_read_are_not_refused(format):
    assert refusal(save(PICTURE, format), format) is None


@pytest.mark.parametrize(
    "data", [b"II*\0", b"II*\0\xff\xff\xff\xff", b"MM\0+\0\x08\0\0", write_tiff(np.zeros((4, 5)))[:60]]
)
def test_a_damaged_tiff_file_is_no_raw_photograph(data):
    assert refusal(data, "TIFF") is None
