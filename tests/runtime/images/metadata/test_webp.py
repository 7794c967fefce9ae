import struct

import numpy as np
import pytest
from PIL import Image

from runtime.errors import MetadataLost
from runtime.images import decode, encode
from runtime.images.metadata import webp
from tests.runtime.images.samples import exif_block, icc_profile, nothing_lost, save, smooth_pixels, tags, xmp_packet


@pytest.mark.parametrize("lossless", [True, False])
def test_profile_exif_and_xmp_come_back(lossless):
    options = {"icc_profile": icc_profile(), "exif": b"Exif\0\0" + exif_block(), "xmp": xmp_packet()}
    data = save(Image.fromarray(smooth_pixels()), "WEBP", lossless=lossless, **options)
    with nothing_lost():
        pixels, header = decode(data)
        again, kept = decode(encode(pixels, header))
    assert np.array_equal(again, pixels) == lossless
    assert (kept.icc_profile, kept.xmp, kept.lossless) == (icc_profile(), xmp_packet(), lossless)
    assert tags(kept.exif) == tags(exif_block())


def test_another_chunk_is_named():
    data = save(Image.fromarray(smooth_pixels()), "WEBP", exif=b"Exif\0\0" + exif_block())
    data += b"priv" + struct.pack("<L", 3) + b"abc\0"
    data = data[:4] + struct.pack("<L", len(data) - 8) + data[8:]
    assert webp.lost(data) == ("chunk priv",)
    pixels, header = decode(data)
    with pytest.warns(MetadataLost, match="chunk priv"):
        encode(pixels, header)


def test_what_follows_the_container_is_named():
    data = save(Image.fromarray(smooth_pixels()), "WEBP")
    pixels, header = decode(data + b"secret")
    assert header.lost == ("6 bytes behind the picture",)
    with pytest.warns(MetadataLost, match="6 bytes behind the picture"):
        encode(pixels, header)
    assert decode(data + bytes(9))[1].lost == decode(data)[1].lost == ()


@pytest.mark.parametrize("data", [b"", b"RIFF", b"RIFF\xff\xff\xff\xffWEBPVP8 \xff\xff\xff\xff"])
def test_a_file_cut_short_is_no_lossless_one(data):
    assert not webp.is_lossless(data)
    assert webp.lost(data) == ()
