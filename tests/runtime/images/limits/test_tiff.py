import io
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image

from runtime.errors import InvalidImage
from runtime.images import decode
from runtime.images.limits import check
from tests.runtime.images.limits.forged import LONG, RATIONAL, SHORT, directory, entries, jpeg, scan, tables, tiff
from tests.runtime.images.samples import random_pixels, save

TILES = {273: None, 278: None, 279: None, 322: (LONG, 1, 16), 323: (LONG, 1, 16), 324: (LONG, 1, 16)}


def test_the_plain_file_of_these_tests_is_read():
    pixels = bytes(range(64))
    for big in (False, True):
        found, _ = decode(tiff(entries(), pixels=pixels, big=big))
        assert found.tobytes() == pixels


REFUSED = {
    "volume": ({32997: (LONG, 1, 2)}, "save one of its slices"),
    "volume in tiles": ({**TILES, 32998: (SHORT, 1, 2), 325: (LONG, 1, 256)}, "save one of its slices"),
    "no samples": ({277: (SHORT, 1, 0)}, "has no samples"),
    "no bits": ({258: (SHORT, 1, 0)}, "has no samples"),
    "bits without end": ({258: (SHORT, 1, 65535)}, "65535 bits are not supported"),
    "samples without end": ({277: (SHORT, 1, 65535)}, "64 bytes cannot hold 8 x 8 pixels of 524280 bits"),
    "no width": ({256: (LONG, 1, 0), 274: (SHORT, 1, 6)}, "0 x 8 pixels is empty"),
    "no height": ({257: (LONG, 1, 0), 274: (SHORT, 1, 6)}, "8 x 0 pixels is empty"),
    "width of another type": ({256: (11, 1, 8)}, "0 x 8 pixels is empty"),
    "little data": ({256: (LONG, 1, 20000), 257: (LONG, 1, 20000)}, "64 bytes cannot hold 20000 x 20000 pixels"),
    "little data, deflate": ({257: (LONG, 1, 10**5), 278: (LONG, 1, 10**5), 259: (SHORT, 1, 8)}, "64 bytes cannot"),
    "little data, G4": ({257: (LONG, 1, 2000), 258: (SHORT, 1, 1), 259: (SHORT, 1, 4)}, "64 bytes cannot"),
    "strips at no place": ({273: (LONG, 0, 0)}, "0 strips or tiles instead of 1"),
    "too few strips": ({278: (LONG, 1, 1)}, "1 strips or tiles instead of 8"),
    "too many strips": ({273: (LONG, 1000, 0)}, "1000 strips or tiles instead of 1"),
    "tiles without end": ({**TILES, 322: (LONG, 1, 1 << 30), 325: (LONG, 1, 64)}, "megapixels"),
    "tiles of nothing": ({**TILES, 323: (LONG, 1, 0), 325: (LONG, 1, 64)}, "tiles of the image are empty"),
    "a stack of MetaMorph": ({33628: (LONG, 9, 16), 33629: (RATIONAL, 6, 16)}, "the file holds 6 pictures"),
    "entries of MetaMorph": ({33628: (LONG, 2000, 16)}, "more entries of MetaMorph"),
    "strips without end": (
        {257: (LONG, 1, 10**6), 278: (LONG, 1, 1), 273: (LONG, 10**6, 16), 259: (SHORT, 1, 50000), 279: None},
        "cut into 1000000 strips or tiles",
    ),
    "two widths": ([*entries(), (256, LONG, 1, 9)], "two entries of tag 256"),
}


