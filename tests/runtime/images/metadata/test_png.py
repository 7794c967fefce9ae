import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from runtime.images import decode, encode
from runtime.images.header import Text
from runtime.images.metadata import png
from tests.runtime.images.samples import (
    chunk,
    chunks_of,
    exif_block,
    icc_profile,
    nothing_lost,
    random_pixels,
    with_chunks,
    write_png,
    xmp_packet,
)

KEPT = {
    b"gAMA": struct.pack(">L", 100_000),
    b"cHRM": struct.pack(">8L", 31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000),
    b"sRGB": b"\1",
    b"cICP": bytes([9, 16, 0, 1]),
    b"mDCV": bytes(range(24)),
    b"cLLI": struct.pack(">LL", 10_000_000, 4_000_000),
    b"pHYs": struct.pack(">LLB", 11811, 11811, 1),
    b"tIME": struct.pack(">HBBBBB", 2020, 1, 2, 3, 4, 5),
    b"sCAL": b"\x010.5\x000.5",
    b"bKGD": struct.pack(">HHH", 1, 2, 3),
    b"tEXt": b"Author\0J\xe9r\xf4me",
    b"iTXt": b"Title\0\0\0de\0Titel\0" + "Frühling ☀".encode(),
    b"prIv": b"not needed to show it",  # lower case at the end: safe to copy
    b"iCCP": b"any name\0\0" + zlib.compress(icc_profile()),
    b"eXIf": exif_block(),
}


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("kind", KEPT, ids=bytes.decode)
def test_a_chunk_comes_back(kind, dtype, rng):
    pixels = random_pixels(rng, dtype, 3)
    kinds = (b"prIv",) if kind == b"prIv" else (kind,)
    written = kind if kind != b"prIv" else b"prVt"
    data = write_png(pixels, 2, before=chunk(written, KEPT[kind]), depth=8 * pixels.itemsize)
    with nothing_lost():
        found, header = decode(data)
        again = dict(chunks_of(encode(found, header)))
    assert np.array_equal(found, pixels)
    if kind == b"iCCP":
        assert zlib.decompress(again[kind].partition(b"\0")[2][1:]) == icc_profile()
    else:
        assert again[written] == KEPT[kinds[0]]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_all_of_them_come_back_together_in_front_of_the_pixels(dtype, rng):
    pixels = random_pixels(rng, dtype, 3)
    before = b"".join(chunk(kind, payload) for kind, payload in KEPT.items() if kind != b"prIv")
    with nothing_lost():
        data = encode(*decode(write_png(pixels, 2, before=before, depth=8 * pixels.itemsize)))
    kinds = [kind for kind, _ in chunks_of(data)]
    assert kinds[0] == b"IHDR"
    assert set(KEPT) - {b"prIv"} == set(kinds[1 : kinds.index(b"IDAT")])
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        assert image.info["dpi"] == pytest.approx((300, 300), abs=1e-3)
        assert image.info["gamma"] == 1
        assert image.info["icc_profile"] == icc_profile()
        assert image.text["Title"] == "Frühling ☀"


@pytest.mark.parametrize("compressed", [False, True])
def test_long_and_compressed_texts_come_back(compressed, rng):
    text = "a long description " * 200
    payload = zlib.compress(text.encode()) if compressed else text.encode()
    kinds = {
        b"zTXt": b"Description\0\0" + zlib.compress(text.encode("latin-1")),
        b"iTXt": b"Comment\0" + bytes([compressed]) + b"\0\0\0" + payload,
    }
    _, header = decode(with_chunks(encode(*_picture(rng)), *kinds.items()))
    assert header.texts == (Text("Description", text), Text("Comment", text))
    data = encode(_picture(rng)[0], header)
    assert len(data) < len(encode(*_picture(rng))) + len(text)
    assert decode(data)[1].texts == header.texts


@pytest.mark.parametrize("compressed", [False, True])
def test_xmp_comes_back(compressed, rng):
    packet = xmp_packet()
    payload = zlib.compress(packet) if compressed else packet
    data = with_chunks(
        encode(*_picture(rng)), (b"iTXt", b"XML:com.adobe.xmp\0" + bytes([compressed, 0, 0, 0]) + payload)
    )
    pixels, header = decode(data)
    assert header.xmp == packet
    assert header.texts == ()
    with Image.open(io.BytesIO(encode(pixels, header))) as image:
        assert image.info["xmp"] == packet


def test_chunks_that_do_not_fit_changed_pixels_are_named_and_others_dropped(rng):
    chunks = {b"caBX": b"signature", b"acNX": b"?", b"sBIT": b"\5\5\5", b"iDOT": bytes(28)}
    header = png.read([(b"IHDR", b""), *chunks.items()])
    assert header.lost == ("content credentials (caBX)", "chunk acNX")
    assert header.parts == ()


@pytest.mark.parametrize(
    "chunks",
    [
        {b"sRGB": b"\0", b"gAMA": struct.pack(">L", 45455)},
        {b"gAMA": struct.pack(">L", 45455)},
        {b"gAMA": KEPT[b"gAMA"], b"cHRM": KEPT[b"cHRM"], b"iCCP": KEPT[b"iCCP"]},
        {b"cICP": bytes([1, 13, 0, 1])},
    ],
    ids=["srgb", "gamma of srgb", "profile", "cicp of srgb"],
)
def test_nothing_is_lost_without_what_a_profile_says_or_what_is_taken_for_granted(chunks):
    assert all(part.name == "" for part in png.read(chunks.items()).parts)


@pytest.mark.parametrize("kind", [b"gAMA", b"cHRM", b"cICP", b"mDCV"], ids=bytes.decode)
def test_other_colours_have_a_name(kind):
    (part,) = png.read([(kind, KEPT[kind])]).parts
    assert kind.decode() in part.name


DAMAGED = {
    "profile": (b"iCCP", b"no end of the name"),
    "profile that is not compressed": (b"iCCP", b"name\0\0not compressed"),
    "text without a keyword": (b"tEXt", b"\0text"),
    "text without an end": (b"zTXt", b"Comment\0\0" + zlib.compress(b"text")[:-4]),
    "text without measure": (b"zTXt", b"Comment\0\0" + zlib.compress(bytes((1 << 26) + 1), 9)),
    "international text": (b"iTXt", b"Comment\0\0\0de"),
}


@pytest.mark.parametrize(("kind", "payload"), DAMAGED.values(), ids=DAMAGED)
def test_damaged_chunks_are_left_out(kind, payload, caplog):
    header = png.read([(b"gAMA", KEPT[b"gAMA"]), (kind, payload)])
    assert (header.icc_profile, header.texts, len(header.parts)) == (None, (), 1)
    assert f"{kind.decode()} is damaged and omitted" in caplog.text


def test_a_background_of_another_kind_of_picture_is_left_out(rng):
    pixels, header = decode(with_chunks(encode(*_picture(rng)), (b"bKGD", KEPT[b"bKGD"])))
    assert b"bKGD" in dict(chunks_of(encode(pixels, header)))
    assert b"bKGD" not in dict(chunks_of(encode(pixels[..., 0], header)))
    _, header = decode(with_chunks(encode(*_picture(rng)), (b"bKGD", struct.pack(">HHH", 256, 0, 0))))
    assert b"bKGD" not in dict(chunks_of(encode(pixels, header)))


def _picture(rng):
    return np.zeros((4, 5, 3), np.uint8), decode(write_png(np.zeros((4, 5, 3)), 2, depth=8))[1]