@pytest.mark.parametrize(("changes", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_a_file_cannot_mean_is_refused(changes, reason):
    rows = changes if isinstance(changes, list) else entries(changes)
    with pytest.raises(InvalidImage, match=reason) as caught:
        decode(tiff(rows))
    assert ": " in str(caught.value)


@pytest.mark.parametrize(
    "options",
    [{"tile": (64, 64)}, {"tile": (64, 64), "bigtiff": True}, {"rowsperstrip": 8}, {"description": "a picture"}],
    ids=str,
)
def test_what_tifffile_writes_is_intact(options, rng):
    """Byte counts in 16 bits of more than 64 KiB in all, and two descriptions."""
    pixels = rng.integers(0, 256, (200, 250, 3), np.uint8)
    file = io.BytesIO()
    tifffile.imwrite(file, pixels, photometric="rgb", **options)
    np.testing.assert_array_equal(decode(file.getvalue())[0], pixels)


@pytest.mark.parametrize("compression", [8, 32946])
@pytest.mark.parametrize("tiled", [False, True])
def test_strips_and_tiles_inflate_to_what_their_rows_need(compression, tiled):
    changes = TILES if tiled else {}
    bomb = zlib.compress(bytes(1 << 22), 9)
    changes = {**changes, 259: (SHORT, 1, compression), (325 if tiled else 279): (LONG, 1, len(bomb))}
    with pytest.raises(InvalidImage, match=r"inflates to more than the (64|256) bytes of its rows"):
        decode(tiff(entries(changes), pixels=bomb))
    exact = zlib.compress(bytes(256 if tiled else 64))
    changes[325 if tiled else 279] = (LONG, 1, len(exact))
    assert decode(tiff(entries(changes), pixels=exact))[0].shape == (8, 8)


COMPRESSIONS = ["raw", "packbits", "tiff_lzw", "tiff_deflate", "tiff_adobe_deflate", "lzma", "zstd", "jpeg"]


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_flat_pictures_pass_however_they_are_compressed(compression, mode):
    try:
        data = save(Image.new(mode, (1000, 1500), "grey"), "TIFF", compression=compression)
    except OSError as error:
        pytest.skip(f"this Pillow cannot write {compression}: {error}")
    assert check(data, "TIFF") is data


@pytest.mark.parametrize("compression", ["group3", "group4", "tiff_ccitt"])
@pytest.mark.parametrize("size", [(2000, 3000), (60_000, 3), (1, 3000)])
@pytest.mark.parametrize("colour", [0, 1])
def test_flat_facsimiles_pass(compression, size, colour):
    data = save(Image.new("1", size, colour), "TIFF", compression=compression)
    assert check(data, "TIFF") is data


@pytest.mark.parametrize(
    "options",
    [{}, {"compression": "zlib", "tile": (16, 32)}, {"compression": "zlib", "rowsperstrip": 7}, {"rowsperstrip": 1}],
    ids=str,
)
@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("bigtiff", [False, True])
def test_strips_tiles_and_planes_pass(options, planar, bigtiff, rng):
    pixels = random_pixels(rng, np.uint16, 3, (50, 70))
    stored = pixels if planar == "contig" else np.ascontiguousarray(np.moveaxis(pixels, -1, 0))
    stream = io.BytesIO()
    layout = {"photometric": "rgb", "planarconfig": planar, "bigtiff": bigtiff, "metadata": None}
    tifffile.imwrite(stream, stored, **layout, **options)
    assert np.array_equal(decode(stream.getvalue())[0], pixels)


@pytest.mark.parametrize("kind", [2, 4, 7])
def test_a_profile_of_any_type_does_not_cost_the_picture(kind, caplog):
    found, header = decode(tiff(entries({34675: (kind, 8, 16)}), pixels=bytes(range(1, 65))))
    assert found.shape == (8, 8)
    assert header.icc_profile == (bytes(range(1, 9)) if kind == 7 else None)
    assert ("colour profile is damaged" in caplog.text) == (kind != 7)


def test_pages_that_a_program_lists_nowhere_are_not_looked_for():
    size = len(directory(entries({305: (2, 4, 0)})))
    software = (2, 4, int.from_bytes(b"SI.\0", "little"))  # a microscope, whose pages stand at equal distances
    strips = [16, *(80 + size * number + 4 for number in range(1, 6))]
    data = tiff(*[entries({305: software, 273: (LONG, 1, strip)}) for strip in strips])
    with pytest.raises(InvalidImage, match=r"^the TIFF file holds 6 pictures"):
        decode(data + bytes(10**6))


def test_scans_without_end_within_a_strip_are_refused():
    strip = jpeg(512, 512, tables(), scan(bytes(512), last=0), scan(first=1) * 5000, frame=0xC2)
    changes = {256: (LONG, 1, 512), 257: (LONG, 1, 512), 278: (LONG, 1, 512), 259: (SHORT, 1, 7)}
    with pytest.raises(InvalidImage):
        decode(tiff(entries({**changes, 279: (LONG, 1, len(strip))}), pixels=strip))
